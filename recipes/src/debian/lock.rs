//! What a resolution comes to: packages of one architecture, pinned.

use std::collections::{BTreeMap, BTreeSet};

use store::DebVersion;

use crate::model::ContentDigest;

/// Packages with all that is needed to fetch them, and why they are these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What the packages run on, in Debian's words: `amd64`.
    pub architecture: String,
    /// The packages that were asked for.
    pub request: BTreeSet<String>,
    /// What may be left out.
    pub prune: BTreeSet<String>,
    /// What was left out, with the package that wanted it first.
    pub pruned: BTreeMap<String, String>,
    /// The indexes it was resolved against, in the order in which they were asked.
    pub suites: Vec<LockedSuite>,
    /// Everything that was chosen, sorted by name.
    pub packages: Vec<LockedPackage>,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedSuite {
    /// `bookworm`.
    pub name: String,
    /// The mirror, `debian`.
    pub mirror: String,
    /// When its release was made, `2026-07-11T10:16:37Z`.
    pub date: String,
    /// The digest of the compressed `Packages` file.
    pub index: ContentDigest,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: DebVersion,
    /// `amd64` or `all`.
    pub architecture: String,
    /// The source package that it was built from.
    pub source: String,
    /// The mirror that has it.
    pub mirror: String,
    /// Where it lies below the mirror.
    pub path: String,
    /// The digest of the `.deb`.
    pub sha256: ContentDigest,
    /// The size of the `.deb`.
    pub size_bytes: u64,
    /// The locked packages that it depends on.
    pub depends: BTreeSet<String>,
}

impl Lock {
    /// Returns the package of a name.
    pub fn find(&self, name: &str) -> Option<&LockedPackage> {
        let found = self
            .packages
            .binary_search_by(|package| package.name.as_str().cmp(name));
        found.ok().and_then(|index| self.packages.get(index))
    }

    /// Returns the packages that some of those of the lock need, themselves included, sorted by name; the first name
    /// that is not locked is the error.
    pub fn closure<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<&LockedPackage>, String> {
        let mut found: BTreeMap<&str, &LockedPackage> = BTreeMap::new();
        let mut pending: Vec<&LockedPackage> = Vec::new();
        for name in names {
            pending.push(self.find(name).ok_or_else(|| name.to_owned())?);
        }
        while let Some(package) = pending.pop() {
            if found.insert(&package.name, package).is_none() {
                pending.extend(package.depends.iter().filter_map(|name| self.find(name)));
            }
        }
        Ok(found.into_values().collect())
    }
}
