//! Objects and realisations from the local store into a cache.
//!
//! Invariant: **whoever meets a name in the cache finds all that it leads to**, at every moment and whoever dies when: packs are there before the manifests that point into them,
//! manifests before records, the records of references before those of what refers to them, and all of them before bundles, realisations and hints. Nothing is written of an object whose
//! bytes are not what the store has recorded. What others wrote stays: lists of signatures and realisations are read, merged, written and read again.
//!
//! A push first asks what is there; for a target that was pushed before, that is its bundle and the hint of its plan, and nothing is left to do. Else only what is missing goes out: blobs that
//! another object in the cache has, among them the last one of the same name without version, are pointed at, and so are the unchanged chunks of large ones.
//!
//! Objects go in batches, each of which is complete before the next one begins. So a push that is killed loses what it had begun of one batch, and of that the packs stay, which the next
//! one makes again, bit by bit the same, and does not send.
//!
//! While somebody [collects](super::gc) the cache, a push claims what it relies on before it writes anything that leads there, or begins anew.
//!
//! ```no_run
//! use std::{collections::BTreeSet, sync::atomic::AtomicBool};
//! use store::{LocalStore, StorePath};
//! use store::cache::{push::{PushError, PushRequest, Pusher}, source::Source};
//!
//! fn share(store: &LocalStore, cache: &Source, path: StorePath) -> Result<u64, PushError> {
//!     let request = PushRequest { targets: vec![path], ..PushRequest::default() };
//!     let report = Pusher::new(store, cache).push(&request, &|_| {}, &AtomicBool::new(false))?;
//!     Ok(report.sent_bytes)
//! }
//! ```
//!
//! Not responsible for what was built from what: whoever knows derivations hands over hints and the places of logs.

mod batch;
mod blobs;
mod endings;
mod gate;
mod known;
mod merge;
mod pusher;
mod request;
mod session;
mod survey;

pub use self::{
    pusher::Pusher,
    request::{BuildLog, PlannedHint, PushEvent, PushReport, PushRequest},
};

use std::path::PathBuf;

use super::{format::FormatError, pack::PackError, source::SourceError};
use crate::{ClosureError, FileError, LeaseError, StorePath, db::DbError};

/// Why a push ended before everything was in the cache.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// What is to be pushed is not whole here.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// What is to be pushed cannot be kept from the collector.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// An object was built in a sandbox that confines less than others may rely on.
    #[error("`{path}` was built in the weak sandbox `{level}`")]
    WeakSandbox {
        /// The object.
        path: StorePath,
        /// How its build was confined.
        level: String,
    },
    /// The bytes of an object are not those that were recorded when it was added.
    #[error("`{path}` is damaged: `{file}` has other bytes than were recorded")]
    Damaged {
        /// The object.
        path: StorePath,
        /// The file, relative to it; `.` for the object itself.
        file: String,
        /// What was found.
        #[source]
        source: Box<PackError>,
    },
    /// The record of an object does not say what the object is made of.
    #[error("the record of `{path}` does not say what it is made of")]
    Unrecorded {
        /// The object.
        path: StorePath,
    },
    /// An object cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// The object.
        path: StorePath,
        /// Why.
        #[source]
        source: FileError,
    },
    /// Blobs cannot be packed.
    #[error("cannot pack the objects")]
    Pack(#[from] PackError),
    /// Nothing can be written there.
    #[error("the cache `{cache}` cannot be written")]
    NotWritable {
        /// Its address.
        cache: String,
    },
    /// The cache did not do what it was asked.
    #[error(transparent)]
    Cache(#[from] SourceError),
    /// A file of the cache is of another version or store directory, or cannot be merged with what is new.
    #[error("`{file}` cannot be used")]
    Format {
        /// The file's address.
        file: String,
        /// Why.
        #[source]
        source: FormatError,
    },
    /// Others write a file again and again.
    #[error("others keep changing `{file}`")]
    Contended {
        /// The file's address.
        file: String,
    },
    /// Files that the push relies on are being collected.
    #[error("`{cache}` is being collected, and what this push needs of it goes")]
    Collected {
        /// Its address.
        cache: String,
    },
    /// What a push needs cannot be claimed.
    #[error("no name can be drawn for a claim")]
    Draw(#[source] std::io::Error),
    /// A log cannot be read.
    #[error("cannot read the log `{}`", path.display())]
    Log {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The caller wants no more.
    #[error("the push was interrupted")]
    Interrupted,
}
