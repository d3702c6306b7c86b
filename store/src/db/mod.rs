//! The database: which objects are valid, what they refer to, what was built to what. SQL lives here and nowhere else.
//!
//! Invariant: an object is valid exactly when its row is committed in state 0, and then all its references are rows too. Many processes
//! share the file; all changes are short `BEGIN IMMEDIATE` transactions, so a writer waits for a writer and nobody waits for a reader.
//!
//! `synchronous=NORMAL`: a power cut may undo the last transactions, never damage the file. That is enough here, because what an add
//! commits is on disk before its transaction begins — the object under its final name and its record under `var/meta` — and
//! recovery registers such objects again. Taking validity away is `synchronous=FULL`: it must be on disk before the first byte goes.

mod closure;
mod collection;
mod connection;
mod migrations;
mod objects;
mod read_only;
mod realisations;
mod roots;
mod signatures;
mod stored;

use std::path::{Path, PathBuf};

use crate::id::StorePath;

use self::connection::is_full;
pub(crate) use self::{
    collection::{GraphObject, Tombstone, is_facts},
    connection::{Database, Durability, Write},
    stored::StoredObject,
};
pub use self::{
    roots::{Root, RootKind},
    stored::ObjectState,
};

/// Why the database did not answer.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The file cannot be opened.
    #[error("cannot open the database `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A setting that the store relies on does not take.
    #[error("the database `{}` does not accept `PRAGMA {pragma}={wanted}` and has `{found}`", path.display())]
    Pragma {
        /// The file.
        path: PathBuf,
        /// The setting.
        pragma: &'static str,
        /// What the store needs.
        wanted: &'static str,
        /// What the database has.
        found: String,
    },
    /// A newer program has changed the database.
    #[error("the database `{}` has format {found}, but this program knows formats up to {supported} only", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this program knows.
        supported: i64,
    },
    /// The database has a format that would have to be changed first, and it cannot be written.
    #[error("the database `{}` has format {found} and can be read only after a command that may write has brought it to format {needed}", path.display())]
    OlderFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that this program needs.
        needed: i64,
    },
    /// The store can be read only.
    #[error("the store `{}` is read-only: {reason}", root.display())]
    ReadOnly {
        /// The store's directory.
        root: PathBuf,
        /// Why.
        reason: ReadOnlyReason,
    },
    /// The database was not closed properly and its log cannot be read without writing.
    #[error("the database `{}` was not closed properly, and what its log holds can be read only where the store can be written", path.display())]
    UnreadableLog {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be looked at.
    #[error("cannot read the database `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others change the database faster than it can be read without locks.
    #[error("the database of the store `{}` changes while it is read", root.display())]
    Changing {
        /// The store's directory.
        root: PathBuf,
    },
    /// The file belongs to another program.
    #[error("`{}` is not a database of a store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the database for too long.
    #[error("the database is locked by another process for more than {seconds} s")]
    Busy {
        /// How long was waited.
        seconds: u64,
    },
    /// The file system of the database has no room.
    #[error("cannot {action}: the file system of the store's database is full")]
    Full {
        /// What was to be done, as a verb and its object.
        action: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("cannot {action} in the database")]
    Query {
        /// What was to be done, as a verb and its object.
        action: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A row holds what the store never writes.
    #[error("the database is damaged: the row of `{row}` has an illegal {column}")]
    Damaged {
        /// Which row.
        row: String,
        /// Which column.
        column: &'static str,
    },
    /// An object is to be registered before something it refers to.
    #[error("`{path}` cannot be registered: `{reference}`, which it refers to, is not valid")]
    DanglingReference {
        /// The object.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// Two objects share 200 bits of their ids and the name, or someone has tampered with an id.
    #[error("the store path `{path}` is taken by another object")]
    Collision {
        /// The path.
        path: StorePath,
    },
    /// An object was valid when it was to be added, and is no longer.
    #[error("`{path}` was found damaged while it was being added")]
    LostValidity {
        /// The object.
        path: StorePath,
    },
    /// A path that is not valid is to be a root.
    #[error("`{path}` is not valid, so it cannot be a root")]
    NotValid {
        /// The path.
        path: StorePath,
    },
}

/// Why a store can only be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadOnlyReason {
    /// Nobody can write there, from here.
    #[error("`{}` lies on a file system that is mounted read-only", path.display())]
    Mount {
        /// A directory or file of the store.
        path: PathBuf,
    },
    /// The database cannot be opened to write for want of room.
    #[error("its file system is full")]
    Full,
    /// Somebody else can.
    #[error("this user may not write to `{}`", path.display())]
    Permission {
        /// A directory or file of the store.
        path: PathBuf,
    },
}

impl DbError {
    /// Tells whether the file itself is the trouble, so that it has to be made again from the records.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Foreign { .. } | Self::Damaged { .. } => true,
            Self::Open { source, .. } | Self::Query { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            _ => false,
        }
    }

    /// Returns a function that says what a failed statement was to do.
    fn query(action: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| {
            if is_full(&source) {
                Self::Full { action, source }
            } else {
                Self::Query { action, source }
            }
        }
    }

    /// Returns a function that says which database cannot be opened.
    fn open(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |source| {
            if is_full(&source) {
                let action = "open the database";
                Self::Full { action, source }
            } else {
                Self::Open {
                    path: path.to_owned(),
                    source,
                }
            }
        }
    }

    /// Returns a function that says which column is illegal.
    fn damaged(row: &str, column: &'static str) -> Self {
        Self::Damaged {
            row: row.to_owned(),
            column,
        }
    }
}
