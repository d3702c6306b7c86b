//! Where images go. One file for each kind of output.
//!
//! Every output appears at once and complete, or not at all: it is written beside its place and then renamed. What is there already is never damaged;
//! what is not ours is never replaced.

mod archive;
mod directory;
mod layout;
mod place;
mod receipt;
mod tar;
mod write;

use std::{fmt, io, path::PathBuf, str::FromStr};

use serde::Serialize;
use thiserror::Error;

use crate::{layer::LayerError, oci::Digest};

/// What an image is written as. Printed and parsed as the name of the format; `oci-archive` and `docker-archive` are other names of `archive`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// One tar file that is an OCI layout and has docker's `manifest.json`.
    #[default]
    Archive,
    /// An OCI layout directory.
    Oci,
    /// The root file system as one uncompressed tar.
    Tar,
    /// The root file system as a directory.
    Directory,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archive => "archive",
            Self::Oci => "oci",
            Self::Tar => "tar",
            Self::Directory => "dir",
        })
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not a format; known are `archive` (also `oci-archive` and `docker-archive`), `oci`, `tar` and `dir`"
)]
pub struct UnknownFormat {
    /// The text.
    pub text: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "archive" | "oci-archive" | "docker-archive" => Ok(Self::Archive),
            "oci" => Ok(Self::Oci),
            "tar" => Ok(Self::Tar),
            "dir" => Ok(Self::Directory),
            _ => Err(UnknownFormat {
                text: text.to_owned(),
            }),
        }
    }
}

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

impl SinkError {
    /// An error of writing `path`, which a full disk explains best.
    fn writing(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Write { path, source },
        }
    }

    /// An error of reading `path`.
    fn reading(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }
}
