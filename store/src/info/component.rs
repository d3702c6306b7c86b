//! Where an object comes from: facts for people, audits and SBOMs. Never part of an identity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    facts::{FactsObject, LinkKind},
    id::StorePath,
};

/// The software in a store object, as its recipe declares it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Component {
    /// The name of the software, for instance `zlib`.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its SPDX license expression: declared, unless there is evidence instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the license was read if no recipe declares it, for instance `usr/share/doc/zlib1g/copyright`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_evidence: Option<String>,
    /// One line about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Its CPE 2.3 name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// Its package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Who looks after the recipe, in the recipe's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintainers: Vec<String>,
    /// The archives it is made of, in the recipe's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ComponentSource>,
    /// Where the recipe says so: label and line, for instance `//zlib/recipe.star:3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Why it should not be used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// What of its sources is in nothing that is shipped, as somebody has read: what paths in them begin with, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unshipped: BTreeMap<String, String>,
    /// The software of others that is part of it, such as the crates that were compiled into a program; sorted, no duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<ContainedComponent>,
    /// The software of which the linker copied something into it; sorted, no duplicates. None where nobody recorded that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Vec<LinkedComponent>>,
    /// The other objects that its programs and libraries need when they run, as these say themselves; sorted, no duplicates. None where nobody recorded that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Vec<UsedObject>>,
    /// What was observed of the output when it was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<FactsObject>,
}

/// Software that is part of a [`Component`] and has no object of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainedComponent {
    /// Its name, as its package manager calls it.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL, for instance `pkg:cargo/serde@1.0.219`.
    pub purl: String,
    /// Its license, as it declares it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The digest of the archive that it came in, with the algorithm before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Software of which the linker copied something into a [`Component`]: of another store object, or of the toolchain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedComponent {
    /// The store object that has it; none for what came with the toolchain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<StorePath>,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Its license, an SPDX expression, as it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What was copied where: `bin/app: lib/libz.a`. Sorted, no duplicates.
    pub places: Vec<String>,
}

/// Another store object that the files of a [`Component`] need when they run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedObject {
    /// The other object.
    pub object: StorePath,
    /// In which way.
    pub kind: UseKind,
    /// The first of the places where that is said: `bin/app: lib/libz.so.1`. Sorted, no duplicates, at most [`UsedObject::MAX_PLACES`].
    pub places: Vec<String>,
    /// How many places there are.
    pub count: usize,
}

impl UsedObject {
    /// Places that are named. Every program of a package needs the C library; some are enough to show it.
    pub const MAX_PLACES: usize = 4;
}

/// In which way a file needs another one when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseKind {
    /// A shared library that is loaded at start.
    Needed,
    /// A shared library that is loaded on demand.
    Dlopen,
    /// The loader, or what a `#!` line names.
    Interpreter,
}

impl UseKind {
    /// Returns the way of a link; none where something was copied in.
    #[must_use]
    pub const fn of(link: LinkKind) -> Option<Self> {
        match link {
            LinkKind::Needed => Some(Self::Needed),
            LinkKind::Dlopen => Some(Self::Dlopen),
            LinkKind::Interpreter => Some(Self::Interpreter),
            LinkKind::Static | LinkKind::Runtime => None,
        }
    }
}

/// One source archive of a [`Component`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ComponentSource {
    /// Its file name.
    pub name: String,
    /// Where it can be fetched, best first.
    pub urls: Vec<String>,
    /// Its digest with the algorithm before it, for instance `sha256:9a93…`.
    pub digest: String,
}
