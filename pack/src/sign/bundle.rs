//! A signature as cosign keeps it: a Sigstore bundle of version 0.3 with a DSSE envelope, in which an in-toto statement names the image's digest.
//!
//! Sources: sigstore/protobuf-specs, `sigstore_bundle.proto`; DSSE v1.0.2; in-toto Attestation Framework v1. There is no certificate and no log entry in it: the key
//! is known to whoever verifies.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::trust::Statement;

use super::{ImageKey, ImageSecretKey};
use crate::oci::{Digest, to_canonical_json};

/// The media type of a bundle.
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What is in the envelope.
const PAYLOAD: &str = "application/vnd.in-toto+json";
/// What the statement says: that somebody has signed the subject, and no more.
pub(crate) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// Why a bundle is no signature of an image by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It is something else, or of another version.
    #[error("it is no Sigstore bundle with an envelope")]
    Format,
    /// The signature is not by the key.
    #[error("it is signed by another key, or was changed")]
    Key,
    /// The statement is about something else.
    #[error("it is the signature of another image")]
    Subject,
    /// What is signed is no text of cosign's.
    #[error("what is signed does not say that it is a signature of an image")]
    Payload,
    /// The statement says something else.
    #[error("it states something else than that the image is signed")]
    Predicate,
}

/// Returns the bundle by which `key` signs the manifest with `digest`. The same for the same key and digest.
pub(crate) fn sign(key: &ImageSecretKey, digest: Digest) -> Vec<u8> {
    attest(key, digest, SIGNED, &json!({}))
}

