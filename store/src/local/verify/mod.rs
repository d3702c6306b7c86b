//! Compares what lies on disk with what the database and the records say.
//!
//! Two depths. *Records*: is each object there, with the right kind and modes, is its record what the database says, does everything it refers to
//! exist, does anything lie in the store that the database does not know. *Contents*: besides, every byte is hashed again, and what is wrong is named by
//! file and block.
//!
//! Runs beside everything else without a lock: what looks wrong is looked at once more while nobody is in the middle of a change, what a process left that
//! died meanwhile being put right first, and counts only if it is still registered and still wrong. An object with wrong bytes loses its validity, so that nobody uses it.

mod finding;
mod object;
mod run;

use std::path::PathBuf;

pub(super) use self::object::{check_contents, find_identity};
pub use self::{
    finding::{Finding, Problem},
    run::{VerifyDepth, VerifyOptions, VerifyReport},
};
use super::{OpenError, RootError};
use crate::{db::DbError, id::StorePath, sys::FileError};

/// Why a store could not be verified to the end. What is wrong with objects is no error but a [`Finding`].
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A directory of the store cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The roots cannot be read.
    #[error(transparent)]
    Root(#[from] RootError),
    /// What a process left that died cannot be put right.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// A path that was asked for is not registered.
    #[error("`{path}` is not registered in the store `{}`", store.display())]
    Unknown {
        /// The path.
        path: StorePath,
        /// The store's directory.
        store: PathBuf,
    },
    /// The caller wants no more.
    #[error("the store was verified in part only")]
    Interrupted,
}
