//! Which known vulnerabilities software has, from databases that are files: offline, and never called clean for want of data.
//!
//! **Invariant.** Nothing is clean by default. A database that is empty, shrunken, old or partly unreadable, a register of which no database speaks, a version that
//! cannot be compared: each makes the answer [`Outcome::Undecided`]. Every match says by which name and which rule it was found; names alone are clues, and
//! decide nothing.
//!
//! The way: [`subjects_of_closure`] or [`read_bill`] says what there is, [`Wanted::of`] what to look for, [`Database::load`] reads, [`check`] judges, without
//! touching the world, and [`write_vex`] tells others.
//!
//! Not responsible for: fetching databases, and whether a vulnerability can be reached in a program; that is for people to state ([`Waiver`]).

mod advisory;
mod bill;
mod check;
mod closure;
mod database;
mod debian;
mod drift;
mod group;
mod judge;
mod key;
mod order;
mod policy;
mod purl;
mod report;
mod severity;
mod subject;
mod vex;
mod waiver;

pub use advisory::{Advisory, Affected, Event, NameRule, Range, VersionRule};
pub use bill::{Bill, BillError, read_bill};
pub use check::{Options, check};
pub use closure::subjects_of_closure;
pub use database::{
    Database, DatabaseError, DatabaseKind, Expectation, Snapshot, Unreadable, Wanted,
};
pub(crate) use debian::release_name as debian_release_name;
pub use drift::{Drifted, VulnerabilityDrift};
pub(crate) use key::UPSTREAM;
pub use key::{Ecosystem, Key};
pub use order::Order;
pub use policy::{Policy, PolicyError, parse_age};
pub use purl::{Purl, PurlError};
pub use report::{
    Coverage, Finding, Fix, Match, Outcome, Problem, ProblemCode, Report, Status, Summary,
};
pub use severity::{Rating, Score, Severity, UnknownSeverity};
pub use subject::{DebianSource, Patch, Place, Relation, Subject};
pub use vex::{VexDocument, VexError, read_vex, write_vex};
pub use waiver::{Claim, Justification, Selector, Waiver};
