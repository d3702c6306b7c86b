//! What may be shipped, and what proves it: facts → policy → diagnostics.
//!
//! Everything starts with what is recorded of a closure ([`Gathered`]); nothing here builds, fetches or asks a network.

mod gather;

pub use gather::{GatherError, Gathered, Part};
