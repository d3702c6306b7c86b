//! Which contents an object has, in the order of a stream. Pure.

use std::collections::BTreeMap;

use crate::{
    BlobId, Node,
    sys::files::join,
    tree::{Tree, TreeBundle},
};

/// One different content of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) blob: BlobId,
    pub(super) size: u64,
    /// The first file that has it.
    pub(super) path: Vec<u8>,
}

/// Returns the non-empty contents of an object, each once; `None` if one has two sizes.
pub(super) fn contents_of(root: &Node, bundle: &TreeBundle) -> Option<Vec<Content>> {
    let below = bundle.trees.iter().flat_map(|(path, tree)| {
        let entries = Tree::entries(tree).iter();
        entries.map(move |entry| (join(path, entry.name.as_bytes()), &entry.node))
    });
    let mut sizes = BTreeMap::new();
    let mut contents = Vec::new();
    for (path, node) in [(Vec::new(), root)].into_iter().chain(below) {
        let Node::File { blob, size, .. } = node else {
            continue;
        };
        if *size == 0 {
            continue;
        }
        match sizes.insert(*blob, *size) {
            None => contents.push(Content {
                blob: *blob,
                size: *size,
                path,
            }),
            Some(known) if known == *size => {}
            Some(_) => return None,
        }
    }
    Some(contents)
}
