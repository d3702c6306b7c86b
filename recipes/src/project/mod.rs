//! What lies in a directory: recognises an app by its manifests and writes the `pith.star` that builds and packs it.
//!
//! Nothing is guessed that the files do not say: what is not evident is left out, and where there are several answers, all
//! are named. Everything but [`Directory`] is pure: files come through [`ProjectFiles`], the result is a text.
//!
//! ```
//! use std::collections::BTreeMap;
//! use recipes::project::{Wishes, recognise};
//!
//! let files = BTreeMap::from([
//!     ("Cargo.toml".to_owned(), "[package]\nname = 'web'\nlicense = 'MIT'\n".to_owned()),
//!     ("Cargo.lock".to_owned(), "version = 4\n".to_owned()),
//!     ("src/main.rs".to_owned(), "fn main() {}\n".to_owned()),
//! ]);
//! let app = recognise(&files, "web", &Wishes::default()).unwrap();
//! assert!(app.text.contains("rust_app(\n    name = \"web\","));
//! ```
//!
//! It does not evaluate what it writes, and writes no file.

mod compiled;
mod container;
mod deps;
mod detect;
mod facts;
mod files;
mod kind;
mod license;
mod names;
mod node;
mod python;
mod scripts;
mod write;

use std::io;
use std::path::PathBuf;

use crate::lang::LockError;

pub use detect::{Candidate, Recognised, Wishes, recognise};
pub use files::{Directory, ProjectFiles};
pub use kind::{Kind, UnknownKind};

/// Why no recipe can be written for a directory.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Nothing that is known lies there.
    #[error("no app is recognised: there is none of {}", markers.join(", "))]
    Unrecognised {
        /// The files by which apps are recognised.
        markers: Vec<&'static str>,
    },
    /// More than one kind of app lies there.
    #[error("more than one kind of app lies here:{}", detect::lines(candidates))]
    Several {
        /// All of them, in the order of [`Kind::ALL`].
        candidates: Vec<Candidate>,
    },
    /// The kind that was asked for is not there.
    #[error("there is no {kind} app here: no {}", kind.markers().join(" and no "))]
    NotThere {
        /// The kind.
        kind: Kind,
    },
    /// The dependencies are not pinned.
    #[error("there is no {} beside `{manifest}` that pins its dependencies", locks.join(", "))]
    NoLock {
        /// The kind.
        kind: Kind,
        /// The file that names the dependencies.
        manifest: &'static str,
        /// The files that would pin them.
        locks: &'static [&'static str],
    },
    /// The lock file does not say which files are meant.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A manifest is not what its name says.
    #[error("{file}:{line}: {reason}")]
    Manifest {
        /// The file.
        file: String,
        /// The line, from one.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There is an app but nothing in it that runs.
    #[error("`{manifest}` is that of a library: {reason}")]
    NoProgram {
        /// The manifest.
        manifest: String,
        /// What was looked for.
        reason: &'static str,
    },
    /// There are several programs, none called as the app is.
    #[error("`{manifest}` has more than one program: {}", programs.join(", "))]
    Programs {
        /// The manifest.
        manifest: String,
        /// Their names, sorted.
        programs: Vec<String>,
    },
    /// A program was asked for that is not among those that are there.
    #[error("there is no program `{wanted}`; there is {}", programs.join(", "))]
    UnknownProgram {
        /// What was asked for.
        wanted: String,
        /// What there is.
        programs: Vec<String>,
    },
    /// A file is there and cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
