//! Images and their signatures.

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use store::{
    registry::{Begun, Repository},
    trust::SecretKey,
};

use super::{
    ImageKey, SignError, Unsigned,
    bundle::{self, BUNDLE, SIGNED},
    referrers::Referrers,
};
use crate::{
    attest::CREATED,
    existing::{AnyManifest, Entry, ExistingImage},
    oci::{Descriptor, Digest, annotation, media_type, to_canonical_json},
};

/// What stands for a configuration where there is none. OCI image-spec 1.1, manifest.md, "Guidance for an Empty Descriptor".
const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// Signatures of one image that are looked at.
const MAX_SIGNATURES: usize = 100;
/// How many of the bytes of a bundle are read.
const MAX_BUNDLE_BYTES: u64 = 1 << 20;

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    /// The digest of what the image's name stands for.
    pub digest: Digest,
    /// How many manifests were signed: that one and, of an index, those in it.
    pub manifests: usize,
}

/// What is known of the signatures of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureCheck {
    /// How many signatures were looked at.
    pub found: usize,
    /// Whether one of them is by the key, or why the last one is not.
    pub result: Result<(), Option<Unsigned>>,
}

/// Returns the bundle by which `key` signs an image, to be kept beside it.
pub fn sign_bundle(image: &ExistingImage<'_>, key: &SecretKey) -> Result<Vec<u8>, SignError> {
    Ok(bundle::sign(key, image.digest()?))
}

/// Tells whether a bundle is the signature of an image by the owner of `key`.
pub fn verify_bundle(
    image: &ExistingImage<'_>,
    bundle: &[u8],
    key: &ImageKey,
) -> Result<SignatureCheck, SignError> {
    let result = bundle::verify(bundle, key, image.digest()?);
    Ok(SignatureCheck {
        found: 1,
        result: result.map_err(Some),
    })
}

impl ExistingImage<'_> {
    /// Signs an image that lies in `repository`, where the signatures are kept too. Signing again changes nothing.
    pub fn sign(&self, repository: &Repository, key: &SecretKey) -> Result<Signed, SignError> {
        let documents = self.documents(None)?;
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        for document in &documents.all {
            attach(&referrers, &document.entry, key)?;
        }
        Ok(Signed {
            digest: documents.top().entry.digest,
            manifests: documents.all.len(),
        })
    }

    /// Looks for a signature by the owner of `key` of an image that lies in `repository`.
    pub fn check_signatures(
        &self,
        repository: &Repository,
        key: &ImageKey,
    ) -> Result<SignatureCheck, SignError> {
        let digest = self.digest()?;
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        let mut check = SignatureCheck {
            found: 0,
            result: Err(None),
        };
        let listed = referrers.list(digest)?.into_iter().filter(|entry| {
            // Lists of others may leave it out, or have the type of the configuration there.
            let kind = entry.artifact_type.as_deref();
            kind.is_none_or(|kind| kind == BUNDLE || kind == EMPTY_TYPE)
        });
        for entry in listed.take(MAX_SIGNATURES) {
            let Some(bundle) = fetch_bundle(&referrers, &entry)? else {
                continue;
            };
            check.found += 1;
            match bundle::verify(&bundle, key, digest) {
                Ok(()) => {
                    check.result = Ok(());
                    return Ok(check);
                }
                Err(reason) => check.result = Err(Some(reason)),
            }
        }
        Ok(check)
    }
}

/// Writes a signature of one manifest.
fn attach(referrers: &Referrers<'_>, subject: &Entry, key: &SecretKey) -> Result<(), SignError> {
    let bundle = bundle::sign(key, subject.digest);
    let layer = Descriptor::of(BUNDLE, &bundle);
    let empty = Descriptor::of(EMPTY_TYPE, EMPTY);
    send(referrers, &empty, EMPTY)?;
    send(referrers, &layer, &bundle)?;
    let annotations = json!({
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": SIGNED,
        annotation::CREATED: CREATED,
    });
    let manifest = to_canonical_json(&json!({
        "schemaVersion": 2,
        "mediaType": media_type::MANIFEST,
        "artifactType": BUNDLE,
        "config": empty,
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
        artifact_type: Some(BUNDLE.to_owned()),
        annotations: serde_json::from_value(annotations).unwrap_or_default(),
        platform: None,
    };
    referrers.add(subject.digest, &listed, &manifest)
}

/// Makes sure of a small blob.
fn send(referrers: &Referrers<'_>, blob: &Descriptor, bytes: &[u8]) -> Result<(), SignError> {
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

/// Reads a bundle that a list names; `None` if it names something else, or something that is not there.
fn fetch_bundle(referrers: &Referrers<'_>, entry: &Entry) -> Result<Option<Vec<u8>>, SignError> {
    use std::io::Read as _;

    use store::registry::RegistryError;

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
        [layer] if layer.media_type == BUNDLE && layer.size_bytes <= MAX_BUNDLE_BYTES => layer,
        _ => return Ok(None),
    };
    let digest = layer.digest.to_string();
    let mut reader = match repository.open_blob(&digest, layer.size_bytes, what) {
        Ok(reader) => reader,
        Err(RegistryError::Absent { .. }) => return Ok(None),
        Err(source) => return Err(referrers.failed(source)),
    };
    let mut bytes = Vec::new();
    // What is cut or changed is no signature.
    let is_whole = reader.read_to_end(&mut bytes).is_ok() && Digest::of(&bytes) == layer.digest;
    Ok(is_whole.then_some(bytes))
}
