//! Images and their signatures.

use serde::Serialize;
use store::registry::Repository;

use super::{
    ImageKey, ImageSecretKey, SignError, Unsigned,
    bundle::{self, BUNDLE, SIGNED},
    legacy::LegacySignatures,
    referrer::{EMPTY_TYPE, PREDICATE_TYPE, Referrer, attach, fetch_layer},
    referrers::Referrers,
};
use crate::{existing::ExistingImage, oci::Digest};

/// Signatures of one image that are looked at.
const MAX_SIGNATURES: usize = 100;
/// How many of the bytes of a bundle are read.
const MAX_BUNDLE_BYTES: u64 = 1 << 20;

/// In which forms an image in a registry is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForms {
    /// As a bundle that refers to the image: cosign 3 reads it.
    Bundle,
    /// Also as a text under a tag of its own: earlier versions of cosign and what reads policies for podman know only this.
    BundleAndLegacy,
}

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
pub fn sign_bundle(image: &ExistingImage<'_>, key: &ImageSecretKey) -> Result<Vec<u8>, SignError> {
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
    pub fn sign(
        &self,
        repository: &Repository,
        key: &ImageSecretKey,
        forms: SignatureForms,
    ) -> Result<Signed, SignError> {
        let documents = self.documents(None)?;
        let referrers = Referrers {
            repository,
            what: self.name(),
        };
        for document in &documents.all {
            let bundle = bundle::sign(key, document.entry.digest);
            attach(
                &referrers,
                &document.entry,
                Referrer::bundle(bundle, SIGNED),
            )?;
            if forms == SignatureForms::BundleAndLegacy {
                let legacy = LegacySignatures {
                    referrers: &referrers,
                    subject: document.entry.digest,
                };
                legacy.add(key)?;
            }
        }
        Ok(Signed {
            digest: documents.top().entry.digest,
            manifests: documents.all.len(),
        })
    }

    /// Looks for a signature by the owner of `key`, in either form, of an image that lies in `repository`.
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
            let says = entry.annotations.get(PREDICATE_TYPE);
            kind.is_none_or(|kind| kind == BUNDLE || kind == EMPTY_TYPE)
                && says.is_none_or(|says| says == SIGNED)
        });
        for entry in listed.take(MAX_SIGNATURES) {
            let Some(bundle) = fetch_layer(&referrers, &entry, BUNDLE, MAX_BUNDLE_BYTES)? else {
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
        let legacy = LegacySignatures {
            referrers: &referrers,
            subject: digest,
        };
        legacy.check(key, &mut check)?;
        Ok(check)
    }
}
