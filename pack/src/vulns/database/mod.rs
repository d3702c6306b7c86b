//! Databases of vulnerabilities as files: OSV's dumps, RustSec's directory, Debian's tracker.
//!
//! **Invariant.** All of a database is read and counted, or it is an error or an [`Unreadable`] file of it: what is left out by mistake would look like software
//! without vulnerabilities. Nothing is fetched.

mod load;
mod osv;
mod record;
mod rustsec;
mod snapshot;
mod tracker;
mod wanted;

pub use load::{Database, DatabaseError};
pub use snapshot::{DatabaseKind, Expectation, Snapshot, Unreadable};
pub use wanted::Wanted;
