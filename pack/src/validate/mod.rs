//! Everything again, from the bytes of an archive or a layout.
//!
//! Nothing of what made the image is used but the reader of tar: blobs are hashed, layers decompressed, their entries held against the layer format, and every
//! number that a document claims is compared with what is found. All mismatches are collected; each names both sides.
//!
//! It is written for hostile input: documents are bounded, layers are streamed, nothing is unpacked.

mod check;
mod layer;
mod mismatch;
mod source;

use std::{io, path::PathBuf};

use serde::Serialize;
use thiserror::Error;

use crate::oci::Digest;

pub use check::validate;
pub use mismatch::Mismatch;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The digests of the manifests in the index, in its order.
    pub manifests: Vec<Digest>,
    /// How many layers were read.
    pub layers: usize,
    /// How many entries they have.
    pub entries: u64,
    /// What is wrong. Empty: the image is what it claims to be.
    pub mismatches: Vec<Mismatch>,
}

/// Why an image could not be looked at.
#[derive(Debug, Error)]
pub enum ValidateError {
    /// The image could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The archive, or the file in the layout.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no archive.
    #[error("`{}` is not an archive", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: crate::layer::TarError,
    },
}
