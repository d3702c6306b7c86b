//! Images whose manifests are known, so that they can be answered.

use std::sync::OnceLock;

use super::{
    document::Document,
    route::{AnyDigest, is_tag},
    source::Offer,
};
use crate::{
    Image, ImageError,
    image::{Assembled, KnownLayers},
    layer::LayerError,
    oci::{Descriptor, Index, media_type, to_canonical_json},
    sign::AttachedDocument,
};

/// The images of one name.
pub(super) struct Packed {
    images: Vec<One>,
    /// Where there is more than one image.
    index: Option<Whole>,
    /// What there is besides `latest`.
    version: Option<String>,
}

/// An index.
struct Whole {
    document: Document,
    manifest: Descriptor,
    documents: OnceLock<Vec<AttachedDocument>>,
}

/// A manifest, and what there is about it, once somebody has asked.
pub(super) struct About<'a> {
    pub(super) manifest: &'a Descriptor,
    pub(super) is_index: bool,
    pub(super) documents: &'a OnceLock<Vec<AttachedDocument>>,
}

/// One image and what its layers are.
pub(super) struct One {
    pub(super) image: Image<'static>,
    /// All known.
    pub(super) layers: KnownLayers,
    assembled: Assembled,
    /// What there is about it, once somebody has asked.
    documents: OnceLock<Vec<AttachedDocument>>,
}

/// Where the bytes of a blob are.
#[derive(Debug)]
pub(super) enum Blob<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// They are those of a layer, by the indices of the image and the layer.
    Layer {
        image: usize,
        layer: usize,
        size_bytes: u64,
    },
}

impl Packed {
    /// Makes every layer that was never made before, and forgets its bytes again.
    pub(super) fn new(offer: Offer) -> Result<Self, ImageError> {
        let mut images = Vec::with_capacity(offer.images.len());
        for image in offer.images {
            let mut layers = image.find_layers();
            let known = layers.iter().enumerate();
            let missing: Vec<usize> = known
                .filter(|(_, known)| known.is_none())
                .map(|(index, _)| index)
                .collect();
            image.encode(&missing, &mut layers, &mut |_| Ok::<_, LayerError>(()))?;
            let digests: Vec<_> = layers.iter().flatten().copied().collect();
            let assembled = image.assemble(&digests);
            images.push(One {
                image,
                layers,
                assembled,
                documents: OnceLock::new(),
            });
        }
        let entries = images
            .iter()
            .map(|one| one.image.index_entry(&one.assembled.manifest_descriptor));
        let index = (images.len() > 1).then(|| {
            let bytes = to_canonical_json(&Index::new(entries.collect()));
            let manifest = Descriptor::of(media_type::INDEX, &bytes);
            Whole {
                document: Document::new(&manifest, &bytes),
                manifest,
                documents: OnceLock::new(),
            }
        });
        let version = images.first().and_then(|one| one.image.version());
        let version = version.filter(|version| is_tag(version)).map(str::to_owned);
        Ok(Self {
            images,
            index,
            version,
        })
    }

    /// Returns the digest of the whole.
    pub(super) fn digest(&self) -> Option<AnyDigest> {
        self.top().map(|document| document.digest)
    }

    /// Returns what the tags stand for: the index, or the only manifest.
    pub(super) fn top(&self) -> Option<Document> {
        let only = || self.images.first().map(One::document);
        let index = self.index.as_ref().map(|index| index.document.clone());
        index.or_else(only)
    }

    /// Returns the tags, sorted.
    pub(super) fn tags(&self) -> Vec<String> {
        let mut tags = vec!["latest".to_owned()];
        tags.extend(self.version.clone());
        tags.sort();
        tags.dedup();
        tags
    }

    /// Returns what was made about the images.
    fn documents(&self) -> impl Iterator<Item = &AttachedDocument> {
        let of_index = self.index.iter().map(|index| &index.documents);
        let all = self.images.iter().map(|one| &one.documents).chain(of_index);
        all.flat_map(|documents| documents.get().into_iter().flatten())
    }

    /// Returns the image or the index with this digest.
    pub(super) fn about(&self, digest: &AnyDigest) -> Option<About<'_>> {
        let images = self.images.iter().map(|one| About {
            manifest: one.manifest(),
            is_index: false,
            documents: &one.documents,
        });
        let index = self.index.iter().map(|index| About {
            manifest: &index.manifest,
            is_index: true,
            documents: &index.documents,
        });
        let mut all = images.chain(index);
        all.find(|about| AnyDigest::from(about.manifest.digest) == *digest)
    }

    /// Returns the manifest with this digest, or the index, or the manifest of something about an image.
    pub(super) fn manifest(&self, digest: &AnyDigest) -> Option<Document> {
        let manifests = self.images.iter().map(One::document);
        let about = self.documents().map(|document| Document {
            media_type: document.listed.media_type.clone(),
            digest: document.listed.digest.into(),
            bytes: document.manifest.clone(),
        });
        let index = self.index.iter().map(|index| index.document.clone());
        index
            .chain(manifests)
            .chain(about)
            .find(|document| document.digest == *digest)
    }

    /// Returns where the bytes of a blob are.
    pub(super) fn blob(&self, digest: &AnyDigest) -> Option<Blob<'_>> {
        for (image, one) in self.images.iter().enumerate() {
            let assembled = &one.assembled;
            if AnyDigest::from(assembled.config_descriptor.digest) == *digest {
                return Some(Blob::Bytes(&assembled.config));
            }
            let mut layers = assembled.layers.iter();
            let layer = layers.position(|layer| AnyDigest::from(layer.digest) == *digest);
            if let Some(layer) = layer {
                return Some(Blob::Layer {
                    image,
                    layer,
                    size_bytes: assembled.layers[layer].size_bytes,
                });
            }
        }
        let mut blobs = self.documents().flat_map(|document| &document.blobs);
        let found = blobs.find(|(blob, _)| AnyDigest::from(blob.digest) == *digest);
        found.map(|(_, bytes)| Blob::Bytes(bytes))
    }

    pub(super) fn image(&self, image: usize) -> Option<&One> {
        self.images.get(image)
    }

    pub(super) fn has_manifest(&self, digest: &AnyDigest) -> bool {
        self.manifest(digest).is_some()
    }

    pub(super) fn has_blob(&self, digest: &AnyDigest) -> bool {
        self.blob(digest).is_some()
    }
}

impl One {
    /// Returns the descriptor of its manifest.
    const fn manifest(&self) -> &Descriptor {
        &self.assembled.manifest_descriptor
    }

    fn document(&self) -> Document {
        Document::new(
            &self.assembled.manifest_descriptor,
            &self.assembled.manifest,
        )
    }
}
