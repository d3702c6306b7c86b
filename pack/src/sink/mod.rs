//! Where images go. One file for each kind of output.
//!
//! Every output appears at once and complete, or not at all: it is written beside its place and then renamed. What is there already is never damaged;
//! what is not ours is never replaced.

mod archive;
mod bundle;
mod directory;
mod error;
mod format;
mod index;
mod initramfs;
mod layout;
mod place;
mod receipt;
mod run;
mod squashfs;
mod stream;
mod tar;
mod write;

use std::{io, path::PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::{existing::ExistingError, layer::LayerError, oci::Digest, start::StartError};

pub(crate) use archive::Archive;
pub use format::{Format, UnknownFormat};
pub(crate) use index::Entry as IndexEntry;
pub use place::write_file;
pub(crate) use place::{NewDirectory, NewFile, Place, look_at};

/// What came of writing an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Where it is.
    pub path: PathBuf,
    /// The digest of the manifest, where the format has one.
    pub manifest_digest: Option<Digest>,
    /// How many bytes of tar were made from the store: 0 when the output was there already.
    pub encoded_bytes: u64,
    /// Whether the output was there already and nothing was written.
    pub unchanged: bool,
}

/// Why an image could not be written.
#[derive(Debug, Error)]
pub enum SinkError {
    /// The disk or the quota is full.
    #[error("no space is left for `{}`; nothing was changed", path.display())]
    Full {
        /// The output.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The output could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The output, or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Who takes the output as it comes takes no more of it.
    #[error("cannot hand the image on")]
    Stream(#[source] io::Error),
    /// The output could not be looked at.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The output, or the file in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something else is at the place of the output.
    #[error("`{}` is {found}; it is not replaced by {wanted}", path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What was to be written.
        wanted: &'static str,
    },
    /// Only layers hold files with other digests than those of the store.
    #[error(
        "an image with stable paths cannot be written as {format}: it is made of files of the store"
    )]
    StablePaths {
        /// The format.
        format: Format,
    },
    /// The layers of a base are only copied, never unpacked.
    #[error(
        "an image on a base cannot be written as `{format}`, which is no layers but files: those of the base are not in the store"
    )]
    OnBase {
        /// The format.
        format: Format,
    },
    /// A layer of the base could not be copied.
    #[error("cannot copy a layer of the base image")]
    Base(#[source] Box<ExistingError>),
    /// The format holds an image for one platform only.
    #[error("`{format}` holds an image for one platform")]
    OnePlatform {
        /// The format.
        format: Format,
    },
    /// The format is no one stream.
    #[error("`{format}` cannot be handed on as it is made")]
    NoStream {
        /// The format.
        format: Format,
    },
    /// The image runs nothing, and the output has to.
    #[error("the image has no program to run")]
    NoProgram,
    /// How the program of the image is started is not known, because it does not.
    #[error("the image would not start")]
    Start(#[from] StartError),
    /// The image has more than the format can say.
    #[error("the image is too large for `{}`: `{format}` cannot hold it", path.display())]
    TooLarge {
        /// The output.
        path: PathBuf,
        /// The format.
        format: Format,
    },
    /// The format cannot say how long a file is.
    #[error(
        "`/{file}` is too large for an image as `{format}`, which holds files of up to {largest_bytes} bytes; nothing was written"
    )]
    FileTooLarge {
        /// The file, relative to the root of the image.
        file: String,
        /// The format.
        format: Format,
        /// The longest file that it holds.
        largest_bytes: u64,
    },
    /// A document of an existing layout cannot be understood.
    #[error("`{}` is not a document of an OCI layout", path.display())]
    Document {
        /// The document.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A layer could not be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
}
