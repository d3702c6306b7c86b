//! A closure as one stream, from a store and into another.
//!
//! Invariant: what is imported hashes to its id, whoever wrote the stream; a stream that is cut or damaged anywhere is told from a whole one, and what was complete before
//! that stays. Memory is bounded by the records and trees of the stream and a few pieces of contents.
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use store::{LocalStore, StorePath, Watch};
//! use store::export::{Believe, export, import};
//!
//! fn copy(from: &LocalStore, to: &LocalStore, path: &StorePath) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut stream = Vec::new();
//!     export(from, std::slice::from_ref(path), &mut stream, &Watch::nobody())?;
//!     let lease = to.lease()?;
//!     let imported = import(to, &mut &stream[..], Believe::Everything, &lease, &Watch::nobody())?;
//!     assert_eq!(imported.roots, std::slice::from_ref(path));
//!     Ok(())
//! }
//! ```
//!
//! The format:
#![doc = include_str!("FORMAT.md")]

mod contents;
mod payload;
mod read;
mod write;

pub use self::{
    read::{Believe, Imported, import},
    write::{Exported, export},
};

use std::io;

use crate::{
    AddError, ClosureError, LeaseError, StorePath,
    cache::format::{FormatError, FrameError},
    db::DbError,
    sys::FileError,
    tree::TreeError,
};

/// Why a closure cannot be exported. What was written before is no whole stream.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is not here as a whole.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// It cannot be protected meanwhile.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A file of an object cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of an object is not what it was.
    #[error("`{file}` of `{path}` is damaged")]
    Damaged {
        /// The object.
        path: StorePath,
        /// The file.
        file: String,
    },
    /// The record of an object does not say what it is made of.
    #[error("the record of `{path}` is damaged")]
    Record {
        /// The object.
        path: StorePath,
    },
    /// The closure is more than a stream can hold.
    #[error("the closure is too large for one stream: {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
    },
    /// A fact cannot be written.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The stream cannot be written.
    #[error("cannot write the stream")]
    Write(#[source] io::Error),
    /// The caller wants no more.
    #[error("the export was interrupted")]
    Interrupted,
}

/// Why a stream cannot be imported to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The stream cannot be read.
    #[error("cannot read the stream")]
    Read(#[source] io::Error),
    /// It does not begin as one.
    #[error("this is no exported closure")]
    NotAStream,
    /// It is of another version.
    #[error("the stream has version `{}`, but only version 1 is known", found.escape_debug())]
    Version {
        /// Its version.
        found: String,
    },
    /// It ends before its end.
    #[error("the stream is not whole: it ends after {bytes} bytes")]
    Truncated {
        /// How many there are.
        bytes: u64,
    },
    /// A part cannot be decompressed.
    #[error("the stream is damaged before byte {bytes}")]
    Frame {
        /// How far it was read.
        bytes: u64,
        /// What is wrong.
        #[source]
        source: FrameError,
    },
    /// It was changed on its way.
    #[error("the stream is damaged: its digest is not the one at its end")]
    Digest,
    /// Something follows its end.
    #[error("something follows the end of the stream")]
    Trailing,
    /// It breaks a rule of its format.
    #[error("the stream is malformed: {rule}")]
    Malformed {
        /// What should have been.
        rule: &'static str,
    },
    /// A record or a realisation is none.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The trees of an object are not those of its root.
    #[error("the trees of `{path}` are wrong")]
    Trees {
        /// The object.
        path: StorePath,
        /// Why.
        #[source]
        source: Box<TreeError>,
    },
    /// The bytes of an object are not its own.
    #[error("the stream has other bytes than those of `{path}`")]
    Object {
        /// The object.
        path: StorePath,
    },
    /// The store cannot take the objects.
    #[error(transparent)]
    Add(#[from] AddError),
    /// They cannot be protected.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The caller wants no more.
    #[error("the import was interrupted")]
    Interrupted,
}
