//! Objects and realisations out of caches, into the local store.
//!
//! Invariant: **nothing that a cache says is believed because the cache says it.** An object becomes valid only if its bytes have the id that it was asked for by;
//! what a derivation was built to counts only with the signatures that a [`Policy`](crate::trust::Policy) wants; where an object comes from (its component) is
//! kept only if that is signed as well. A cache that is down, slow, wrong or hostile costs time within the limits of its [`Source`](super::source::Source), never an object.
//!
//! A pull goes: lease → records of the closure, references first → which objects are missing, and which of their files are anywhere in the local store →
//! the frames that are left, by ranges of packs, in parallel and regardless of references → each frame checked, each file hashed, each object sealed in staging →
//! validity, batch by batch, references first. What several caches have is taken from the fastest; what one of them cannot give is asked of the next.
//!
//! A pull that is killed loses little: batches that were complete are valid, and the frames of a pull that took long lie under `var/tmp/pull`, from where the next one takes
//! them after checking them again.
//!
//! ```no_run
//! use std::sync::{Arc, atomic::AtomicBool};
//! use store::{LocalStore, ObjectId, StorePath, trust::Policy};
//! use store::cache::{pull::{PullError, Puller}, source::Source};
//!
//! fn fetch(store: &LocalStore, caches: &[Arc<Source>], wanted: &[(StorePath, ObjectId)]) -> Result<(), PullError> {
//!     let puller = Puller::new(store, caches, Policy::new(Default::default()), 1_800_000_000);
//!     let lease = store.lease().map_err(PullError::from)?;
//!     let pulled = puller.pull(wanted, &lease, &|_| {}, &AtomicBool::new(false))?;
//!     assert!(pulled.objects.len() >= wanted.len() || pulled.objects.is_empty());
//!     Ok(())
//! }
//! ```
//!
//! Not responsible for which derivation is wanted, nor for what to do without an answer.

mod bundle;
mod caches;
mod challenge;
mod fetch;
mod locate;
mod misses;
mod older;
mod plan;
mod puller;
mod queue;
mod report;
mod run;
mod sink;
mod spool;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "testing"))]
mod written;

pub use self::{
    challenge::{Difference, compare_objects, find_claims},
    puller::{Puller, forget_misses},
    report::{Answer, CacheAnswer, PullEvent, Pulled, TrustedRealisation, WithoutComponent},
};

#[cfg(any(test, feature = "testing"))]
pub use self::written::write_cache;

use std::sync::Arc;

use super::{backend::BackendError, format::FormatError, source::SourceError};
use crate::{AddError, LeaseError, StorePath, db::DbError, sys::FileError, trust::Reason};

/// Why objects could not be pulled. What a cache did wrong is a [`CacheError`].
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// No cache could give an object.
    #[error("no cache has `{path}`{}", report::list_answers(answers))]
    Missing {
        /// The object that was asked for, or one that it needs.
        path: StorePath,
        /// What each cache answered, in the order in which they were asked.
        answers: Vec<CacheAnswer>,
    },
    /// What was asked for contradicts itself.
    #[error("`{path}` is not the store path of the object {id}")]
    Name {
        /// The path.
        path: StorePath,
        /// The id.
        id: crate::ObjectId,
    },
    /// The store cannot take the objects.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What is there cannot be protected.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// What is remembered of caches cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The caller wants no more.
    #[error("the pull was interrupted")]
    Interrupted,
}

/// Why a cache did not give a file, or the file was of no use.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CacheError {
    /// It does not have it.
    #[error("it does not have `{file}`")]
    Absent {
        /// The file's name in the cache.
        file: String,
    },
    /// It was found not to have it a short time ago, and was not asked again.
    #[error("it did not have `{file}` {seconds} s ago")]
    Remembered {
        /// The file's name in the cache.
        file: String,
        /// How long ago.
        seconds: u64,
    },
    /// It does not let this user read it.
    #[error("it denies `{file}`")]
    Denied {
        /// The file's name in the cache.
        file: String,
        /// What is missing.
        #[source]
        source: Arc<BackendError>,
    },
    /// It did not answer, or not in time.
    #[error("it cannot be asked for `{file}` now")]
    Busy {
        /// The file's name in the cache.
        file: String,
        /// What happened.
        #[source]
        source: Arc<SourceError>,
    },
    /// What it gave is damaged.
    #[error("its `{file}` is damaged")]
    Corrupt {
        /// The file's name in the cache.
        file: String,
        /// What is wrong.
        #[source]
        source: Arc<Damage>,
    },
    /// What it says is not believed.
    #[error(
        "what it says of `{subject}` is not trusted: {}",
        report::list_reasons(reasons)
    )]
    Untrusted {
        /// The object or the derivation.
        subject: String,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// It is of another version, or for another store directory.
    #[error("it is not a cache that can be used here")]
    Incompatible {
        /// Why not.
        #[source]
        source: Arc<FormatError>,
    },
}

/// What is wrong with a file of a cache.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// The cache itself noticed, or the connection did.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not what its name says.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// A frame does not hold what it should.
    #[error(transparent)]
    Pack(#[from] super::pack::PackError),
    /// The bytes are no object of that path.
    #[error("the bytes are not those of `{path}`")]
    Identity {
        /// The path.
        path: StorePath,
    },
    /// A record is of another object of that path.
    #[error("the record of `{path}` is of another object")]
    Other {
        /// The path.
        path: StorePath,
    },
}
