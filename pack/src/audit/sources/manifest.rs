//! What a bundle says of itself.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The version of [`Manifest`] that this program writes and reads.
pub const MANIFEST_VERSION: u32 = 2;

/// What is in a bundle, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// What wrote it, and can build it again.
    pub tool: BundledTool,
    /// The image.
    pub image: BundledImage,
    /// Of which components the sources are in it.
    pub scope: Scope,
    /// Whether the toolchain is in it, so that nothing else is needed to build the image again.
    pub has_toolchain: bool,
    /// The components, by name, version and derivation.
    pub components: Vec<BundledComponent>,
    /// The files of the toolchain, by name.
    pub toolchain: Vec<BundledFile>,
    /// The recipes and scripts, by path.
    pub recipes: Vec<BundledRecipe>,
}

/// What wrote a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledTool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The version of the rules by which layers are made.
    pub format: u32,
}

/// The image that the sources are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledImage {
    /// The target that it was packed from, with every default.
    pub target: String,
    /// What it runs on, as recipes call it.
    pub platform: String,
    /// The digest of its manifest.
    pub manifest: String,
}

/// Of which components a bundle has the sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Those whose licenses ask for it.
    Obliged,
    /// All.
    All,
}

/// A text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no scope; known are `obliged` and `all`")]
pub struct UnknownScope(String);

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Obliged => "obliged",
            Self::All => "all",
        })
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        match text {
            "obliged" => Ok(Self::Obliged),
            "all" => Ok(Self::All),
            other => Err(UnknownScope(other.to_owned())),
        }
    }
}

/// One step that software is made in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledComponent {
    /// The name of the software.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its license.
    pub license: Option<String>,
    /// What the license asks for.
    pub duties: BTreeSet<String>,
    /// Whether an output of it is in the image, rather than used to make what is.
    pub is_shipped: bool,
    /// Where the recipe makes it: label and line.
    pub recipe: String,
    /// The identity of the evaluated build step.
    pub derivation: String,
    /// What it is made of, in the recipe's order.
    pub sources: Vec<BundledFile>,
    /// The source packages of the packages of binaries among these: nothing is built from them, and the license asks for them.
    pub source_packages: Vec<BundledFile>,
    /// What is applied to that, in the order of the recipe.
    pub patches: Vec<BundledFile>,
}

/// One file that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledFile {
    /// Its name.
    pub name: String,
    /// The digest by which the recipe names it, with the algorithm before it.
    pub digest: String,
    /// SHA-256 of its bytes, in hex; none where it is not in the bundle.
    pub sha256: Option<String>,
    /// Its place in the bundle; none where it is not in it.
    pub file: Option<String>,
    /// Where it can be had otherwise.
    pub urls: Vec<String>,
}

/// One file of the recipes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundledRecipe {
    /// Its place in the bundle.
    pub file: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// Something that should be in a bundle and is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The component.
    pub component: String,
    /// Its license.
    pub license: Option<String>,
    /// What is missing, and why.
    pub reason: String,
}

impl BundledComponent {
    /// Returns every file that was fetched for it: sources, source packages, patches.
    pub fn files(&self) -> impl Iterator<Item = &BundledFile> {
        let sources = self.sources.iter().chain(&self.source_packages);
        sources.chain(&self.patches)
    }
}

impl Manifest {
    /// Returns every file that was fetched: of components, then of the toolchain. The same one may be there several times.
    pub fn files(&self) -> impl Iterator<Item = &BundledFile> {
        let components = self.components.iter();
        let components = components.flat_map(BundledComponent::files);
        components.chain(&self.toolchain)
    }
}
