//! Applies a policy to components: pure, from values to findings.
//!
//! Each component has a license that counts ([`assess`](super::license::assess)); of its alternatives one is chosen. For every way in which it is used, the
//! policy answers in this order: `deny`, the first rule that fits, `allow`, and what is unknown. An exception that fits silences the answer; one that has
//! ended is as if it were not there.

mod builds;
mod clarification;
mod combined;
mod components;
mod conclusions;
mod decide;
mod exception;
mod judgement;
mod lints;
mod obligations;
mod session;
#[cfg(test)]
mod tests;

pub use conclusions::conclusions;
pub(crate) use conclusions::reviewed_conclusions;
pub use judgement::{Audit, Judged};
pub use session::judge;
