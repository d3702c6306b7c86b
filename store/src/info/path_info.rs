//! The record of one valid store path.

use serde::{Deserialize, Serialize};

use super::Component;
use crate::{
    id::{ObjectId, StorePath},
    tree::Node,
};

/// All that is known about one valid store path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathInfo {
    /// The store path.
    pub path: StorePath,
    /// The whole identity, of which the path shows the first 200 bits.
    pub id: ObjectId,
    /// What lies at the path, with its final bytes.
    pub root: Node,
    /// Other store paths that occur in it or were added by its recipe; ascending by path, never the path itself.
    pub references: Vec<Reference>,
    /// Whether the object names its own path.
    pub self_reference: bool,
    /// The sum of the sizes of its files.
    pub size_bytes: u64,
    /// The number of its files, symlinks and directories, the root included.
    pub nodes: u64,
    /// When it was registered here, in seconds since 1970.
    pub registered: u64,
    /// Where it comes from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
}

/// One store path that occurs in an object, and the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The store path that is referred to.
    pub path: StorePath,
    /// Its whole identity.
    pub id: ObjectId,
    /// The first file that has it, relative to the object, `/` between names; empty for the root itself. Bytes that are not UTF-8 are replaced.
    /// Also empty, with offset 0, where the recipe added the reference without an occurrence.
    pub file: String,
    /// Where in that file: the offset of the digest. In a compressed file, the offset in the uncompressed bytes.
    pub offset: u64,
}
