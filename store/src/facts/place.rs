//! Where the facts of an output are.

use serde::{Deserialize, Serialize};

use crate::id::{IdError, MAX_NAME_LENGTH, ObjectId, StoreName, StorePath};

/// What the name of an object of facts ends with.
pub const FACTS_SUFFIX: &str = "-facts";

/// Returns the name of the object with the facts of an output of this name; of one that is too long, its beginning.
pub fn facts_name(output: &StoreName) -> Result<StoreName, IdError> {
    let end = MAX_NAME_LENGTH - FACTS_SUFFIX.len();
    // Names are ASCII, so every place is one between characters.
    let kept = output.as_str().get(..end).unwrap_or(output.as_str());
    format!("{kept}{FACTS_SUFFIX}").parse()
}

/// The object that holds the facts of an output. The whole identity makes it one that can be fetched from any cache, whoever signs there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsObject {
    /// Its store path.
    pub path: StorePath,
    /// Its whole identity.
    pub id: ObjectId,
}
