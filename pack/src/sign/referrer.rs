//! One document beside an image in a registry: a manifest with the image as its subject. OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage".

use std::{collections::BTreeMap, io::Read as _};

use bytes::Bytes;
use serde_json::{Value, json};
use store::registry::{Begun, RegistryError};

use super::{SignError, bundle::BUNDLE, referrers::Referrers};
use crate::{
    attest::CREATED,
    existing::{AnyManifest, Entry},
    oci::{Descriptor, Digest, annotation, media_type, to_canonical_json},
};

/// What stands for a configuration where there is none. OCI image-spec 1.1, manifest.md, "Guidance for an Empty Descriptor".
const EMPTY: &[u8] = b"{}";
pub(super) const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// By which cosign finds what a bundle says.
pub(super) const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// A document that is to be kept beside an image.
pub(super) struct Referrer<'a> {
    /// What it is.
    pub(super) media_type: &'a str,
    pub(super) bytes: Vec<u8>,
    /// What the manifest says beside its time.
    pub(super) annotations: BTreeMap<&'static str, &'a str>,
}

impl<'a> Referrer<'a> {
    /// A signed statement of this type.
    pub(super) fn bundle(bytes: Vec<u8>, predicate_type: &'a str) -> Self {
        Self {
            media_type: BUNDLE,
            bytes,
            annotations: BTreeMap::from([
                ("dev.sigstore.bundle.content", "dsse-envelope"),
                (PREDICATE_TYPE, predicate_type),
            ]),
        }
    }
}

/// A document with the manifest that makes it one about an image.
#[derive(Debug)]
pub(crate) struct AttachedDocument {
    /// The manifest, as lists of what refers to the image name it.
    pub(crate) listed: Entry,
    /// Its bytes.
    pub(crate) manifest: Vec<u8>,
    /// The blobs that it names: its configuration, which says nothing, and the document.
    pub(crate) blobs: [(Descriptor, Vec<u8>); 2],
}

/// Writes a document beside a manifest. Writing it again changes nothing.
pub(super) fn attach(
    referrers: &Referrers<'_>,
    subject: &Entry,
    referrer: Referrer<'_>,
) -> Result<(), SignError> {
    let attached = about(subject, referrer);
    for (descriptor, bytes) in &attached.blobs {
        send(referrers, descriptor, bytes)?;
    }
    referrers.add(subject.digest, &attached.listed, &attached.manifest)
}

/// Makes a document one about a manifest.
pub(super) fn about(subject: &Entry, referrer: Referrer<'_>) -> AttachedDocument {
    let layer = Descriptor::of(referrer.media_type, &referrer.bytes);
    let described = json!(layer);
    let kind = referrer.media_type;
    let (listed, manifest) = manifest(subject, kind, &described, referrer.annotations);
    AttachedDocument {
        listed,
        manifest,
        blobs: [
            (Descriptor::of(EMPTY_TYPE, EMPTY), EMPTY.to_vec()),
            (layer, referrer.bytes),
        ],
    }
}

/// Writes the manifest of something of which the one blob, `layer`, is there.
pub(super) fn attach_blob(
    referrers: &Referrers<'_>,
    subject: &Entry,
    artifact_type: &str,
    layer: &Value,
) -> Result<(), SignError> {
    send(referrers, &Descriptor::of(EMPTY_TYPE, EMPTY), EMPTY)?;
    let (listed, manifest) = manifest(subject, artifact_type, layer, BTreeMap::new());
    referrers.add(subject.digest, &listed, &manifest)
}

/// Returns the manifest by which a blob refers to another one, and how lists name it.
fn manifest(
    subject: &Entry,
    artifact_type: &str,
    layer: &Value,
    mut annotations: BTreeMap<&'static str, &str>,
) -> (Entry, Vec<u8>) {
    annotations.insert(annotation::CREATED, CREATED);
    let annotations = json!(annotations);
    let manifest = to_canonical_json(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor::of(EMPTY_TYPE, EMPTY),
        "layers": [layer],
        "subject": {
            "mediaType": subject.media_type,
            "digest": subject.digest,
            "size": subject.size_bytes,
        },
        "annotations": annotations,
    }));
    let listed = Entry {
        media_type: media_type::MANIFEST.to_owned(),
        digest: Digest::of(&manifest),
        size_bytes: manifest.len() as u64,
        artifact_type: Some(artifact_type.to_owned()),
        annotations: serde_json::from_value(annotations).unwrap_or_default(),
        platform: None,
    };
    (listed, manifest)
}

/// Makes sure of a small blob.
pub(super) fn send(
    referrers: &Referrers<'_>,
    blob: &Descriptor,
    bytes: &[u8],
) -> Result<(), SignError> {
    let (repository, what) = (referrers.repository, referrers.what);
    let digest = blob.digest.to_string();
    let sent = repository.has_blob(&digest, what).and_then(|is_there| {
        if is_there {
            return Ok(());
        }
        match repository.begin_upload(None, what)? {
            Begun::Upload(upload) => upload.finish(Bytes::copy_from_slice(bytes), &digest),
            Begun::Mounted => Ok(()),
        }
    });
    sent.map_err(|source| referrers.failed(source))
}

/// Reads the document that a list names; `None` if it is of another type or larger than `max_bytes`, or not there.
pub(super) fn fetch_layer(
    referrers: &Referrers<'_>,
    entry: &Entry,
    wanted: &str,
    max_bytes: u64,
) -> Result<Option<Vec<u8>>, SignError> {
    let (repository, what) = (referrers.repository, referrers.what);
    let manifest = match repository.fetch_manifest(&entry.digest.to_string(), what) {
        Ok(manifest) => manifest.bytes,
        Err(RegistryError::Absent { .. }) => return Ok(None),
        Err(source) => return Err(referrers.failed(source)),
    };
    let Ok(manifest) = serde_json::from_slice::<AnyManifest>(&manifest) else {
        return Ok(None);
    };
    let layer = match manifest.layers.as_slice() {
        [layer] if layer.media_type == wanted && layer.size_bytes <= max_bytes => layer,
        _ => return Ok(None),
    };
    let digest = layer.digest.to_string();
    let mut reader = match repository.open_blob(&digest, layer.size_bytes, what) {
        Ok(reader) => reader,
        Err(RegistryError::Absent { .. }) => return Ok(None),
        Err(source) => return Err(referrers.failed(source)),
    };
    let mut bytes = Vec::new();
    // What is cut or changed is not what was written.
    let is_whole = reader.read_to_end(&mut bytes).is_ok() && Digest::of(&bytes) == layer.digest;
    Ok(is_whole.then_some(bytes))
}
