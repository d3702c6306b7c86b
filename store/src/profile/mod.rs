//! Profiles: sets of installed packages, each change a new generation that can be gone back to.
//!
//! Invariant: `current` leads to a generation, the generation's link to a valid store object, and a root keeps that object. A process that is killed
//! at any point leaves either the old or the new generation as the current one.
//!
//! ```text
//! <root>/var/profiles/<name>/     or any other directory
//!   1 2 3 …                       → store/<digits>-profile: the generations
//!   current                       → 3, replaced by renaming
//!   bin                           → current/.pith/bin, or current/bin where the store lies at /pith/store: what a user's PATH has
//!   pith                          → the program that launchers start
//!   .lock                         held by whoever changes the profile
//! ```
//!
//! A generation is one store object: the union of the packages' trees as symlinks, and below `.pith` the manifest (what was asked for, what it came to)
//! and the launchers. So the same set of packages is the same path everywhere, and the packages are references that are found by scanning.
//!
//! The order of steps when a generation is made: object → root → link → sync → `current` → sync; when one is removed: link → sync → root. So a link
//! without a root never exists, and a root without a link is what the next change of the profile removes.
//!
//! Not responsible for building: packages are valid before they come here.

mod change;
mod directory;
mod generation;
mod launch;
mod listing;
mod manifest;
mod name;
mod union;

use std::path::PathBuf;

pub use self::{
    change::Change,
    directory::{Generation, LockedProfile, Outcome, Profile},
    launch::{Launch, find_launch},
    manifest::{DEFAULT_PRIORITY, InstalledPackage, Manifest, Origin},
    name::ProfileName,
    union::Conflict,
};
use crate::{
    db::DbError,
    id::StorePath,
    local::{AddError, FileError, LeaseError, RootError},
    tree::TreeError,
};

/// Why a profile cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store's database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// What keeps a generation cannot be changed.
    #[error(transparent)]
    Root(#[from] RootError),
    /// The packages cannot be protected from garbage collection.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The generation's object cannot be added to the store.
    #[error("cannot make a generation of the profile")]
    Add(#[from] AddError),
    /// Two packages have the same file.
    #[error(transparent)]
    Conflict(#[from] Box<Conflict>),
    /// A text cannot be the name of a profile.
    #[error("`{name}` cannot be the name of a profile: {reason}")]
    Name {
        /// The text.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A package is a file, so it has no tree to be part of a union.
    #[error("`{package}` cannot be installed: `{path}` is not a directory")]
    NotADirectory {
        /// The package's name in the profile.
        package: String,
        /// Its store path.
        path: StorePath,
    },
    /// A store path of the profile is not in the store.
    #[error("`{path}` is not valid in this store")]
    NotValid {
        /// The store path.
        path: StorePath,
    },
    /// The union cannot be stored.
    #[error("cannot join the packages of the profile")]
    Tree(#[from] TreeError),
    /// A manifest is not what this program writes.
    #[error("the manifest of `{path}` cannot be read")]
    Manifest {
        /// The generation's object.
        path: StorePath,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest was written by a newer program.
    #[error(
        "the manifest of `{path}` has format {found}, but this program knows formats up to {supported} only"
    )]
    NewerManifest {
        /// The generation's object.
        path: StorePath,
        /// Its format.
        found: u32,
        /// The newest format that this program knows.
        supported: u32,
    },
    /// A manifest cannot be written, which paths that are not UTF-8 bring about.
    #[error("the manifest of the profile cannot be written")]
    WriteManifest {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A link of the profile does not say what the store writes.
    #[error("the link `{}` leads to `{}`, which is not what a profile has there", link.display(), target.display())]
    Link {
        /// The link.
        link: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// There is no generation of that number.
    #[error("the profile `{}` has no generation {number}", profile.display())]
    NoGeneration {
        /// The profile's directory.
        profile: PathBuf,
        /// The number.
        number: u64,
    },
    /// A file is no launcher of a profile.
    #[error("`{}` is not a program of a profile", path.display())]
    NotALauncher {
        /// The file.
        path: PathBuf,
    },
    /// A launcher is left of a program that the profile does not have any more.
    #[error("the profile `{}` has no program `{program}`", profile.display())]
    NoProgram {
        /// The profile's directory.
        profile: PathBuf,
        /// The program.
        program: String,
    },
}
