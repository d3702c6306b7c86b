//! What a database says of one vulnerability, whatever its format. Pure.

use std::ops::Bound;

use serde::Serialize;

use super::{Key, Order, Rating};

/// One record of a database; of what it is about, only what was asked for is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// Its name, for instance `GHSA-…` or `CVE-2023-50246`.
    pub id: String,
    /// Other names of the same vulnerability, sorted.
    pub aliases: Vec<String>,
    /// One line about it.
    pub summary: Option<String>,
    /// How bad it is, if the record says so.
    pub rating: Option<Rating>,
    /// What it tells if it is no vulnerability: `unmaintained`, `notice`.
    pub informational: Option<String>,
    /// What it is about.
    pub affected: Vec<Affected>,
    /// The database, by its place in [`Database::snapshots`](super::Database).
    pub database: usize,
}

/// What versions of one package a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affected {
    /// The names of the package.
    pub keys: Vec<Key>,
    /// The release of a distribution that it speaks of, by its code name; none means all.
    pub release: Option<String>,
    /// Versions that are affected, as the record lists them; tags, where the package is a repository.
    pub versions: Vec<String>,
    /// Ranges of versions that are affected.
    pub ranges: Vec<Range>,
    /// How bad it is in this package, if that is said for it alone.
    pub rating: Option<Rating>,
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// Between events, OSV 1.7, `affected[].ranges[].events`.
    Events {
        /// How the versions of the events are compared.
        order: Order,
        /// The events, in the record's order.
        events: Vec<Event>,
    },
    /// Between commits.
    Commits {
        /// The repository.
        repository: Key,
        /// The events, in the record's order.
        events: Vec<Event>,
    },
    /// Everywhere but in some intervals, as RustSec has it.
    Outside(Vec<(Bound<semver::Version>, Bound<semver::Version>)>),
}

/// Where a vulnerability comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first version that has it; `0` stands for the very first one.
    Introduced(String),
    /// The first version that has it no more.
    Fixed(String),
    /// The last version that has it.
    LastAffected(String),
}

/// By what a record was found to be about a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameRule {
    /// Both have the same package URL, or what it stands for in the database's register.
    Purl,
    /// The component is of this source package of Debian.
    DebianSource,
    /// The component's source lies in the record's repository.
    Repository,
    /// The component states this CPE product, and so does the record.
    Cpe,
    /// Both are called so, and nothing else is known.
    Name,
}

/// By what a version was found to be affected or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionRule {
    /// The record lists the version.
    Listed,
    /// The version lies in a range of the record.
    Range,
    /// The recipe names the commit that the record names.
    Commit,
    /// The record says nothing that a version could be compared with.
    None,
}
