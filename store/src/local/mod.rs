//! The store on this disk.
//!
//! Invariant: what the database calls valid lies at its place whole, synced and with its recorded content, whatever process or machine
//! died when. So a reader needs no lock: it asks for validity, holds a lease, and reads.
//!
//! An add goes: lease → reserve space → write each file once into staging, hashing and scanning it in the same pass → replace scratch
//! digests, seal → one `syncfs` → rename into place, references first → sync the renames → one transaction. Until the last step the
//! staging directory is there and locked, so whoever opens the store after a crash knows exactly what to look at.

mod access;
mod add;
mod arrive;
mod batch;
mod budget;
mod buffer;
mod check;
mod commit;
mod components;
mod copy;
mod directories;
mod draft;
mod error;
mod files;
mod hash;
mod ingest;
mod lease;
mod links;
mod measure;
mod open;
mod options;
mod parents;
mod place;
mod query;
mod rebuild;
mod record;
mod recover;
mod repair;
mod revive;
mod rewrite;
mod room;
mod root_record;
mod seal;
mod share;
mod signatures;
mod staging;
mod trash;
mod verify;
mod watch;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::check::{check_in as check, is_recorded};
pub(crate) use self::{
    arrive::{Arrival, Arrivals, Arrived, Assembly, Expected, split_into_batches},
    place::PlaceError,
};
pub use self::{
    batch::{AddBatch, AddObject, AddSource, KnownComponents, NewRealisation},
    error::{AddError, LeaseError, OpenError, RootError},
    lease::Lease,
    open::LocalStore,
    options::{Limits, StoreEvent, StoreOptions},
    rebuild::{RebuildError, RebuildReport},
    repair::{Mended, NoRestorer, RepairError, RepairReport, Restorer, Unrepaired},
    verify::{Finding, Problem, VerifyDepth, VerifyError, VerifyOptions, VerifyReport},
    watch::{Progress, Watch},
};
pub use crate::sys::FileError;
