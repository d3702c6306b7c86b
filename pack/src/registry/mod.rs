//! Images to registries, straight from the store.
//!
//! A push asks first: for the manifest under the tag, and if that is another one, for each blob. What is missing is taken from another repository of the
//! registry where this store has pushed it before, else made and sent in chunks while it is made: there is no temporary file. The manifests come last, so a
//! name never stands for an image of which something is missing. What was sent by a push that was killed is there for the next one, layer by layer.

mod chunks;
mod layers;
mod open;
mod parallel;
mod places;
mod push;

use serde::Serialize;
use store::registry::RegistryError;
use thiserror::Error;

use crate::{existing::ExistingError, layer::LayerError, oci::Digest};

pub(crate) use chunks::Chunks;
pub(crate) use layers::MAX_RESTARTS;
pub use open::open_repository;
pub(crate) use parallel::{Halt, for_each};

/// How an image is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    /// How many layers are made and sent at the same time.
    pub uploads: usize,
    /// How many bytes are sent in one request; what a layer has beyond the last whole chunk comes in a shorter one.
    pub chunk_bytes: usize,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            // Each has buffers of its own, 30 MiB or so.
            uploads: 3,
            // Some registries take no shorter chunk than 5 MiB but as the last one.
            chunk_bytes: 5 << 20,
        }
    }
}

/// What came of pushing an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// The whole name under which it is in the registry.
    pub name: String,
    /// The digest of its manifest, or of the index of several.
    pub manifest_digest: Digest,
    /// How many bytes of layers and configurations were sent.
    pub sent_bytes: u64,
    /// How many layers and configurations were sent.
    pub sent_blobs: usize,
    /// How many bytes of layers and configurations the repository had already.
    pub present_bytes: u64,
    /// How many layers and configurations it had already.
    pub present_blobs: usize,
    /// The length of the chunks in which they were sent; 0 where nothing was.
    pub chunk_bytes: usize,
    /// How many bytes of tar were made from the store.
    pub encoded_bytes: u64,
    /// How many the registry took from another of its repositories.
    pub mounted_blobs: usize,
    /// Whether the name stood for this image already.
    pub unchanged: bool,
}

/// Why an image could not be pushed.
#[derive(Debug, Error)]
pub enum PushError {
    /// The registry did not do what it was asked.
    #[error("cannot push `{name}`")]
    Registry {
        /// The whole name.
        name: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// A layer of the base could not be read, or sent.
    #[error("cannot push a layer of the base image")]
    Base(#[source] Box<ExistingError>),
    /// A layer could not be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
}
