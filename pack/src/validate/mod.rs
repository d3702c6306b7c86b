//! Everything again, from the bytes of an archive, a layout or what a registry has.
//!
//! Nothing of what made the image is used but the reader of tar: blobs are hashed, layers decompressed, and every number that a document claims is compared with
//! what is found. Of images of this crate, entries are held against the layer format, and what lies at a store path against the path, which is a digest of it;
//! what lies elsewhere is known by its name, leads to something in the image, or is a mismatch. All mismatches are collected; each names both sides.
//!
//! It is written for hostile input: documents are bounded, layers are streamed, nothing is unpacked.
//!
//! Not responsible for: who made the image. Whoever changes one, its bill and all digests has made another one, and only a signature tells them apart.

mod below;
mod check;
mod contents;
mod layer;
mod mismatch;
mod objects;

use serde::Serialize;

use crate::oci::Digest;

pub use check::{validate, validate_image};
pub use mismatch::{Mismatch, MismatchKind};
pub(crate) use objects::FoundObject;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// The digests of the manifests of images, in the order of the index.
    pub manifests: Vec<Digest>,
    /// How many layers were read.
    pub layers: usize,
    /// How many entries they have.
    pub entries: u64,
    /// How many store objects are what their paths say.
    pub objects: usize,
    /// How many files may be of packages that lie at the root, of which that cannot be told.
    pub unattributed: u64,
    /// How many of the images are not by this crate; of these only digests were compared.
    pub of_others: usize,
    /// The digests of the lowest layers that are those of a base, by what the images say.
    pub base_layers: Vec<Digest>,
    /// How many of these are of images of this crate, by their entries, and were looked into like those above. Of the others only digests were compared.
    pub described_base_layers: usize,
    /// What is wrong. Empty: the image is what it claims to be.
    pub mismatches: Vec<Mismatch>,
}
