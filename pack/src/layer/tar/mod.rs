//! Tar, as far as layers need it: files, directories and symbolic links, written in exactly one way and read strictly.
//!
//! Sources: POSIX.1-2017, `pax`, "ustar Interchange Format" and "pax Interchange Format". No GNU extension is written. Own code rather than a crate
//! because these bytes are our contract: a library that improves would change every digest.

mod header;
mod reader;

use thiserror::Error;

pub(crate) use header::{BLOCK, append_stamped, padding};
pub use header::{append_end, append_entry};
pub use reader::{Dialect, Member, TarReader};

/// One entry of an archive, without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path: relative, components joined by `/`, no slash at the end even for a directory. Any bytes but NUL.
    pub path: &'a [u8],
    /// The permission bits, at most `0o7777`.
    pub mode: u32,
    /// What it is.
    pub kind: EntryKind<'a>,
}

/// Whose an entry is, and when it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
}

impl Stamp {
    /// Of every entry that comes from a store or is generated: root's, and one second after the epoch, because some tools take 0 for "unset".
    pub(crate) const OURS: Self = Self {
        uid: 0,
        gid: 0,
        mtime: 1,
    };
}

impl Default for Stamp {
    fn default() -> Self {
        Self::OURS
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A directory.
    Directory,
    /// A file; so many bytes follow, filled up to a multiple of 512.
    File {
        /// Its size.
        size_bytes: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to; any bytes but NUL.
        target: &'a [u8],
    },
}

/// Why bytes are not an archive of the kind that this crate writes.
#[derive(Debug, Error)]
pub enum TarError {
    /// The bytes could not be read.
    #[error("the archive cannot be read")]
    Read(#[source] std::io::Error),
    /// The archive ends inside an entry or before its two zero blocks.
    #[error("the archive ends too early, at offset {offset}")]
    Truncated {
        /// The offset of the header of the last entry.
        offset: u64,
    },
    /// There is something after the two zero blocks.
    #[error("the archive goes on after its end, at offset {offset}")]
    Trailing {
        /// Where.
        offset: u64,
    },
    /// A header's checksum is wrong.
    #[error("the header at offset {offset} has a wrong checksum")]
    Checksum {
        /// Where.
        offset: u64,
    },
    /// A header is not one that this crate writes.
    #[error("the header at offset {offset} is not supported: {problem}")]
    Header {
        /// Where.
        offset: u64,
        /// What is wrong.
        problem: &'static str,
    },
}
