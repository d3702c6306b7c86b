//! What can be wrong with a store.

use std::{fmt, io};

use nix::errno::Errno;
use serde::Serialize;

use crate::id::{BlobId, StorePath};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Where: a store path without its directory, another name in the store's directory, or a file below `var`.
    pub entry: String,
    /// What.
    #[serde(flatten)]
    pub problem: Problem,
}

impl Finding {
    pub(in crate::local) fn new(entry: impl fmt::Display, problem: Problem) -> Self {
        Self {
            entry: entry.to_string(),
            problem,
        }
    }
}

/// One thing that is wrong. Files are relative to the object, `.` is the object itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// The database has the object, and nothing lies at its place.
    Absent,
    /// A file or directory of the object is not there.
    Missing {
        /// Which.
        file: String,
    },
    /// Something lies in the object that does not belong to it.
    Extra {
        /// What.
        file: String,
    },
    /// A file is something else: a symlink, a directory, …
    Kind {
        /// Which.
        file: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A file has other bytes.
    Bytes {
        /// Which.
        file: String,
        /// Where the first wrong block of 64 KiB begins; 0 for a smaller file.
        offset: u64,
        /// What its bytes should hash to.
        expected: BlobId,
        /// What they hash to.
        found: BlobId,
    },
    /// A symlink points elsewhere.
    Target {
        /// Which.
        file: String,
        /// Where it should point.
        expected: String,
        /// Where it points.
        found: String,
    },
    /// The object has other contents, and its record does not tell of which file.
    Contents,
    /// The bytes are right, and the object is not what its store path says: its name, its references or its id were changed.
    Identity,
    /// Something cannot be read. That says nothing about its bytes.
    Unreadable {
        /// What.
        file: String,
        /// What the kernel said.
        error: String,
        /// Whether the disk itself refuses, so that it will not get better by itself.
        medium: bool,
    },
    /// A mode is not the store's.
    Mode {
        /// Of what.
        file: String,
        /// What it should be.
        #[serde(serialize_with = "octal")]
        expected: u32,
        /// What it is.
        #[serde(serialize_with = "octal")]
        found: u32,
    },
    /// A modification time is not the store's, which is second 1 of 1970.
    Time {
        /// Of what.
        file: String,
    },
    /// A small file has names elsewhere, through which it can be changed.
    Links {
        /// Which.
        file: String,
        /// How many names it has.
        links: u64,
    },
    /// The object was found damaged before, and was not repaired since.
    Damaged,
    /// The object was found damaged before, and is whole.
    Whole,
    /// The object has no record, so it would be lost with the database.
    RecordMissing,
    /// The object's record and the database say different things.
    RecordDifferent,
    /// The object's record does not list its files.
    RecordWithoutContents,
    /// An object lies in the store that the database does not know.
    Unregistered,
    /// Something lies in the store's directory that is no object.
    Foreign,
    /// The object refers to one that is not there.
    Dangling {
        /// Which.
        reference: StorePath,
    },
    /// The database file is damaged.
    Database {
        /// What SQLite found.
        message: String,
    },
}

impl Problem {
    /// Tells whether it is only the object's record that is wrong.
    pub(in crate::local) const fn is_of_record(&self) -> bool {
        matches!(
            self,
            Self::RecordMissing | Self::RecordDifferent | Self::RecordWithoutContents
        )
    }

    /// Tells whether an object with this problem must not be used.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Absent
            | Self::Missing { .. }
            | Self::Extra { .. }
            | Self::Kind { .. }
            | Self::Bytes { .. }
            | Self::Target { .. }
            | Self::Contents
            | Self::Identity
            | Self::Damaged => true,
            Self::Unreadable { medium, .. } => *medium,
            // An executable bit is part of what a file is, the others are not.
            Self::Mode {
                expected, found, ..
            } => (*expected & 0o111 == 0) != (*found & 0o100 == 0),
            Self::Time { .. }
            | Self::Links { .. }
            | Self::Whole
            | Self::RecordMissing
            | Self::RecordDifferent
            | Self::RecordWithoutContents
            | Self::Unregistered
            | Self::Foreign
            | Self::Dangling { .. }
            | Self::Database { .. } => false,
        }
    }

    /// Returns the file that it is about, if it is about one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Missing { file }
            | Self::Extra { file }
            | Self::Kind { file, .. }
            | Self::Bytes { file, .. }
            | Self::Target { file, .. }
            | Self::Unreadable { file, .. }
            | Self::Mode { file, .. }
            | Self::Time { file }
            | Self::Links { file, .. } => Some(file),
            Self::Absent
            | Self::Contents
            | Self::Identity
            | Self::Damaged
            | Self::Whole
            | Self::RecordMissing
            | Self::RecordDifferent
            | Self::RecordWithoutContents
            | Self::Unregistered
            | Self::Foreign
            | Self::Dangling { .. }
            | Self::Database { .. } => None,
        }
    }

    pub(in crate::local) fn unreadable(file: impl Into<String>, error: &io::Error) -> Self {
        let medium = [
            Errno::EIO,
            Errno::EUCLEAN,
            Errno::EBADMSG,
            Errno::EILSEQ,
            Errno::ENODATA,
        ];
        Self::Unreadable {
            file: file.into(),
            error: error.to_string(),
            medium: medium
                .iter()
                .any(|errno| error.raw_os_error() == Some(*errno as i32)),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("it is registered, but not there"),
            Self::Missing { file } => write!(f, "`{file}` is missing"),
            Self::Extra { file } => write!(f, "`{file}` does not belong to it"),
            Self::Kind {
                file,
                expected,
                found,
            } => write!(f, "`{file}` should be a {expected} and is a {found}"),
            Self::Bytes {
                file,
                offset,
                expected,
                found,
            } => write!(
                f,
                "`{file}` has wrong bytes in the block at offset {offset}\n  expected: {expected}\n  found:    {found}"
            ),
            Self::Target {
                file,
                expected,
                found,
            } => write!(
                f,
                "the symlink `{file}` points elsewhere\n  expected: {expected}\n  found:    {found}"
            ),
            Self::Contents => f.write_str("its contents are not those it was registered with"),
            Self::Identity => {
                f.write_str("its store path is not that of its contents, name and references")
            }
            Self::Unreadable { file, error, .. } => write!(f, "`{file}` cannot be read: {error}"),
            Self::Mode {
                file,
                expected,
                found,
            } => write!(
                f,
                "`{file}` has the mode {found:04o} instead of {expected:04o}"
            ),
            Self::Time { file } => write!(
                f,
                "`{file}` was touched: its modification time is not second 1"
            ),
            Self::Links { file, links } => {
                write!(
                    f,
                    "`{file}` has {links} names, but files of this size are never linked"
                )
            }
            Self::Damaged => f.write_str("it was found damaged before"),
            Self::Whole => f.write_str("it was found damaged before, but is whole"),
            Self::RecordMissing => {
                f.write_str("it has no record, so it would be lost with the database")
            }
            Self::RecordDifferent => f.write_str("its record differs from the database"),
            Self::RecordWithoutContents => f.write_str("its record does not list its files"),
            Self::Unregistered => f.write_str("it is there, but not registered"),
            Self::Foreign => f.write_str("it is no store object"),
            Self::Dangling { reference } => {
                write!(f, "it refers to `{reference}`, which is not registered")
            }
            Self::Database { message } => write!(f, "the database is damaged: {message}"),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}
