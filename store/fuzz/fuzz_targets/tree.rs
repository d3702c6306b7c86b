//! Whatever the decoders accept is canonical, and they neither panic nor run away.

#![no_main]

use libfuzzer_sys::fuzz_target;
use store::{Node, Tree, tree::decode_bundle};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(tree) = Tree::decode(bytes) {
        assert_eq!(tree.encode(), bytes);
        let bundle = decode_bundle(&tree.to_node(), bytes, u64::MAX);
        let has_directory = tree.entries().iter().any(|entry| matches!(entry.node, Node::Directory { .. }));
        assert_eq!(bundle.is_ok(), !has_directory);
    }
    if let Ok(node) = Node::decode(bytes) {
        assert_eq!(node.encode(), bytes);
    }
});
