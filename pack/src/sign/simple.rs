//! A signature as cosign kept it up to version 2, and podman's policies read it: a text that names the image's digest, signed as it is.
//!
//! Sources: sigstore/cosign, `specs/SIGNATURE_SPEC.md`; containers/image, `docs/containers-signature.5.md`, "JSON Data Format".

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use store::trust::Statement;

use super::{ImageKey, ImageSecretKey, Unsigned};
use crate::oci::{Digest, to_canonical_json};

/// The media type of the text.
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// What the text says it is.
const TYPE: &str = "cosign container image signature";

/// A text and its signature in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SimpleSignature {
    pub(super) payload: Vec<u8>,
    pub(super) signature: String,
}

impl SimpleSignature {
    /// Signs the manifest with `digest`, of which `repository` is known by its registry's name and its own. The same for the same key, digest and repository.
    pub(super) fn sign(key: &ImageSecretKey, digest: Digest, repository: &str) -> Self {
        let payload = to_canonical_json(&json!({
            "critical": {
                "identity": {"docker-reference": repository},
                "image": {"docker-manifest-digest": digest},
                "type": TYPE,
            },
            "optional": null,
        }));
        let statement = Statement::document(&payload).expect("an object begins with a brace");
        let signature = key.sign(&statement);
        Self {
            payload,
            signature: STANDARD.encode(signature),
        }
    }

    /// Tells whether this is the signature of the manifest with `digest` by the owner of `key`. Under which name it was signed says nothing: images are copied.
    pub(super) fn verify(&self, key: &ImageKey, digest: Digest) -> Result<(), Unsigned> {
        let statement = Statement::document(&self.payload).ok_or(Unsigned::Payload)?;
        key.verify(&statement, &self.signature)?;
        let payload: Value =
            serde_json::from_slice(&self.payload).map_err(|_| Unsigned::Payload)?;
        let critical = &payload["critical"];
        if critical["type"] != TYPE {
            return Err(Unsigned::Payload);
        }
        match critical["image"]["docker-manifest-digest"] == digest.to_string().as_str() {
            true => Ok(()),
            false => Err(Unsigned::Subject),
        }
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

    /// What cosign 3 with `--new-bundle-format=false` wrote for an image, its key, and the digest of the image.
    const COSIGN_PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:46353/team/app"},"image":{"docker-manifest-digest":"sha256:da8f56e6eec754cb1c85fa95190026f214776bb9f5dcb3388947d582ed58afea"},"type":"cosign container image signature"},"optional":null}"#;
    const COSIGN_SIGNATURE: &str = "MEUCIHuCg2AovxrsVAbgCKqDf3Y0UadQblapKDiEovtxdbL8AiEA5LFqHHVzWY4+rAvcT4aZEzuGi5wA6pK+nT4vpCYeL/0=";
    const COSIGN_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEo6gL2UZfFCatbac/UaJ96FK/mZHH\nJe/8u4JEzwikIHeGEwdZTRKM/+BIu7ECoA4HzVAGMu9Mdrsu5jmG3jj6cw==\n-----END PUBLIC KEY-----\n";
    const COSIGN_DIGEST: &str =
        "sha256:da8f56e6eec754cb1c85fa95190026f214776bb9f5dcb3388947d582ed58afea";

    #[test]
    fn a_signature_by_cosign_is_verified_and_its_text_is_ours() {
        let key = ImageKey::from_pem("cosign".parse().unwrap(), COSIGN_KEY).unwrap();
        let digest = COSIGN_DIGEST.parse().unwrap();
        let signed = SimpleSignature {
            payload: COSIGN_PAYLOAD.into(),
            signature: COSIGN_SIGNATURE.to_owned(),
        };
        assert_eq!(signed.verify(&key, digest), Ok(()));
        let other = Digest::of(b"other");
        assert_eq!(signed.verify(&key, other), Err(Unsigned::Subject));
        assert_eq!(signed.verify(&public(1), digest), Err(Unsigned::Key));
        let ours = SimpleSignature::sign(&self::key(1), digest, "127.0.0.1:46353/team/app");
        assert_eq!(String::from_utf8_lossy(&ours.payload), COSIGN_PAYLOAD);
    }

    #[test]
    fn a_signature_is_the_same_each_time() {
        let signed = SimpleSignature::sign(&key(1), Digest::of(b"image"), "r.example/app");
        let golden = "2ajL1T+3V1AynumuNR59VUcuATW/8jAtgU94BzvXhjLJaQSvwJreGi06G9okRx0L7KBa9WGPBCcdGgoFxBgLBw==";
        assert_eq!(signed.signature, golden);
    }

    #[test]
    fn no_byte_can_be_changed() {
        let image = Digest::of(b"image");
        let signed = SimpleSignature::sign(&key(1), image, "r.example/app");
        assert_eq!(signed.verify(&public(1), image), Ok(()));
        for at in 0..signed.payload.len() {
            let mut bad = signed.clone();
            bad.payload[at] ^= 1;
            assert!(bad.verify(&public(1), image).is_err(), "{at}");
        }
        for at in 0..signed.signature.len() {
            let mut bad = signed.signature.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = SimpleSignature {
                signature: String::from_utf8(bad).unwrap(),
                ..signed.clone()
            };
            assert!(bad.verify(&public(1), image).is_err(), "{at}");
        }
    }

    #[test]
    fn what_else_was_signed_is_no_signature_of_an_image() {
        let image = Digest::of(b"image");
        let sign = |payload: &[u8]| SimpleSignature {
            payload: payload.to_vec(),
            signature: Statement::document(payload)
                .map(|statement| STANDARD.encode(key(1).sign(&statement)))
                .unwrap_or_default(),
        };
        let ours = SimpleSignature::sign(&key(1), image, "r.example/app").payload;
        let ours = String::from_utf8(ours).unwrap();
        for payload in [
            ours.replace(TYPE, "atomic container signature"),
            "{}".to_owned(),
            "{".to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            let signed = sign(payload.as_bytes());
            let result = signed.verify(&public(1), image);
            assert_eq!(result, Err(Unsigned::Payload), "{payload}");
        }
    }
}
