//! What can lie in the store: files, symlinks, directories, and no metadata but the executable bit.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EntryName, MAX_TARGET, TreeError};
use crate::id::{BlobId, TreeId};

/// A file, a symlink or a directory, by content.
///
/// Owners, times, modes beyond one executable bit, extended attributes, hard links and devices do not exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Node {
    /// A regular file.
    File {
        /// Its bytes.
        blob: BlobId,
        /// How many.
        size: u64,
        /// Whether it is executable for all (0555) or for none (0444).
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points; not resolved, not required to exist.
        target: SymlinkTarget,
    },
    /// A directory.
    Directory {
        /// Its entries.
        tree: TreeId,
        /// The sum of the sizes of all files below it.
        size_bytes: u64,
        /// The number of all nodes below it, without itself.
        nodes: u64,
    },
}

impl Node {
    /// Returns the totals of the node and all below it, the node itself included.
    ///
    /// Fails when a directory's count of nodes is 2⁶⁴ − 1.
    pub fn totals(&self) -> Result<Totals, TreeError> {
        match self {
            Self::File { size, .. } => Ok(Totals {
                size_bytes: *size,
                nodes: 1,
            }),
            Self::Symlink { .. } => Ok(Totals {
                size_bytes: 0,
                nodes: 1,
            }),
            Self::Directory {
                size_bytes, nodes, ..
            } => Ok(Totals {
                size_bytes: *size_bytes,
                nodes: nodes.checked_add(1).ok_or(TreeError::Overflow)?,
            }),
        }
    }
}

/// The target of a symlink: 1 to 4095 bytes without NUL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "TargetText", into = "TargetText")]
pub struct SymlinkTarget(Box<[u8]>);

impl SymlinkTarget {
    /// Takes bytes for a target if they obey the rules.
    pub fn new(bytes: &[u8]) -> Result<Self, TreeError> {
        let refuse = |reason| {
            Err(TreeError::Target {
                length: bytes.len(),
                reason,
            })
        };
        match bytes {
            b"" => refuse("it is empty"),
            _ if bytes.len() > MAX_TARGET => refuse("it has more than 4095 bytes"),
            _ if bytes.contains(&0) => refuse("it has a NUL byte"),
            _ => Ok(Self(bytes.into())),
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SymlinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SymlinkTarget({})", self.0.escape_ascii())
    }
}

/// A target in JSON: text where it is UTF-8, else the list of its bytes.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TargetText {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<SymlinkTarget> for TargetText {
    fn from(target: SymlinkTarget) -> Self {
        String::from_utf8(target.0.into_vec())
            .map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }
}

impl TryFrom<TargetText> for SymlinkTarget {
    type Error = TreeError;

    fn try_from(text: TargetText) -> Result<Self, TreeError> {
        match text {
            TargetText::Text(text) => Self::new(text.as_bytes()),
            TargetText::Bytes(bytes) => Self::new(&bytes),
        }
    }
}

/// Sums over the nodes of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Totals {
    /// The sum of the sizes of all files.
    pub size_bytes: u64,
    /// The number of nodes.
    pub nodes: u64,
}

impl Totals {
    /// Adds two sums; `None` if they do not fit 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            size_bytes: self.size_bytes.checked_add(other.size_bytes)?,
            nodes: self.nodes.checked_add(other.nodes)?,
        })
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in {} nodes", self.size_bytes, self.nodes)
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreeEntry {
    /// Its name.
    pub name: EntryName,
    /// What it is.
    pub node: Node,
}

/// The entries of one directory, strictly ascending by the bytes of their names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tree {
    entries: Vec<TreeEntry>,
    totals: Totals,
}

impl Tree {
    /// Takes entries that are already in order.
    ///
    /// Fails when names do not strictly ascend or the totals do not fit 64 bits.
    pub fn from_sorted(entries: Vec<TreeEntry>) -> Result<Self, TreeError> {
        for pair in entries.windows(2) {
            if let [previous, next] = pair
                && previous.name >= next.name
            {
                return Err(TreeError::Order {
                    previous: previous.name.to_string(),
                    name: next.name.to_string(),
                });
            }
        }
        let mut totals = Totals::default();
        for entry in &entries {
            totals = totals
                .checked_add(entry.node.totals()?)
                .ok_or(TreeError::Overflow)?;
        }
        Ok(Self { entries, totals })
    }

    /// Takes entries in any order. Fails when two have the same name or the totals do not fit 64 bits.
    pub fn from_entries(mut entries: Vec<TreeEntry>) -> Result<Self, TreeError> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self::from_sorted(entries)
    }

    /// Returns the entries, strictly ascending by name.
    #[must_use]
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Returns the sums over all nodes below the directory.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns the node of the directory that has these entries. Encodes and hashes the tree.
    #[must_use]
    pub fn to_node(&self) -> Node {
        Node::Directory {
            tree: self.id(),
            size_bytes: self.totals.size_bytes,
            nodes: self.totals.nodes,
        }
    }
}
