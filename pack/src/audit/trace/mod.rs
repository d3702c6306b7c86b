//! From a file back to where it comes from: layer and offset, store path, what it was linked of, recipe, sources, license.
//!
//! Steps that know nothing of each other: [`find`] reads an image and says where a file lies in it; [`Background::of`] says what is recorded of a store path, and
//! [`Surroundings`] what a file is of that lies at none. Of an image alone there is what is attached to it ([`Attested`]), or only the bill of materials that it has in it. [`find_stored`] needs no image: it says what a
//! digest is of in all that a store has.
//!
//! Not responsible for: whether the image is what it says ([`bytes`](super::bytes)).

mod attested;
mod background;
mod find;
mod outside;
mod stored;

use serde::Serialize;
use store::{DbError, StorePath};

use super::{GatherError, bytes::BytesError};
use crate::oci::Digest;

pub use attested::Attested;
pub use background::{Background, License, LinkedObject, TracedSource};
pub use find::{Wanted, find};
pub use outside::{Outside, Surroundings};
pub use stored::{Stored, StoredKind, StoredMatches, find_stored};

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Located {
    /// The digest of the manifest of the image.
    pub manifest: Digest,
    /// What the image runs on.
    pub platform: String,
    /// The digest of the layer.
    pub layer: Digest,
    /// The place of the layer, from 1, the lowest first.
    pub layer_number: usize,
    /// Where in the layer's tar its header begins.
    pub offset: u64,
    /// Where its contents begin.
    pub contents_offset: u64,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its contents, in hex.
    pub sha256: String,
    /// Its path in the image.
    pub path: String,
    /// The links that were followed to it, in order.
    pub links: Vec<String>,
    /// The store path that it is of, as the store calls it, if it lies at one.
    pub object: Option<StorePath>,
    /// Its path in the store object.
    pub file: Option<String>,
}

/// Why a file cannot be traced.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(#[from] BytesError),
    /// What the store has recorded cannot be read.
    #[error(transparent)]
    Record(#[from] GatherError),
    /// The database cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A layer is damaged.
    #[error("the layer {layer} {problem}")]
    Layer {
        /// Which.
        layer: Digest,
        /// What is wrong with it.
        problem: String,
    },
    /// The image has no such file.
    #[error("there is no file `{wanted}` in `{image}`")]
    NotThere {
        /// What was looked for.
        wanted: String,
        /// The image.
        image: String,
    },
    /// It is a directory.
    #[error("`{path}` in `{image}` is a directory")]
    Directory {
        /// The directory.
        path: String,
        /// The image.
        image: String,
        /// Some of what lies in it, ascending.
        has: Vec<String>,
    },
    /// Links lead nowhere, or in a circle.
    #[error("`{path}` in `{image}` is a link that leads to no file")]
    Dangling {
        /// The link.
        path: String,
        /// The image.
        image: String,
    },
}
