//! What may be shipped, and what proves it: facts → policy → diagnostics.
//!
//! Everything starts with what is recorded of a closure ([`Gathered`]); nothing here builds, fetches or asks a network.

pub mod bytes;
mod code;
mod diagnostic;
mod drift;
mod gather;
pub mod inventory;
mod judge;
pub mod license;
mod listing;
pub mod notice;
pub mod obligation;
pub mod policy;
pub mod report;
mod reviewed;
pub mod sources;
pub mod trace;

pub use code::{Code, UnknownCode};
pub use diagnostic::{Diagnostic, Place, Severity, Step, Verdict};
pub use drift::{Change, ComponentDrift, Drift, FactDrift};
pub use gather::{GatherError, Gathered, Part};
pub(crate) use judge::reviewed_conclusions;
pub use judge::{Audit, Judged, conclusions, judge};
pub use listing::{ListBy, Row, UnknownList, list};
