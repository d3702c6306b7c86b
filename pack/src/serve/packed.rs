//! Images whose manifests are known, so that they can be answered.

use std::sync::OnceLock;

use super::{
    accept::Accept,
    document::Document,
    route::{AnyDigest, is_tag},
    source::Offer,
};
use crate::{
    Image, ImageError,
    image::{Assembled, KnownLayers},
    oci::{Descriptor, Index, ManifestType, to_canonical_json},
    sign::AttachedDocument,
};

/// The images of one name.
pub(super) struct Packed {
    images: Vec<One>,
    /// What a tag stands for, the best first, for who cannot read those before: an index and docker's list where there is more than one image, then the manifests of the
    /// images in OCI's words, then in docker's. All name the same layers.
    forms: Vec<Form>,
    /// What there is besides `latest`.
    version: Option<String>,
}

/// A manifest or an index.
pub(super) struct Form {
    document: Document,
    pub(super) manifest: Descriptor,
    pub(super) is_index: bool,
    /// What there is about it, once somebody has asked.
    pub(super) documents: OnceLock<Vec<AttachedDocument>>,
}

impl Form {
    fn new(manifest: Descriptor, bytes: &[u8], is_index: bool) -> Self {
        Self {
            document: Document::new(&manifest, bytes),
            manifest,
            is_index,
            documents: OnceLock::new(),
        }
    }
}

/// One image and what its layers are.
pub(super) struct One {
    pub(super) image: Image<'static>,
    /// All known.
    pub(super) layers: KnownLayers,
    assembled: Assembled,
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
        let (mut lists, mut of_oci, mut of_docker) = (Vec::new(), Vec::new(), Vec::new());
        for image in offer.images {
            let digests = image.known_layers()?;
            let assembled = image.assemble(&digests);
            of_oci.push(form_of(&assembled));
            // Layers in zstd are nothing that docker's words can name.
            let docker = image.assemble_as(ManifestType::Docker, &digests);
            of_docker.extend(docker.as_ref().map(form_of));
            images.push(One {
                image,
                layers: digests.into_iter().map(Some).collect(),
                assembled,
            });
        }
        for (manifest_type, forms) in [
            (ManifestType::Oci, &of_oci),
            (ManifestType::Docker, &of_docker),
        ] {
            if forms.len() > 1 {
                lists.push(list_of(manifest_type, &images, forms));
            }
        }
        let version = images.first().and_then(|one| one.image.version());
        let version = version.filter(|version| is_tag(version)).map(str::to_owned);
        lists.extend(of_oci);
        lists.extend(of_docker);
        Ok(Self {
            images,
            forms: lists,
            version,
        })
    }

    /// Returns the digest of the whole.
    pub(super) fn digest(&self) -> Option<&AnyDigest> {
        self.forms.first().map(|form| &form.document.digest)
    }

    /// Returns what the tags stand for, to who takes this.
    pub(super) fn top(&self, accept: &Accept) -> Option<Document> {
        let taken = |form: &&Form| accept.takes(&form.document.media_type);
        let form = self.forms.iter().find(taken);
        let form = form.or_else(|| self.forms.first())?;
        Some(form.document.clone())
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
        let all = self.forms.iter().map(|form| &form.documents);
        all.flat_map(|documents| documents.get().into_iter().flatten())
    }

    /// Returns the manifest or the index with this digest, of an image or several.
    pub(super) fn form(&self, digest: &AnyDigest) -> Option<&Form> {
        let mut forms = self.forms.iter();
        forms.find(|form| form.document.digest == *digest)
    }

    /// Returns the manifest with this digest, or the index, or the manifest of something about an image.
    pub(super) fn manifest(&self, digest: &AnyDigest) -> Option<Document> {
        let about = self.documents().map(|document| Document {
            media_type: document.listed.media_type.clone(),
            digest: document.listed.digest.into(),
            bytes: document.manifest.clone(),
        });
        let forms = self.forms.iter().map(|form| form.document.clone());
        forms
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

fn form_of(assembled: &Assembled) -> Form {
    let manifest = assembled.manifest_descriptor.clone();
    Form::new(manifest, &assembled.manifest, false)
}

/// Returns the list of the manifests of several images.
fn list_of(manifest_type: ManifestType, images: &[One], forms: &[Form]) -> Form {
    let entries = images.iter().zip(forms);
    let entries = entries.map(|(one, form)| one.image.index_entry(&form.manifest));
    let index = Index::of_platforms(manifest_type, entries.collect());
    let bytes = to_canonical_json(&index);
    let manifest = Descriptor::of(manifest_type.index(), &bytes);
    Form::new(manifest, &bytes, true)
}
