//! The document in the object of facts.

use serde::{Deserialize, Serialize};

use super::{
    CopyrightFacts, FileFacts, Finding, LinkFacts, PatchFacts, RecipeFile, SourceFacts, SourceRole,
    Stated, TextFacts,
};

/// The version of [`Facts`] that this program writes. It reads all before it as well: each only adds to them.
///
/// 2 names the packages of the toolchain of which something is in the output; 3 takes no exception for a license; 4 has what packages of others say of their
/// makers; 5 takes no permission to link for a license without it; 6 names what is loaded on demand, and a library by its file rather than by a link to it.
pub const FACTS_VERSION: u32 = 6;
/// How a document of each version begins.
const VERSION_FIELD: &str = "{\"version\":";

/// All that was observed of one output.
///
/// Every list is sorted and without duplicates, so that equal observations are equal bytes. Nothing depends on the time or the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// [`FACTS_VERSION`], or an older one.
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
        "the facts are of version {found}, this program reads versions up to {FACTS_VERSION}: use a newer `pith`"
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
        if !(1..=u64::from(FACTS_VERSION)).contains(&version) {
            return Err(FactsError::Version { found: version });
        }
        serde_json::from_slice(bytes).map_err(FactsError::Shape)
    }
}

impl Facts {
    /// Returns the package of the toolchain that a [`LinkInput`](super::LinkInput) names as its component.
    #[must_use]
    pub fn find_toolchain(&self, component: &str) -> Option<&SourceFacts> {
        self.sources.iter().find(|source| {
            let purl = source.purl.as_deref().unwrap_or_default();
            let rest = purl
                .strip_prefix("pkg:deb/debian/")
                .and_then(|rest| rest.strip_prefix(component));
            source.role == SourceRole::Toolchain && rest.is_some_and(|rest| rest.starts_with('@'))
        })
    }

    /// Returns what the package of others with this package URL says of itself.
    #[must_use]
    pub fn find_stated(&self, purl: &str) -> Option<&Stated> {
        let mut sources = self.sources.iter();
        sources.find_map(|source| {
            source
                .stated
                .as_ref()
                .filter(|_| source.purl.as_deref() == Some(purl))
        })
    }

    /// Returns the version that the first bytes of a document name, without reading the rest; none where they are not those of one.
    #[must_use]
    pub fn peek_version(head: &[u8]) -> Option<u32> {
        let rest = head.strip_prefix(VERSION_FIELD.as_bytes())?;
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_can_be_read_from_the_first_bytes() -> Result<(), serde_json::Error> {
        let document = serde_json::to_vec(&Facts::default())?;
        assert_eq!(Facts::peek_version(&document), Some(FACTS_VERSION));
        for other in ["", "{", "{\"version\":", "{\"version\":1", "{\"files\":[]}"] {
            assert_eq!(Facts::peek_version(other.as_bytes()), None, "{other}");
        }
        Ok(())
    }

    #[test]
    fn older_facts_are_read_and_newer_ones_refused() {
        assert!(Facts::from_json(b"{\"version\":1}").is_ok());
        for (text, found) in [("{\"version\":0}", 0), ("{\"version\":99}", 99)] {
            let refused = Facts::from_json(text.as_bytes());
            assert!(
                matches!(refused, Err(FactsError::Version { found: version }) if version == found)
            );
        }
    }
}
