//! Why nothing could be observed.

use std::io;
use std::path::PathBuf;

use store::{DbError, IdError, StorePath, TreeError};

/// Why the facts of an output could not be made. What is wrong inside of a source is none of these: it is said in the facts.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A file of the store cannot be read.
    #[error("cannot read `{}` to record what is in it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The facts make no tree.
    #[error("the facts of `{path}` make no object")]
    Tree {
        /// Whose facts.
        path: StorePath,
        /// Why.
        #[source]
        source: Box<TreeError>,
    },
    /// The facts have no name.
    #[error("the facts of `{path}` have no name")]
    Name {
        /// Whose facts.
        path: StorePath,
        /// Why.
        #[source]
        source: Box<IdError>,
    },
    /// The facts cannot be written as JSON.
    #[error("the facts of `{path}` cannot be written")]
    Json {
        /// Whose facts.
        path: StorePath,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Says which file an error is about.
pub(super) fn at(path: &std::path::Path) -> impl Fn(io::Error) -> ObserveError + '_ {
    |source| ObserveError::Io {
        path: path.to_owned(),
        source,
    }
}
