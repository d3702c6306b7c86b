//! Which object an output was built to.

use serde::{Deserialize, Serialize};

use crate::id::{ObjectId, ResolvedDigest, StorePath};

/// The statement that building `resolved` made `object` of its output `output`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
