//! Which object an output was built to.

use serde::{Deserialize, Serialize};

use crate::id::{ObjectId, ResolvedDigest, StorePath};

/// The statement that building `resolved` made `object` of its output `output`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Realisation {
    /// What was built.
    pub resolved: ResolvedDigest,
    /// Which of its outputs, for instance `out`.
    pub output: String,
    /// What came out.
    pub object: ObjectId,
    /// Where that lies.
    pub path: StorePath,
    /// How tightly the build was confined: `full`, or the name of a weaker level.
    pub sandbox: String,
    /// When the build ended, in seconds since 1970.
    pub built_at: u64,
    /// How long it took.
    pub duration_ms: u64,
}

/// What is recorded of one output of a build, whether the object is still here or not. Only who knows the output's name can say where that lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedOutput {
    /// Which output, for instance `out`.
    pub output: String,
    /// What came out.
    pub object: ObjectId,
    /// Whether that is valid here.
    pub is_valid: bool,
    /// How tightly the build was confined.
    pub sandbox: String,
    /// When the build ended, in seconds since 1970.
    pub built_at: u64,
    /// How long it took.
    pub duration_ms: u64,
}

impl RecordedOutput {
    /// Returns the realisation of `resolved` that this is of, whose object lies at `path`.
    #[must_use]
    pub fn realisation(&self, resolved: ResolvedDigest, path: StorePath) -> Realisation {
        Realisation {
            resolved,
            output: self.output.clone(),
            object: self.object,
            path,
            sandbox: self.sandbox.clone(),
            built_at: self.built_at,
            duration_ms: self.duration_ms,
        }
    }
}
