//! Puts right what [`verify`](super::verify) finds.
//!
//! A damaged object is made whole by the first of these that can: it is whole after all; only modes and times were wrong; its own good files and files of the
//! same bytes anywhere else in the store make it up; somebody else has it, or can build it again: a [`Restorer`]. The pool is cleared of wrong bytes first,
//! because whatever is written afterwards is linked to what is there. The new object takes the place of the old one in one step, so who runs a program from it is not
//! disturbed, and all that refers to it stays as it is.
//!
//! Records that are missing or differ are written again from the database, objects that nobody registered are registered or removed as recovery
//! would, modes and times are set. What is no store object is left alone.

mod compose;
mod records;
mod run;

pub use self::run::{Mended, NoRestorer, RepairReport, Restorer, Unrepaired};
use super::{AddError, OpenError, RootError, VerifyError};
use crate::{db::DbError, sys::FileError};

/// Why a repair could not be tried to the end. What cannot be repaired is no error but [`Unrepaired`].
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The store could not be verified first.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database did not accept a change.
    #[error(transparent)]
    Db(#[from] DbError),
    /// An object cannot be written.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The roots cannot be put right.
    #[error(transparent)]
    Root(#[from] RootError),
    /// What is not registered cannot be put right.
    #[error(transparent)]
    Open(#[from] Box<OpenError>),
    /// The caller wants no more.
    #[error("the store was repaired in part only")]
    Interrupted,
}
