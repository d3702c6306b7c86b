//! A small tree with its bytes, in memory.

use std::collections::BTreeMap;

use super::{EntryName, Node, SymlinkTarget, Tree, TreeBundle, TreeEntry, TreeError};
use crate::id::BlobId;

/// A file, symlink or directory whose bytes are all in memory: for generated files and tests.
///
/// ```
/// use store::MemoryNode;
///
/// let mut tree = MemoryNode::directory();
/// tree.insert("bin/hello", MemoryNode::program("#!/bin/sh\n"))?;
/// tree.insert("bin/hi", MemoryNode::symlink("hello")?)?;
/// # Ok::<(), store::TreeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryNode {
    /// A regular file.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Whether it is executable.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: SymlinkTarget,
    },
    /// A directory.
    Directory {
        /// Its entries.
        entries: BTreeMap<EntryName, Self>,
    },
}

impl MemoryNode {
    /// Makes an empty directory.
    #[must_use]
    pub const fn directory() -> Self {
        Self::Directory {
            entries: BTreeMap::new(),
        }
    }

    /// Makes a file that is not executable.
    #[must_use]
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self::File {
            bytes: bytes.into(),
            executable: false,
        }
    }

    /// Makes an executable file.
    #[must_use]
    pub fn program(bytes: impl Into<Vec<u8>>) -> Self {
        Self::File {
            bytes: bytes.into(),
            executable: true,
        }
    }

    /// Makes a symlink.
    pub fn symlink(target: impl AsRef<[u8]>) -> Result<Self, TreeError> {
        Ok(Self::Symlink {
            target: SymlinkTarget::new(target.as_ref())?,
        })
    }

    /// Puts a node at a path below this directory, replacing what is there; directories on the way are made.
    ///
    /// Fails when a part of the path is no entry's name (empty, `.`, `..`, …) or lies below something that is no directory.
    pub fn insert(&mut self, path: impl AsRef<[u8]>, node: Self) -> Result<(), TreeError> {
        let mut place = self;
        for part in path.as_ref().split(|byte| *byte == b'/') {
            let name = EntryName::new(part)?;
            let Self::Directory { entries } = place else {
                return Err(TreeError::Name {
                    name: name.to_string(),
                    reason: "what it would lie in is no directory",
                });
            };
            place = entries.entry(name).or_insert_with(Self::directory);
        }
        *place = node;
        Ok(())
    }

    /// Returns the node by content, and the trees of all directories in it. Hashes all bytes.
    pub fn to_bundle(&self) -> Result<(Node, TreeBundle), TreeError> {
        let mut bundle = TreeBundle::default();
        let root = self.collect(&mut Vec::new(), &mut bundle)?;
        Ok((root, bundle))
    }

    fn collect(&self, path: &mut Vec<u8>, bundle: &mut TreeBundle) -> Result<Node, TreeError> {
        Ok(match self {
            Self::File { bytes, executable } => Node::File {
                blob: BlobId::from_bytes(*blake3::hash(bytes).as_bytes()),
                size: u64::try_from(bytes.len()).map_err(|_| TreeError::Overflow)?,
                executable: *executable,
            },
            Self::Symlink { target } => Node::Symlink {
                target: target.clone(),
            },
            Self::Directory { entries } => {
                let length = path.len();
                let mut nodes = Vec::with_capacity(entries.len());
                for (name, node) in entries {
                    if length > 0 {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name.as_bytes());
                    nodes.push(TreeEntry {
                        name: name.clone(),
                        node: node.collect(path, bundle)?,
                    });
                    path.truncate(length);
                }
                let tree = Tree::from_sorted(nodes)?;
                let node = tree.to_node();
                bundle.trees.insert(path.clone(), tree);
                node
            }
        })
    }
}
