//! Content-addressed store objects: their names, their bytes on disk, their database and their closures.
//!
//! The folders, each using only those before it:
//!
//! * [`id`]: digests and store paths
//! * [`tree`]: files, symlinks and directories by content
//! * [`object`]: the identity of a store object
//! * [`scan`]: references in bytes
//! * [`info`]: facts about store paths

pub mod id;
pub mod info;
pub mod object;
pub mod scan;
pub mod tree;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::{
    id::{
        BlobId, IdError, ObjectId, PathDigest, PlanDigest, ResolvedDigest, STORE_DIR, StoreName,
        StorePath, TreeId, scratch_path,
    },
    info::{Component, ComponentSource, PathInfo, Realisation, Reference},
    tree::{EntryName, MemoryNode, Node, SymlinkTarget, Totals, Tree, TreeEntry, TreeError},
};
