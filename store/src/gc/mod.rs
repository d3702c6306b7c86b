//! Garbage collection: which objects nothing keeps, and how they go while everybody else works on.
//!
//! What keeps an object, and all that it leads to: a *root* (a named row; some are links in the file system and keep nothing once the link is gone), a *lease* of a
//! living process, and the *use* that a running process makes of a path without a lease. Whatever cannot be read is an error, never "nothing".
//!
//! An object of [facts](crate::facts) is kept by the object whose facts it has, as if that referred to it; but where it is missing nothing dangles.
//!
//! # The protocol
//!
//! An object is *valid*, *being deleted* (a tombstone), *damaged*, or unknown. One collector at a time (`var/lock/gc`) goes through its candidates in
//! batches, what refers before what is referred to:
//!
//! 1. **Tombstones**, one transaction that survives a power cut. In it, with `var/lock/leases` held, leases and roots are read again; a candidate that is leased, rooted or
//!    referred to by what is not itself being deleted stays. After the commit nobody can find the object valid; see [`crate::local::Lease`] for
//!    why nobody can have leased and found it just before.
//! 2. **Removal**, one transaction: rows that still are tombstones go, their objects and records are renamed into the collector's directory below `.trash`.
//! 3. **Unlinking**, in parallel, while the next batches are decided.
//!
//! An add, or [`LocalStore::hold`](crate::LocalStore::hold), that meets a tombstone leases the object and settles the matter in one transaction: valid again if the bytes
//! are there, else *damaged*, which no collector touches while the lease lives; only then does an add put bytes into the object's place. So transactions
//! order all that happens to one object:
//!
//! * before step 1: the collector sees the lease, and the object stays valid;
//! * between 1 and 2: the object is valid again, and step 2 passes it over;
//! * after 2: there is no row and nothing at the place; the object is added as one that was never there.
//!
//! Step 2 renames only what had its row in the same transaction, so it can never take what an add has put in place meanwhile.
//!
//! # What a crash leaves
//!
//! Before the commit of step 1: nothing. Before that of step 2: tombstones, objects at their places or whole in the trash; the next who opens the store, or the next collector,
//! does step 2 for them. After it: trash, which the next who opens the store removes. A power cut may undo step 2 and keep a part of step 3, but never step 1: so a
//! row never says that an object is valid whose bytes were touched. It may also undo the transaction that made an object valid again; therefore the first to open
//! the store after a power cut makes all tombstones valid whose bytes are in place and hash to their ids, before it deletes the others.

mod collect;
mod delete;
mod disk;
mod graph;
mod keepers;
mod policy;
mod report;
mod roots;
mod runtime;
mod usage;

use crate::{db::DbError, id::StorePath, local::LeaseError, sys::FileError};

pub use self::{
    collect::{GcEvent, GcMode, GcOptions},
    keepers::{Keeper, Why},
    report::{CollectedObject, GcReport, KeeperSize, RootReport},
    roots::RootState,
    usage::{KeeperUsage, TargetUsage, Usage},
};

/// Why garbage was not collected, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The leases of other processes cannot be read.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// It is unknown whether a root still keeps anything.
    #[error("cannot tell whether the root `{name}` still keeps anything")]
    Root {
        /// The root.
        name: String,
        /// What could not be read.
        #[source]
        source: FileError,
    },
    /// It is unknown what running processes use.
    #[error("cannot tell which store paths running processes use")]
    Processes {
        /// What could not be read.
        #[source]
        source: FileError,
    },
    /// The path that is asked about is not in the store.
    #[error("`{path}` is not valid in this store")]
    NotValid {
        /// The path.
        path: StorePath,
    },
    /// The caller wanted it to stop. What was deleted until then is deleted.
    #[error("the collection was stopped")]
    Interrupted,
}