/// Returns what is said of the manifest with `digest`, unsigned.
pub(super) fn statement(digest: Digest, predicate_type: &str, predicate: &Value) -> Vec<u8> {
    to_canonical_json(&json!({
        "_type": STATEMENT,
        "subject": [{"digest": {"sha256": digest.to_hex()}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }))
}

/// Returns the bundle by which the owner of `key` says something of the manifest with `digest`.
pub(super) fn attest(
    key: &ImageSecretKey,
    digest: Digest,
    predicate_type: &str,
    predicate: &Value,
) -> Vec<u8> {
    let payload = statement(digest, predicate_type, predicate);
    let signature = key.sign(&Statement::envelope(PAYLOAD, &payload));
    let hint = Sha256::digest(key.public().to_der());
    to_canonical_json(&json!({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": STANDARD.encode(hint)}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(&payload),
            "payloadType": PAYLOAD,
            "signatures": [{"sig": STANDARD.encode(signature)}],
        },
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

/// Tells whether a bundle is the signature of the manifest with `digest` by the owner of `key`.
pub(crate) fn verify(bundle: &[u8], key: &ImageKey, digest: Digest) -> Result<(), Unsigned> {
    let statement = open(bundle, key)?;
    if statement["predicateType"] != SIGNED {
        return Err(Unsigned::Predicate);
    }
    match is_about(&statement, digest) {
        true => Ok(()),
        false => Err(Unsigned::Subject),
    }
}

/// Tells whether a statement names a manifest.
pub(super) fn is_about(statement: &Value, digest: Digest) -> bool {
    let hex = digest.to_hex();
    let subjects = statement["subject"].as_array();
    let mut subjects = subjects.into_iter().flatten();
    subjects.any(|subject| subject["digest"]["sha256"] == hex.as_str())
}

/// Returns the statement in a bundle, whoever has signed it.
pub(super) fn payload(bundle: &[u8]) -> Option<Value> {
    let bundle: Bundle = serde_json::from_slice(bundle).ok()?;
    let payload = STANDARD.decode(&bundle.dsse_envelope.payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Returns the statement in a bundle that the owner of `key` has signed, whatever it says.
pub(super) fn open(bundle: &[u8], key: &ImageKey) -> Result<Value, Unsigned> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(|_| Unsigned::Format)?;
    let envelope = bundle.dsse_envelope;
    let payload = STANDARD.decode(&envelope.payload);
    let payload = payload.map_err(|_| Unsigned::Format)?;
    // Exactly one: whoever adds another wants somebody to look at the wrong one.
    let [signature] = envelope.signatures.as_slice() else {
        return Err(Unsigned::Format);
    };
    if bundle.media_type != BUNDLE || envelope.payload_type != PAYLOAD {
        return Err(Unsigned::Format);
    }
    let statement = Statement::envelope(&envelope.payload_type, &payload);
    key.verify(&statement, &signature.sig)?;
    let statement: Value = serde_json::from_slice(&payload).map_err(|_| Unsigned::Format)?;
    match statement["_type"] == STATEMENT {
        true => Ok(statement),
        false => Err(Unsigned::Predicate),
    }
}

#[cfg(test)]
mod tests {
    use store::trust::SecretKey;

    use super::*;

    fn key(seed: u8) -> ImageSecretKey {
        SecretKey::from_seed("test".parse().unwrap(), &[seed; 32]).into()
    }

    fn public(seed: u8) -> ImageKey {
        key(seed).public()
    }

    /// What cosign 3.1.1 wrote for an image, its key, and the digest of the image.
    const COSIGN_BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"7J9ZrvK6umoWdRtlTeyUHvM49zZZWV3Y6D5pyi12tBg="}},"dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiZGY1YTMxZTkyMTIzNWM3MDM3OWY0N2U4OTY1MTIzYmNjNjM4NDNjNzVlMjNkMzU1MGVjNzViODQ3YzE1MGYwNyJ9LCJhbm5vdGF0aW9ucyI6e319XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2lnc3RvcmUuZGV2L2Nvc2lnbi9zaWduL3YxIiwicHJlZGljYXRlIjp7fX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEQCIFv7qxn+24hz9Saj3VT/bOPkSmhtlj5gMZZjkHA7D4TmAiAFqxJB81S/TnCfPVUpE27Mm/oVi910esLDO2YKNx9Rrg=="}]}}"#;
    const COSIGN_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE/MsT20Vhrzlf519ELNVTuaQ2rGJ2\nVmdXzXdpz2doHm0S/+837fXRt1h91wdWfPgxhd39RsTd+mm1f82W3JgQrQ==\n-----END PUBLIC KEY-----\n";
    const COSIGN_DIGEST: &str =
        "sha256:df5a31e921235c70379f47e8965123bcc63843c75e23d3550ec75b847c150f07";

    #[test]
    fn a_signature_by_cosign_is_verified() {
        let key = ImageKey::from_pem("cosign".parse().unwrap(), COSIGN_KEY).unwrap();
        assert!(matches!(key, ImageKey::P256 { .. }));
        let verify = |bundle: &str, digest| verify(bundle.as_bytes(), &key, digest);
        let digest = COSIGN_DIGEST.parse().unwrap();
        assert_eq!(verify(COSIGN_BUNDLE, digest), Ok(()));
        let other = Digest::of(b"other");
        assert_eq!(verify(COSIGN_BUNDLE, other), Err(Unsigned::Subject));
        let changed = COSIGN_BUNDLE.replace("MEQCIFv7", "MEQCIFv8");
        assert_eq!(verify(&changed, digest), Err(Unsigned::Key));
        let cut = COSIGN_KEY.replacen("MFkw", "MFkx", 1);
        assert!(ImageKey::from_pem("cosign".parse().unwrap(), &cut).is_err());
    }

    #[test]
    fn a_bundle_is_good_for_its_key_and_its_image_alone() {
        let (image, other) = (Digest::of(b"image"), Digest::of(b"other"));
        let bundle = sign(&key(1), image);
        assert_eq!(verify(&bundle, &public(1), image), Ok(()));
        assert_eq!(verify(&bundle, &public(2), image), Err(Unsigned::Key));
        assert_eq!(verify(&bundle, &public(1), other), Err(Unsigned::Subject));
        assert_eq!(verify(b"{}", &public(1), image), Err(Unsigned::Format));
        assert_eq!(sign(&key(1), image), bundle);
    }

    #[test]
    fn no_byte_of_a_bundle_can_be_changed_so_that_it_says_something_else() {
        let image = Digest::of(b"image");
        let bundle = sign(&key(1), image);
        for at in 0..bundle.len() {
            let mut bad = bundle.clone();
            bad[at] ^= 1;
            // The hint is not relied on, and a changed key of it is left out.
            if verify(&bad, &public(1), image).is_ok() {
                let text = String::from_utf8_lossy(&bundle);
                let place = text.find("verificationMaterial").unwrap();
                assert!(at >= place, "{at}");
            }
        }
    }
}
