#![doc = include_str!("FORMAT.md")]

mod documents;
mod manifest;
mod verify;
mod write;

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::SinkError;

pub use documents::Offer;
pub use manifest::{
    BundledComponent, BundledFile, BundledImage, BundledRecipe, BundledTool, Gap, MANIFEST_VERSION,
    Manifest, Scope, UnknownScope,
};
pub use verify::{SourceCode, SourceFinding, load_manifest, unpack, verify, verify_signature};
pub use write::{Bundle, Content};

/// The file that says what is in a bundle.
pub const MANIFEST: &str = "MANIFEST.json";
/// The file with the digest of every other one.
pub const SUMS: &str = "SHA256SUMS";
/// The signature of that file: a Sigstore bundle whose subject is its digest.
pub const SIGNATURE: &str = "SHA256SUMS.sigstore.json";
/// The file with what is missing.
pub const GAPS: &str = "GAPS.json";

/// Why a bundle of sources cannot be written or read. What is wrong with its contents is a finding, and no error.
#[derive(Debug, Error)]
pub enum SourcesError {
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bundle could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The whole of it could not be put in its place.
    #[error(transparent)]
    Place(#[from] SinkError),
    /// It is there already.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// It is no archive of a bundle.
    #[error("`{}` is no archive of sources", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::layer::TarError,
    },
    /// An archive has something that no bundle has.
    #[error("`{}` is no archive of sources: `{member}` {problem}", path.display())]
    Member {
        /// The archive.
        path: PathBuf,
        /// What is in it.
        member: String,
        /// What is wrong with that.
        problem: &'static str,
    },
    /// There is no description of what is in it, or none that is understood.
    #[error("`{}` cannot be understood", path.display())]
    Manifest {
        /// The description.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}
