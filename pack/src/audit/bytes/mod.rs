//! Every byte of an image, and where it comes from.
//!
//! Each entry of each layer is of a store path, made by a rule that has a name, or of a base image; anything else is a finding. Headers are written again and
//! compared, padding and ends are zeros, and the sums are the size of the layer: nothing is left over in which something could hide.
//!
//! A file is compared with its store path where the store has it; else all that lies at a store path is held against the path, which is its digest. The image
//! may be anyone's and hostile: layers are streamed, nothing is unpacked.
//!
//! Not responsible for: whether what is there may be shipped.

mod account;
mod accounter;
mod accounts;
mod compared;
mod entry;
mod finding;
mod known;
mod layer;
mod origin;
mod part;

use std::io;

use store::DbError;
use thiserror::Error;

use crate::{
    existing::{ExistingError, SourceError},
    layer::LayerError,
    rootfs::RootFsError,
};

pub use account::{Accounting, LayerAccount, Share, account};
pub use compared::{Compared, compare};
pub use finding::{ByteCode, ByteFinding};
pub(crate) use known::Known;
pub(crate) use layer::{Seen, Stop, read_layer};
pub use origin::{ByteOrigin, Rule};

/// Why bytes cannot be accounted for. What is wrong with them is a finding, and no error.
#[derive(Debug, Error)]
pub enum BytesError {
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] Box<ExistingError>),
    /// The database does not answer.
    #[error("cannot ask the store for what is in the image")]
    Database(#[from] DbError),
    /// An object in the store could not be read.
    #[error("cannot read a store object that is in the image")]
    Object(#[from] LayerError),
    /// What a set of packages says of itself could not be read.
    #[error(transparent)]
    Set(#[from] RootFsError),
    /// A file of the store could not be read.
    #[error("cannot read `{path}` of the store")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<ExistingError> for BytesError {
    fn from(error: ExistingError) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<SourceError> for BytesError {
    fn from(error: SourceError) -> Self {
        ExistingError::from(error).into()
    }
}
