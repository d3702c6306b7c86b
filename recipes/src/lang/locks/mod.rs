//! Lock files of other package managers: texts to lists of what they pin, each with the line where it stands.
//!
//! One file a format, with one function that takes the text and the name by which messages call the file, and gives records
//! or one [`LockError`]. What a build could not fetch and check (no digest, a digest that can be forged, a place without
//! one) is refused here, so that it is said with the line of the lock file and not found out in the middle of a build.
//!
//! Pure: no files, no Starlark. `builtins/lock.rs` reads the files and hands the records to recipes.

mod cargo;
mod go;
mod hint;
mod lines;
mod npm;
mod python;

pub(super) use cargo::{CargoSource, cargo_lock};
pub(super) use go::{check_vendored, go_mod};
pub(super) use lines::line_at;
pub(super) use npm::{NpmPackage, npm_lock};
pub(crate) use python::check_requirements;
pub(super) use python::{PythonPackage, Target, python_lock, python_version};

use crate::model::DigestTextError;

/// Why a lock file cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct LockError {
    /// The file, as the recipe names it, below the project's place.
    pub file: String,
    /// The line; counts from one.
    pub line: usize,
    /// What is wrong there.
    pub problem: LockProblem,
}

/// What is wrong with an entry of a lock file, or with the whole of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockProblem {
    /// The text is not of the format.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// The file has a version that pith does not know.
    #[error("this is version {found} of the lock file's format; known are {known}")]
    Version {
        /// The version, or `unnamed`.
        found: String,
        /// The versions that are known.
        known: &'static str,
    },
    /// An entry has no digest.
    #[error("`{package}` has no {field}, so nothing would tell whether the right bytes come")]
    NoDigest {
        /// The package.
        package: String,
        /// What the format calls the digest.
        field: &'static str,
    },
    /// An entry's digest is none, or one that can be forged.
    #[error("`{package}`: {source}")]
    Digest {
        /// The package.
        package: String,
        /// What is wrong with the digest.
        source: DigestTextError,
    },
    /// An entry comes from a version-control system, which no digest of a file pins.
    #[error("`{package}` comes from `{url}`, of which the lock file has no digest")]
    VersionControl {
        /// The package.
        package: String,
        /// Where it comes from.
        url: String,
    },
    /// An entry is a part of the project with dependencies of its own, such as a workspace's member.
    #[error("`{package}` is a directory or file of the project, which is not supported")]
    Local {
        /// The package.
        package: String,
    },
    /// No file of a release can be used as it is.
    #[error("`{package}` has no wheel for Python {python} on {machine}")]
    NoWheel {
        /// The package.
        package: String,
        /// The version of Python.
        python: String,
        /// The machine.
        machine: &'static str,
    },
    /// No Python of the collection is one that the app runs with.
    #[error("the app asks for Python `{requires}`, and there are {known}")]
    NoPython {
        /// What the app says.
        requires: String,
        /// The versions that there are.
        known: String,
    },
    /// A release has several files, and which is which is not said.
    #[error("`{package}` has {count} digests, and nothing says of which files they are")]
    NamelessFiles {
        /// The package.
        package: String,
        /// How many.
        count: usize,
    },
    /// A requirement leaves the version open.
    #[error("`{package}` is not pinned to one version with `==`")]
    Unpinned {
        /// The requirement.
        package: String,
    },
    /// A dependency is not in the file.
    #[error("`{wanted_by}` needs `{package}`, which is not in the file")]
    Missing {
        /// What is needed.
        package: String,
        /// By what.
        wanted_by: String,
    },
    /// An entry comes from a registry that has no mirror name.
    #[error("`{package}` comes from `{url}`, which is not the public registry")]
    Registry {
        /// The package.
        package: String,
        /// The registry.
        url: String,
    },
    /// A module of Go is not in the folder that the project should keep it in, or another version is.
    #[error("`{package}` is {}in `vendor`{}", if found.is_some() { "" } else { "not " }, found.as_ref().map_or(String::new(), |found| format!(" as {found}")))]
    NotVendored {
        /// The module.
        package: String,
        /// The version that is there.
        found: Option<String>,
    },
    /// A name or version has a character that could lead elsewhere.
    #[error("`{text}` is no {what}")]
    Name {
        /// The text.
        text: String,
        /// What it should be.
        what: &'static str,
    },
    /// Two entries are for the same thing.
    #[error("`{package}` stands in the file twice; first in line {first}")]
    Duplicate {
        /// The package.
        package: String,
        /// The line of the first.
        first: usize,
    },
}
