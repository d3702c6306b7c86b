//! What an output was made from: recipe, sources, patches.

use serde::{Deserialize, Serialize};

use super::Stated;

/// One file of a recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeFile {
    /// Its label, for instance `//zlib/recipe.star`; in a project, its path there.
    pub label: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// One archive or tree of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFacts {
    /// Its file name.
    pub name: String,
    /// What it is for.
    pub role: SourceRole,
    /// Where it can be fetched, best first; empty for a project's own files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Its size; of a tree, the sum of its files, in bytes.
    pub size: u64,
    /// SHA-256 in hex; none of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-512 in hex; none of a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<String>,
    /// The store object it lies in; empty where that was not in the store when this was recorded.
    pub object: String,
    /// The package URL of the software of others that came in it, or of the package of the toolchain that it is; none of the main ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// The license of what is in the output of it, where neither a recipe nor a component states that: of the toolchain's libraries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The number of regular files in it.
    pub files: u64,
    /// Why it was not looked into, if it was not: a format that is not known, a member that is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// What the package in it says of who made it; none of what is no package of others, and of what says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<Stated>,
}

impl SourceFacts {
    /// Returns whether somebody has looked into it, to its end or not.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        !self.object.is_empty()
    }
}

/// What a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceRole {
    /// The software itself.
    Main,
    /// Software of others that is part of it: a crate, a module, a wheel.
    Vendored,
    /// Patches, such as Debian's.
    Patch,
    /// Files of the recipe.
    Data,
    /// A package of the seed of which something is in the output: a static library, start files, the standard library of a language.
    Toolchain,
}

/// One patch that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchFacts {
    /// Its file name, as in its series.
    pub name: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// The source that it lies in, by its place in [`Facts::sources`](super::Facts); none where it is a source itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// What its header says: DEP-3 fields and free text, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub header: String,
    /// The vulnerabilities that its header says it fixes, for instance `CVE-2023-50246`; never taken from its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
}
