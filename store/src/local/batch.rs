//! What can be added to a store.

use std::{borrow::Cow, ffi::OsStr, fmt, io::Read, os::fd::BorrowedFd};

use super::Lease;
use crate::{
    id::{ObjectId, ResolvedDigest, StoreName, StorePath},
    info::Component,
    tree::{MemoryNode, SymlinkTarget},
};

/// Objects that become valid together or not at all.
#[derive(Debug, Default)]
pub struct AddBatch<'a> {
    /// The objects, in any order.
    pub objects: Vec<AddObject<'a>>,
    /// Valid paths that the objects may refer to: the input closure of a build.
    pub candidates: Vec<(StorePath, ObjectId)>,
    /// What the objects were built from.
    pub realisations: Vec<NewRealisation>,
    /// What keeps the new objects alive after the add; without it they are protected only until the add returns.
    pub lease: Option<&'a Lease>,
    /// What becomes of what is recorded of objects that are valid already.
    pub known: KnownComponents,
    /// How many bytes the streams among the sources are going to have. What is in memory or on disk is measured.
    pub declared_bytes: u64,
}

/// What becomes of the components of objects that are valid already when they are added again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnownComponents {
    /// They are replaced by those of the batch, where it has any.
    #[default]
    Replace,
    /// They stay, but where there is none: whoever adds has more to say of the objects, and says all of it at once.
    Keep,
}

/// One object to add.
#[derive(Debug)]
pub struct AddObject<'a> {
    /// The name part of its store path.
    pub name: StoreName,
    /// Its bytes.
    pub source: AddSource<'a>,
    /// The path that the bytes use for the object itself; occurrences in it and in the other objects of the batch become the final path.
    pub scratch: Option<StorePath>,
    /// References to record although they may not occur: candidates, valid paths, or scratch paths of the batch.
    pub extra_references: Vec<StorePath>,
    /// References that must not occur: candidates, or scratch paths of the batch.
    pub forbidden_references: Vec<StorePath>,
    /// Where it comes from.
    pub component: Option<Component>,
}

impl<'a> AddObject<'a> {
    /// Makes an object without scratch path, rules and component.
    #[must_use]
    pub const fn new(name: StoreName, source: AddSource<'a>) -> Self {
        Self {
            name,
            source,
            scratch: None,
            extra_references: Vec::new(),
            forbidden_references: Vec::new(),
            component: None,
        }
    }
}

/// Where the bytes of an object come from.
pub enum AddSource<'a> {
    /// A file, symlink or directory on disk, by the directory it lies in; walked by descriptors, without following a symlink.
    ///
    /// Any executable bit for the owner makes a file executable. Hard links become separate files. Owners, times and attributes are dropped.
    Entry {
        /// The directory.
        parent: BorrowedFd<'a>,
        /// The name in it.
        name: &'a OsStr,
    },
    /// A file.
    Bytes {
        /// Its bytes.
        bytes: Cow<'a, [u8]>,
        /// Whether it is executable.
        executable: bool,
    },
    /// A file, from a stream that is read to its end.
    Reader {
        /// The stream.
        reader: Box<dyn Read + Send + 'a>,
        /// Whether it is executable.
        executable: bool,
    },
    /// A symlink.
    Symlink {
        /// Where it points.
        target: SymlinkTarget,
    },
    /// A small tree in memory.
    Tree(MemoryNode),
}

impl fmt::Debug for AddSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { name, .. } => f.debug_tuple("Entry").field(name).finish(),
            Self::Bytes { bytes, .. } => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Reader { .. } => f.write_str("Reader"),
            Self::Symlink { target } => f.debug_tuple("Symlink").field(target).finish(),
            Self::Tree(_) => f.write_str("Tree"),
        }
    }
}

/// What an object of the batch was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRealisation {
    /// What was built.
    pub resolved: ResolvedDigest,
    /// Which of its outputs.
    pub output: String,
    /// Which object of the batch came out, by its index.
    pub object: usize,
    /// How tightly the build was confined.
    pub sandbox: String,
    /// When the build ended, in seconds since 1970.
    pub built_at: u64,
    /// How long it took.
    pub duration_ms: u64,
}
