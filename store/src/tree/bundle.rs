//! All trees of one object as one byte string, and its decoder.
//!
//! A bundle is the encoded trees one after another, a directory before those within it, which follow in the order of
//! its entries. The root node names the first; each tree names the next. So nothing is framed, and the decoder knows the
//! digest and the totals of each tree before it reads it.

use std::collections::BTreeMap;

use super::{MAX_DEPTH, Node, Totals, Tree, TreeError, encode};
use crate::id::TreeId;

/// The trees of one object, by the path of their directory (empty for the root, `/` between names).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeBundle {
    /// The trees; a parent sorts before its children.
    pub trees: BTreeMap<Vec<u8>, Tree>,
}

impl TreeBundle {
    /// Returns the canonical bytes of the bundle below `root`; empty unless `root` is a directory.
    ///
    /// Directories whose tree is missing end the walk there, and the result does not decode.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut pending = vec![Vec::new()];
        while let Some(path) = pending.pop() {
            let Some(tree) = self.trees.get(&path) else {
                continue;
            };
            bytes.extend_from_slice(&tree.encode());
            push_directories(tree, &path, &mut pending);
        }
        bytes
    }
}

/// Pushes the directories of a tree so that the first by name is popped first.
fn push_directories(tree: &Tree, path: &[u8], pending: &mut Vec<Vec<u8>>) {
    let directories = tree
        .entries()
        .iter()
        .rev()
        .filter(|entry| matches!(entry.node, Node::Directory { .. }));
    pending.extend(directories.map(|entry| join(path, entry.name.as_bytes())));
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        name.to_vec()
    } else {
        [path, b"/", name].concat()
    }
}

struct Expected {
    path: Vec<u8>,
    depth: usize,
    tree: TreeId,
    totals: Totals,
}

/// Parses the bundle below `root`, checking every digest and every sum on the way down.
///
/// Iterative: the depth is bounded by [`MAX_DEPTH`], the work by the bytes given and by `max_nodes`, which is compared with the totals of `root`
/// before anything is read.
pub fn decode_bundle(root: &Node, bytes: &[u8], max_nodes: u64) -> Result<TreeBundle, TreeError> {
    let (bundle, rest) = decode_bundle_prefix(root, bytes, max_nodes)?;
    match rest.len() {
        0 => Ok(bundle),
        count => Err(TreeError::TrailingBytes { count }),
    }
}

/// [`decode_bundle`] from the front of `bytes`; returns what follows as well.
pub(super) fn decode_bundle_prefix<'a>(
    root: &Node,
    bytes: &'a [u8],
    max_nodes: u64,
) -> Result<(TreeBundle, &'a [u8]), TreeError> {
    let mut bundle = TreeBundle::default();
    let mut rest = bytes;
    let mut pending = Vec::new();
    if root.totals()?.nodes > max_nodes {
        return Err(TreeError::TooManyNodes { limit: max_nodes });
    }
    if let Node::Directory {
        tree,
        size_bytes,
        nodes,
    } = root
    {
        pending.push(Expected {
            path: Vec::new(),
            depth: 1,
            tree: *tree,
            totals: Totals {
                size_bytes: *size_bytes,
                nodes: *nodes,
            },
        });
    }
    while let Some(expected) = pending.pop() {
        let (tree, length) = Tree::decode_prefix(rest)?;
        let (encoding, after) = rest.split_at(length);
        rest = after;
        check(&expected, &tree, encoding)?;
        for entry in tree.entries().iter().rev() {
            if let Node::Directory {
                tree,
                size_bytes,
                nodes,
            } = &entry.node
            {
                let child = Expected {
                    path: join(&expected.path, entry.name.as_bytes()),
                    depth: expected.depth + 1,
                    tree: *tree,
                    totals: Totals {
                        size_bytes: *size_bytes,
                        nodes: *nodes,
                    },
                };
                if child.depth > MAX_DEPTH {
                    return Err(TreeError::Depth {
                        path: printable(&child.path),
                    });
                }
                pending.push(child);
            }
        }
        bundle.trees.insert(expected.path, tree);
    }
    Ok((bundle, rest))
}

fn check(expected: &Expected, tree: &Tree, encoding: &[u8]) -> Result<(), TreeError> {
    let found = encode::digest(encoding);
    if found != expected.tree {
        return Err(TreeError::Digest {
            path: printable(&expected.path),
            expected: expected.tree,
            found,
        });
    }
    if tree.totals() != expected.totals {
        return Err(TreeError::Totals {
            path: printable(&expected.path),
            expected: expected.totals,
            found: tree.totals(),
        });
    }
    Ok(())
}

/// Returns a path inside an object as messages show it; `.` is the object itself.
pub(crate) fn printable(path: &[u8]) -> String {
    if path.is_empty() {
        ".".to_owned()
    } else {
        String::from_utf8_lossy(path).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::arbitrary_memory_node;
    use crate::tree::{EntryName, TreeEntry};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_inverts_encode(node in arbitrary_memory_node()) {
            let (root, bundle) = node.to_bundle().unwrap();
            prop_assert_eq!(decode_bundle(&root, &bundle.encode(), u64::MAX), Ok(bundle));
        }

        #[test]
        fn any_changed_byte_is_refused(node in arbitrary_memory_node(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let (root, bundle) = node.to_bundle().unwrap();
            let mut bytes = bundle.encode();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                prop_assert!(decode_bundle(&root, &bytes, u64::MAX).is_err());
            }
        }
    }

    fn directory(name: &[u8], node: Node) -> Tree {
        Tree::from_entries(vec![TreeEntry {
            name: EntryName::new(name).unwrap(),
            node,
        }])
        .unwrap()
    }

    fn nested(depth: usize) -> (Node, Vec<u8>) {
        let mut tree = Tree::default();
        let mut bytes = tree.encode();
        for _ in 1..depth {
            tree = directory(b"d", tree.to_node());
            bytes = [tree.encode(), bytes].concat();
        }
        (tree.to_node(), bytes)
    }

    #[test]
    fn a_tree_deeper_than_the_limit_is_refused() {
        let (root, bytes) = nested(MAX_DEPTH);
        assert!(decode_bundle(&root, &bytes, u64::MAX).is_ok());
        let (root, bytes) = nested(MAX_DEPTH + 1);
        assert!(matches!(
            decode_bundle(&root, &bytes, u64::MAX),
            Err(TreeError::Depth { .. })
        ));
    }

    #[test]
    fn totals_that_are_not_the_sum_of_the_children_are_refused() {
        let empty = Tree::default();
        let lie = Node::Directory {
            tree: empty.id(),
            size_bytes: 1,
            nodes: 0,
        };
        let tree = directory(b"d", lie);
        let bytes = [tree.encode(), empty.encode()].concat();
        assert!(matches!(
            decode_bundle(&tree.to_node(), &bytes, u64::MAX),
            Err(TreeError::Totals { .. })
        ));
    }

    #[test]
    fn more_nodes_than_wanted_are_refused_before_reading() {
        let root = Node::Directory {
            tree: TreeId::from_bytes([0; 32]),
            size_bytes: 0,
            nodes: 10,
        };
        assert_eq!(
            decode_bundle(&root, b"", 10),
            Err(TreeError::TooManyNodes { limit: 10 })
        );
    }
}
