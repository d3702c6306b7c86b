//! An image that exists only as its documents, with blobs of two others.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, ExistingImage, Source};
use crate::oci::Digest;

/// An image with the layers of another base below its own.
#[derive(Debug)]
pub(crate) struct Rebased<'a> {
    /// What has its own layers.
    pub(crate) image: &'a ExistingImage<'a>,
    /// What has the others.
    pub(crate) base: &'a ExistingImage<'a>,
    /// The layers that are in the base.
    pub(crate) base_layers: BTreeSet<Digest>,
    /// `index.json`, `oci-layout`, the manifest and the configuration, by their names in a layout.
    pub(crate) documents: BTreeMap<String, Vec<u8>>,
}

impl<'a> Rebased<'a> {
    /// Returns which of the two images has a blob.
    pub(super) fn source(&self, entry: &Entry) -> &'a Source<'a> {
        if self.base_layers.contains(&entry.digest) {
            &self.base.source
        } else {
            &self.image.source
        }
    }
}
