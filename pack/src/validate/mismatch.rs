//! What can be wrong.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The member, the file or the store path that it is about.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
    /// What that means.
    pub kind: MismatchKind,
}

/// What it means that something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MismatchKind {
    /// The image is not what it says: a digest, a size, a document or an entry is not as it should be.
    Damage,
    /// The image is what it says, but has something in it that no image of this crate has.
    Contents,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.place, self.problem)
    }
}
