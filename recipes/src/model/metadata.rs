//! What is said about a derivation without being part of it: no digest covers anything in this file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{OutputRef, SmokeCommand};

/// Facts about a package for people, audits and image documents.
///
/// Never part of an identity: correcting a license or a description rebuilds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The package's name without its version, `zlib`.
    pub name: String,
    /// The upstream version, `1.3.1`.
    pub version: Option<String>,
    /// The declared license, an SPDX expression in text.
    pub license: Option<String>,
    /// One line for `search` and `show`.
    pub description: Option<String>,
    /// The project's home page.
    pub homepage: Option<String>,
    /// The name in the CPE dictionary, for finding advisories.
    pub cpe: Option<String>,
    /// The package URL of the upstream project.
    pub purl: Option<String>,
    /// Who looks after the recipe, in the recipe's order.
    pub maintainers: Vec<String>,
    /// Why the package should not be used any more, if so.
    pub deprecated: Option<String>,
    /// The fetches the package is made of, in the recipe's order; where empty, the fetches among the direct inputs
    /// stand for it.
    pub sources: Vec<OutputRef>,
    /// The files of the source packages that binaries among the sources were built from, in the recipe's order. Nothing is built
    /// from them: they are fetched where the source has to be passed on.
    pub source_packages: Vec<OutputRef>,
    /// What of the sources is in nothing that is shipped: what paths in them begin with → reason. What is said of licenses there is none of the package's.
    pub unshipped: BTreeMap<String, String>,
    /// What the package must run well once it is built, in the recipe's order.
    pub smoke: Vec<SmokeCommand>,
    /// The rules of the lint that the package need not keep: code → reason.
    pub accepted: BTreeMap<String, String>,
}

/// Bounds on one build; exceeding one fails the build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the builder may run; `None` leaves it to the caller's default.
    pub timeout: Option<Duration>,
    /// How long the builder may write nothing to its log; `None` leaves it to the caller's default.
    pub silence: Option<Duration>,
}

/// A place in a recipe file; lines and columns count from one, columns in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file's label (`//zlib/recipe.star`) or, in a project, its path.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One file that a recipe is made of, as it was evaluated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeText {
    /// The file's label (`//zlib/recipe.star`) or, in a project, its path there.
    pub label: String,
    /// What it says.
    pub text: Arc<str>,
}

/// The files that a derivation comes from: the recipe itself, then all that it loads, by label. Shared by all derivations of the recipe.
pub type RecipeTexts = Arc<[RecipeText]>;

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}
