//! All that an object is made of but the bytes of its files.

use std::collections::BTreeMap;

use super::{
    Node, Tree, TreeBundle, TreeError, are_blocks_of, blob::BlockDigest, block_count,
    bundle::decode_bundle_prefix,
};
use crate::id::BlobId;

/// The trees of all directories of one object, and the digests of the blocks of its large files.
///
/// Encoded as the bundle of the trees, then for each different file of more than one block, ascending by [`BlobId`], the digests of its blocks. Nothing
/// is framed: the root says which trees follow, and these say which files do. Every byte is checked against the root by the decoder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The trees, by the path of their directory.
    pub bundle: TreeBundle,
    /// The digests of blocks, by file.
    pub blocks: BTreeMap<BlobId, Vec<BlockDigest>>,
}

impl Contents {
    /// Returns the canonical bytes; empty for a symlink and for a file of at most one block.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.bundle.encode();
        for blocks in self.blocks.values() {
            bytes.extend(blocks.iter().flatten());
        }
        bytes
    }

    /// Parses what [`Self::encode`] writes for the object with this root, and nothing else.
    pub fn decode(root: &Node, bytes: &[u8]) -> Result<Self, TreeError> {
        // Each node takes more than one byte.
        let max_nodes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (bundle, mut rest) = decode_bundle_prefix(root, bytes, max_nodes.saturating_add(1))?;
        let mut blocks = BTreeMap::new();
        for (blob, size) in large_files(root, &bundle) {
            let truncated = || TreeError::Truncated {
                offset: bytes.len(),
                expected: "the digests of blocks",
            };
            let count = usize::try_from(block_count(size)).map_err(|_| truncated())?;
            let length = count.checked_mul(32).ok_or_else(truncated)?;
            let (these, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
            let (these, _) = these.as_chunks::<32>();
            if !are_blocks_of(&blob, size, these) {
                return Err(TreeError::Blocks { blob });
            }
            blocks.insert(blob, these.to_vec());
            rest = after;
        }
        match rest.len() {
            0 => Ok(Self { bundle, blocks }),
            count => Err(TreeError::TrailingBytes { count }),
        }
    }

    /// Tells whether an object with this root has anything to be encoded.
    #[must_use]
    pub fn is_needed_for(root: &Node) -> bool {
        match root {
            Node::File { size, .. } => block_count(*size) > 0,
            Node::Symlink { .. } => false,
            Node::Directory { .. } => true,
        }
    }
}

/// The different files of more than one block. Of two that share a digest and differ in size, one does not exist; its block digests will not fit.
fn large_files(root: &Node, bundle: &TreeBundle) -> BTreeMap<BlobId, u64> {
    let entries = bundle.trees.values().flat_map(Tree::entries);
    let nodes = entries.map(|entry| &entry.node).chain([root]);
    nodes
        .filter_map(|node| match node {
            Node::File { blob, size, .. } if block_count(*size) > 0 => Some((*blob, *size)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MemoryNode,
        testing::{arbitrary_memory_node, memory_tree},
        tree::{BLOCK_BYTES, BlobHasher},
    };
    use proptest::prelude::*;

    fn contents(node: &MemoryNode) -> (Node, Contents) {
        let (root, bundle) = node.to_bundle().unwrap();
        let mut contents = Contents {
            bundle,
            blocks: BTreeMap::new(),
        };
        collect(node, &mut contents);
        (root, contents)
    }

    fn collect(node: &MemoryNode, contents: &mut Contents) {
        match node {
            MemoryNode::File { bytes, .. } => {
                let mut hasher = BlobHasher::new();
                hasher.update(bytes);
                let found = hasher.finish();
                if !found.blocks.is_empty() {
                    contents.blocks.insert(found.blob, found.blocks);
                }
            }
            MemoryNode::Symlink { .. } => {}
            MemoryNode::Directory { entries } => {
                for node in entries.values() {
                    collect(node, contents);
                }
            }
        }
    }

    fn large() -> (Node, Contents) {
        let file = |byte: u8, blocks: usize| MemoryNode::file(vec![byte; blocks * BLOCK_BYTES + 1]);
        contents(&memory_tree(&[
            ("a", file(1, 1)),
            ("b/c", file(2, 3)),
            ("b/d", file(1, 1)),
            ("e", MemoryNode::file("small")),
        ]))
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(node in arbitrary_memory_node()) {
            let (root, contents) = contents(&node);
            prop_assert_eq!(Contents::is_needed_for(&root), !contents.encode().is_empty());
            prop_assert_eq!(Contents::decode(&root, &contents.encode()), Ok(contents));
        }

        #[test]
        fn any_changed_or_missing_byte_is_refused(at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let (root, contents) = large();
            let mut bytes = contents.encode();
            let at = at.index(bytes.len());
            prop_assert!(Contents::decode(&root, &bytes[..at]).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(Contents::decode(&root, &bytes).is_err());
        }
    }

    #[test]
    fn each_large_file_is_listed_once_and_small_ones_are_not() {
        let (root, contents) = large();
        assert_eq!(contents.blocks.values().map(Vec::len).sum::<usize>(), 2 + 4);
        assert_eq!(Contents::decode(&root, &contents.encode()), Ok(contents));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let (root, contents) = large();
        let bytes = [contents.encode(), vec![0]].concat();
        assert_eq!(
            Contents::decode(&root, &bytes),
            Err(TreeError::TrailingBytes { count: 1 })
        );
    }
}
