//! Where the facts of an output are.

use serde::{Deserialize, Serialize};

use crate::id::{ObjectId, StorePath};

/// The object that holds the facts of an output. The whole identity makes it one that can be fetched from any cache, whoever signs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsObject {
    /// Its store path.
    pub path: StorePath,
    /// Its whole identity.
    pub id: ObjectId,
}
