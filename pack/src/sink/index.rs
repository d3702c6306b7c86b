//! One image on several platforms. OCI image-spec 1.1, image-index.md.

use crate::{
    Image,
    oci::{Descriptor, Index, index_entry, to_canonical_json},
};

/// What `index.json` says of an image, and the document that this leads to where there are several platforms.
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    /// The index of the manifests; without one the entry is the only manifest's.
    pub(crate) index: Option<Vec<u8>>,
}

impl Entry {
    /// Joins the manifests of `image` and, in their order, of `others`.
    pub(crate) fn new(image: &Image<'_>, others: &[Image<'_>], manifests: &[Descriptor]) -> Self {
        if let [only] = manifests {
            return Self {
                descriptor: image.index_entry(only),
                index: None,
            };
        }
        let images = [image].into_iter().chain(others);
        let listed = images.zip(manifests).map(|(image, manifest)| Descriptor {
            platform: Some(image.platform().clone()),
            ..manifest.clone()
        });
        let manifest_type = image.manifest_type();
        let index = Index::of_platforms(manifest_type, listed.collect());
        let index = to_canonical_json(&index);
        let descriptor = Descriptor::of(manifest_type.index(), &index);
        Self {
            descriptor: index_entry(&descriptor, None, image.name()),
            index: Some(index),
        }
    }
}
