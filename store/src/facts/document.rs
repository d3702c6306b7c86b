//! The document in the object of facts.

use serde::{Deserialize, Serialize};

use super::{
    CopyrightFacts, FileFacts, Finding, LinkFacts, PatchFacts, RecipeFile, SourceFacts, TextFacts,
};

/// The version of [`Facts`] that this program writes and reads.
pub const FACTS_VERSION: u32 = 1;

/// All that was observed of one output.
///
/// Every list is sorted and without duplicates, so that equal observations are equal bytes. Nothing depends on the time or the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FACTS_VERSION`].
    pub version: u32,
    /// The recipe's files that the output was built by; the recipe itself first, then what it loads, by label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipe: Vec<RecipeFile>,
    /// What it is made of, in the recipe's order; then what others' software in it came in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceFacts>,
    /// What was applied to the sources, in order of application.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<PatchFacts>,
    /// License and notice texts of the sources, by source and path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<TextFacts>,
    /// What the texts and the headers of the sources say of licenses, by source and path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Statements of copyright in the sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copyrights: Vec<CopyrightFacts>,
    /// What its programs and libraries were linked of, by file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkFacts>,
    /// Its regular files, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileFacts>,
}

/// Why bytes are no facts.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// They are of a version that this program does not know.
    #[error(
        "the facts are of version {found}, this program reads version {FACTS_VERSION}: use a newer `pith`"
    )]
    Version {
        /// Their version.
        found: u64,
    },
    /// They have another shape.
    #[error("the facts cannot be read: {0}")]
    Shape(#[source] serde_json::Error),
}

impl Facts {
    /// Parses `facts.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, FactsError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let Version { version } = serde_json::from_slice(bytes).map_err(FactsError::Shape)?;
        if version != u64::from(FACTS_VERSION) {
            return Err(FactsError::Version { found: version });
        }
        serde_json::from_slice(bytes).map_err(FactsError::Shape)
    }
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            version: FACTS_VERSION,
            recipe: Vec::new(),
            sources: Vec::new(),
            patches: Vec::new(),
            texts: Vec::new(),
            findings: Vec::new(),
            copyrights: Vec::new(),
            links: Vec::new(),
            files: Vec::new(),
        }
    }
}
