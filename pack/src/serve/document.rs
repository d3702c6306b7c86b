//! A manifest as it is answered.

use super::route::AnyDigest;
use crate::oci::Descriptor;

/// A manifest or an index.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) media_type: String,
    pub(super) digest: AnyDigest,
    pub(super) bytes: Vec<u8>,
}

impl Document {
    pub(super) fn new(descriptor: &Descriptor, bytes: &[u8]) -> Self {
        Self {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.into(),
            bytes: bytes.to_vec(),
        }
    }
}
