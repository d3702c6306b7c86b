//! Files that are written into a cache which is a directory.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use store::{
    LocalStore,
    cache::{
        backend::{Backend, BackendOptions, open_backend},
        format::CacheName,
    },
};

use crate::{harness::TestResult, operations::Operation};

/// The operations of this area.
pub(crate) const OPERATIONS: &[Operation] = &[Operation {
    name: "write-cache",
    prepare: |store| {
        let cache = open(store)?;
        cache.write(&names()?[3], Bytes::from_static(OLD))?;
        Ok(cache.flush()?)
    },
    act: |store| {
        let cache = open(store)?;
        let names = names()?;
        let mut pack = cache.begin()?.ok_or("files grow in a directory")?;
        NEW[0]
            .chunks(60_000)
            .try_for_each(|piece| pack.append(piece))?;
        pack.finish(&names[0])?;
        cache.write(&names[1], Bytes::from_static(NEW[1]))?;
        cache.flush()?;
        for (name, bytes) in names.iter().zip(NEW).skip(2) {
            cache.write(name, Bytes::from_static(bytes))?;
        }
        cache.flush()?;
        drop(cache);
        match fs::read_dir(path(store).join(".staging"))?.count() {
            0 => Ok(()),
            count => Err(format!("{count} writers have left something").into()),
        }
    },
    is_done: |store| Ok(present(store)? == 4),
    is_undone: |store| present(store).map(drop),
}];

const OLD: &[u8] = b"old";
const NEW: [&[u8]; 4] = [&[7; 100_000], b"manifest", b"record", b"new"];

/// A pack, a manifest and a record in the order in which they are written, and a record that is there before.
fn names() -> TestResult<Vec<CacheName>> {
    let (hex, digest) = ("ab".repeat(32), "0".repeat(40));
    let names = [
        format!("p/ab/{hex}"),
        format!("t/00/{digest}"),
        format!("o/00/{digest}"),
        format!("o/11/{}", "1".repeat(40)),
    ];
    names.iter().map(|name| Ok(name.parse()?)).collect()
}

fn path(store: &LocalStore) -> PathBuf {
    store.root().join("cache-of-the-test")
}

fn open(store: &LocalStore) -> TestResult<Box<dyn Backend>> {
    let path = path(store);
    let url = path.to_str().ok_or("a path of text")?.parse()?;
    Ok(open_backend(&url, &BackendOptions::default())?)
}

/// Counts the files that are as they shall be, and fails if one is there without those written before it, or is anything else than whole.
fn present(store: &LocalStore) -> TestResult<usize> {
    let cache = open(store)?;
    let mut count = 0;
    for (index, (name, new)) in names()?.iter().zip(NEW).enumerate() {
        if !cache.exists(name)? {
            continue;
        }
        let bytes = cache.read(name, 1 << 20)?;
        if bytes == new && count == index {
            count += 1;
        } else if bytes != OLD || index != 3 {
            return Err(format!("`{name}` is there, and {count} files before it").into());
        }
    }
    Ok(count)
}
