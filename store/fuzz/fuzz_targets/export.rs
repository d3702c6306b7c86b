//! Exported closures, imported into a store: whatever comes, nothing becomes valid but what hashes to its path. The input is taken for a stream, and for the
//! payload of one, whose frames and digest are right then.

#![no_main]

use std::{cell::OnceCell, env, fs, path::PathBuf, process};

use libfuzzer_sys::fuzz_target;
use store::{
    LocalStore, StoreOptions, Watch,
    export::{Believe, import},
};

/// Bytes of the payload in one frame.
const PIECE: usize = 1 << 20;

thread_local! {
    /// One for the whole run: opening takes longer than an import.
    static STORE: OnceCell<LocalStore> = const { OnceCell::new() };
}

fn open() -> LocalStore {
    let path: PathBuf = env::temp_dir().join(format!("pith-fuzz-export-{}", process::id()));
    fs::create_dir_all(&path).expect("there is room for a store");
    LocalStore::open(&path, StoreOptions::new(|| 1)).expect("an empty store can be opened")
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut stream = b"PTHEXP01".to_vec();
    for piece in payload.chunks(PIECE) {
        let frame = zstd::bulk::compress(piece, 1).expect("memory can be compressed");
        let length = u32::try_from(frame.len()).expect("a piece is small");
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&frame);
    }
    stream.extend_from_slice(&[0; 4]);
    let digest = blake3::hash(&stream);
    stream.extend_from_slice(digest.as_bytes());
    stream
}

fn check(store: &LocalStore, stream: &[u8]) {
    let lease = store.lease().expect("the store can be written");
    let mut rest = stream;
    if let Ok(imported) = import(store, &mut rest, Believe::Everything, &lease, &Watch::nobody()) {
        for root in &imported.roots {
            let info = store.path_info(root).expect("the database answers");
            let info = info.expect("what was imported is valid");
            assert_eq!(info.id.path_digest(), *root.digest());
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    STORE.with(|store| {
        let store = store.get_or_init(open);
        check(store, bytes);
        check(store, &framed(bytes));
    });
});
