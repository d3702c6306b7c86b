//! One image on several platforms. OCI image-spec 1.1, image-index.md.

use crate::{
    Image,
    oci::{Descriptor, Index, index_entry, media_type, to_canonical_json},
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
        let index = to_canonical_json(&Index::new(listed.collect()));
        let descriptor = Descriptor::of(media_type::INDEX, &index);
        Self {
            descriptor: index_entry(&descriptor, None, image.name()),
            index: Some(index),
        }
    }
}
