//! Manifests: whatever is accepted keeps the rules and is the one encoding of itself. The input is taken for a whole file, and for what its frame holds.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use store::{MemoryNode, Node, cache::format::Manifest};

const MAGIC: &[u8] = b"PTHMAN01";

/// Objects whose manifests the input may be; the first is that of the worked example.
fn roots() -> &'static [Node] {
    static ROOTS: OnceLock<Vec<Node>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let mut example = MemoryNode::directory();
        let program = MemoryNode::program("hi\n");
        example.insert("hi", program.clone()).expect("a legal name");
        let link = MemoryNode::symlink("hi").expect("a legal target");
        example.insert("ln", link.clone()).expect("a legal name");
        let large = Node::File {
            blob: store::BlobId::from_bytes([7; 32]),
            size: 5 << 20,
            executable: false,
        };
        let small = [example, program, link];
        let root = |node: MemoryNode| node.to_bundle().expect("a small tree").0;
        small.into_iter().map(root).chain([large]).collect()
    })
}

fn check(bytes: &[u8], root: &Node) {
    let Ok(manifest) = Manifest::decode(bytes, root) else {
        return;
    };
    let sizes: u64 = manifest.blobs().map(|blob| blob.size).sum();
    assert!(root.totals().is_ok_and(|totals| totals.size_bytes >= sizes));
    for blob in manifest.blobs() {
        assert_eq!(blob.size, blob.parts.iter().map(|part| u64::from(part.length)).sum::<u64>());
        for part in blob.parts {
            let frame = manifest.frames()[part.frame as usize];
            assert!(part.offset + part.length <= frame.length);
            assert!(frame.offset as usize + frame.compressed_length as usize <= 32 << 20);
        }
    }
    let again = Manifest::new(root, manifest.trees().clone(), &manifest.locations());
    assert_eq!(again.expect("it keeps the rules"), manifest);
    let encoded = manifest.encode().expect("what fits fits again");
    let body = |bytes: &[u8]| zstd::decode_all(&bytes[MAGIC.len()..]).expect("it was accepted");
    assert_eq!(body(&encoded), body(bytes));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let root = &roots()[usize::from(*which) % roots().len()];
    check(bytes, root);
    check(&[MAGIC, bytes].concat(), root);
    let frame = zstd::bulk::compress(bytes, 1).expect("memory takes it");
    check(&[MAGIC, &frame].concat(), root);
});
