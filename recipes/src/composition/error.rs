//! What can be wrong with packages that are put together.

use std::io;
use std::path::{Path, PathBuf};

/// Why packages could not be composed.
#[derive(Debug, thiserror::Error)]
pub enum CompositionError {
    /// Two packages have different things at one place.
    #[error("both `{first}` and `{second}` have `/{path}`")]
    Conflict {
        /// The place.
        path: String,
        /// One package.
        first: String,
        /// The other.
        second: String,
    },
    /// A member is no unpacked package.
    #[error("`{member}` is no unpacked package of Debian: it has no `{missing}`")]
    NoMember {
        /// The object.
        member: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// A member has something in it that no store object can have.
    #[error("`{}` is neither file, directory nor symbolic link", path.display())]
    Kind {
        /// The thing.
        path: PathBuf,
    },
    /// A certificate is not one.
    #[error("`{path}` is no certificate in PEM")]
    Certificate {
        /// The file.
        path: String,
    },
    /// A file could not be read or written.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Names the file that an operation was about.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> CompositionError {
    move |source| CompositionError::File {
        path: path.to_owned(),
        source,
    }
}
