//! Policies: what may be shipped, as somebody has decided it and written it down. Pure.
//!
#![doc = include_str!("FORMAT.md")]

mod day;
mod join;
mod json;
mod layer;
mod parse;
mod pattern;
#[expect(clippy::module_inception, reason = "the type that the folder is about")]
mod policy;
mod print;
mod reader;

use thiserror::Error;

use crate::audit::Place;

pub use day::{Day, NotADay};
pub use layer::{Grants, Layer};
pub use pattern::{ComponentPattern, LicensePattern, NotOneComponent, PatternError};
pub use policy::{
    Action, Clarification, Entry, Exception, LicenseRules, Loosened, MissingFacts, Obligation,
    Policy, Rule, SandboxLevel, Setting, Subject, UnknownObligation,
};

/// Why a file is no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// It is not TOML.
    #[error("{place}: {problem}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// Nothing has this key.
    #[error("{place}: there is no key `{key}`{}", meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// A value is of another kind.
    #[error("{place}: `{key}` must be {expected}")]
    Type {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A word is none of those that are known.
    #[error("{place}: `{key}` is `{found}`, but must be {}", expected.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "))]
    Word {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// The word.
        found: String,
        /// What it may be.
        expected: Vec<&'static str>,
    },
    /// A value means nothing.
    #[error("{place}: {problem}")]
    Value {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// Something that is needed is not there.
    #[error("{place}: there is no `{key}`")]
    Missing {
        /// The table that should have it.
        place: Place,
        /// Its key.
        key: &'static str,
    },
}
