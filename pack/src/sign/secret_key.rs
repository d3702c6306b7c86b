//! The keys by which images are signed, of the kinds by which they are verified.
//!
//! Invariant: the same key and statement always give the same signature, of both kinds: ed25519 by RFC 8032, ECDSA by RFC 6979. No secret is printed by `Debug` or part
//! of an error.

use std::fmt;

use p256::{
    ecdsa::{DerSignature, SigningKey, VerifyingKey, signature::Signer as _},
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, SecretDocument},
};
use store::trust::{KeyName, SecretKey, Statement};
use zeroize::Zeroizing;

use super::{ImageKey, SecretKeyError};

const BEGIN: &str = "-----BEGIN ";
const PRIVATE: &str = "PRIVATE KEY";
/// What an old form of encryption says behind the first line. RFC 1421, 4.6.1.1.
const ENCRYPTED: &str = "Proc-Type: 4,ENCRYPTED";
/// All of an ed25519 key in PKCS#8 but its seed. RFC 8410, 7.
const ED25519_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What makes signatures of images. Overwritten in memory when dropped.
pub enum ImageSecretKey {
    /// A key of this project's, which also signs what goes into caches.
    Ed25519(SecretKey),
    /// ECDSA on P-256 with SHA-256: what cosign makes, and policies of companies ask for.
    P256 {
        /// What it is called.
        name: KeyName,
        /// The key.
        key: SigningKey,
    },
}

impl ImageSecretKey {
    /// Makes a key for ECDSA of the system's randomness. Fails when the system has none.
    pub fn generate_p256(name: KeyName) -> Result<Self, SecretKeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(seed.as_mut_slice()).map_err(SecretKeyError::Randomness)?;
            // All numbers but one of 2^32 are below the order of the group and no zero.
            if let Ok(key) = SigningKey::from_slice(seed.as_slice()) {
                return Ok(Self::P256 { name, key });
            }
        }
    }

    /// Tells whether a text is a secret key in PEM, of whatever kind.
    #[must_use]
    pub fn is_pem(text: &str) -> bool {
        find_block(text).is_some()
    }

    /// Reads a key in PEM, which has no name, and gives it one: in PKCS#8, or as openssl wrote those of elliptic curves before (SEC 1).
    pub fn from_pem(name: KeyName, text: &str) -> Result<Self, SecretKeyError> {
        let (label, block) = find_block(text).ok_or(SecretKeyError::Kind)?;
        if label != PRIVATE && label.starts_with("ENCRYPTED") || block.contains(ENCRYPTED) {
            return Err(SecretKeyError::Encrypted);
        }
        let (_, document) =
            SecretDocument::from_pem(block.trim_end()).map_err(|_| SecretKeyError::Kind)?;
        let der = document.as_bytes();
        if let Some(seed) = der.strip_prefix(&ED25519_PREFIX)
            && let Ok(seed) = seed.try_into()
        {
            return Ok(Self::Ed25519(SecretKey::from_seed(name, seed)));
        }
        let key = match label {
            PRIVATE => p256::SecretKey::from_pkcs8_der(der).ok(),
            _ => p256::SecretKey::from_sec1_der(der).ok(),
        };
        let key = key.ok_or(SecretKeyError::Kind)?.into();
        Ok(Self::P256 { name, key })
    }

    /// Returns what the key is called.
    pub const fn name(&self) -> &KeyName {
        match self {
            Self::Ed25519(key) => key.name(),
            Self::P256 { name, .. } => name,
        }
    }

    /// Returns what verifies the signatures of this key.
    #[must_use]
    pub fn public(&self) -> ImageKey {
        match self {
            Self::Ed25519(key) => key.public().into(),
            Self::P256 { name, key } => ImageKey::P256 {
                name: name.clone(),
                key: VerifyingKey::from(key),
            },
        }
    }

    /// Returns the secret as it is written into a file: `<name>:<base64>`, or PKCS#8 in PEM, which has no name.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        match self {
            Self::Ed25519(key) => key.to_text(),
            Self::P256 { key, .. } => key
                .to_pkcs8_pem(Default::default())
                .expect("a number and its point have one encoding, which is short"),
        }
    }

    /// Signs a statement.
    pub(super) fn sign(&self, statement: &Statement) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(statement).as_bytes().to_vec(),
            Self::P256 { key, .. } => {
                let signature: DerSignature = key.sign(statement.as_bytes());
                signature.as_bytes().to_vec()
            }
        }
    }
}

/// Finds the block of a secret key, with what the text says it is: `openssl ecparam -genkey` writes the name of the curve before it.
fn find_block(text: &str) -> Option<(&str, &str)> {
    text.match_indices(BEGIN).find_map(|(at, _)| {
        let block = text.get(at..)?;
        let (label, _) = block.get(BEGIN.len()..)?.split_once("-----")?;
        label.ends_with(PRIVATE).then_some((label, block))
    })
}

impl From<SecretKey> for ImageSecretKey {
    fn from(key: SecretKey) -> Self {
        Self::Ed25519(key)
    }
}

impl fmt::Debug for ImageSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSecretKey")
            .field("name", self.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6979, A.2.5: the key, in PKCS#8 and SEC 1 as `openssl` writes it, and its point.
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgya+p2EW6dRZrXCFX\nZ7HWk05Qw9s26JsSe4piKxIPZyGhRANCAARg/tS6JVqdMclh63TGNW1owEm4kjth\n+mzmaWIuYPKftnkD/hAIuLyZpBrp6VYovGTy8bIMLX6fUXejwpTURiKZ\n-----END PRIVATE KEY-----\n";
    const SEC1: &str = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\nAwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\nmaQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n-----END EC PRIVATE KEY-----\n";
    const POINT: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\nYfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n-----END PUBLIC KEY-----\n";
    /// `openssl pkcs8 -topk8` and `openssl ec -aes128` of the same, the password `x`.
    const PKCS8_ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg2zCvtC41/JgICCAAw\nDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEPZ1OfcDsO+rZpsJoeobEPgEgZB5\n6W4AwSns1eviBWeX/+pX6RP3M/WfrJjcmKULGPEXIDQSfjVdgTdl9xJEAQ7ynOay\nGNS7VL/PlltMjDb7PcBNDckj6+Xg5CZzhRFIfjRsm1K8sF1i5+sQBejpwALLQYo2\nCigxRh//JFjXmUvDlrpASFJvY5OrvpeM/Ms44ikRdn6Y2dqCwAsT6U9zfWbOBKY=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    const SEC1_ENCRYPTED: &str = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,26C1C77EFFA3C1EA52346143C531E8F2\n\nGDIB7LJ2bVf9XlRzg+YcTGJ9Ntx9OhBwNK4IE2iHqgazPOdIA7/OSuYyUphE5gyi\n29vaoOqDQorVUzO7joVLDbqYyeufe0fQHzV61dT0DC8g2GQfrigcsm8we5TykkgB\nMisxlfW0nb4EoqO2BWi1wnhKbLILBbp8/p+BB9AOESw=\n-----END EC PRIVATE KEY-----\n";
    /// `openssl pkey` of the key of RFC 8032, 7.1, test 1.
    const ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
    /// `openssl genpkey` of a key on P-384.
    const P384: &str = "-----BEGIN PRIVATE KEY-----\nMIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDBcEx4sRKLAheaV2eWp\n7Fl0BbjQykbyO6K59jSLU/iGXYIuXdbgv0kR2UmpRZ4HSXqhZANiAAQJvZ5iZ8Ss\nrC7vPrkxVdSG4Ht+RngYOpBtRipJOeMzV6cKCZ9z6tjo+7DavCyme6HmSbB96DIo\nI+A9obFTdbRI1xeC/E7pp1P747ttyhRVGwY8epjoDccSlX187QePQkQ=\n-----END PRIVATE KEY-----\n";

    fn name() -> KeyName {
        "test".parse().unwrap()
    }

    fn read(text: &str) -> Result<ImageSecretKey, SecretKeyError> {
        ImageSecretKey::from_pem(name(), text)
    }

    #[test]
    fn what_openssl_writes_is_read() {
        for text in [
            PKCS8,
            SEC1,
            &format!("{SEC1}\n"),
            &PKCS8.replace('\n', "\r\n"),
        ] {
            let key = read(text).unwrap();
            assert!(matches!(key, ImageSecretKey::P256 { .. }), "{text}");
            assert_eq!(key.public().to_pem(), POINT, "{text}");
            assert_eq!(*key.to_text(), PKCS8);
        }
        let key = read(ED25519).unwrap();
        let ImageKey::Ed25519(public) = key.public() else {
            panic!("another kind");
        };
        assert_eq!(
            public.to_string(),
            "test:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
        );
    }

    #[test]
    fn a_signature_is_the_one_of_its_specification() {
        // RFC 6979, A.2.5, with SHA-256 and the message "sample". A statement of a document is that document as it is.
        let sample = p256::ecdsa::signature::Signer::<DerSignature>::sign;
        let ImageSecretKey::P256 { key, .. } = read(PKCS8).unwrap() else {
            panic!("another kind");
        };
        let hex: String = (sample(&key, b"sample").as_bytes().iter())
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (r, s) = (
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        );
        assert_eq!(hex, format!("3046022100{r}022100{s}"));
    }

    #[test]
    fn a_signature_is_the_same_each_time_and_good_for_its_key_alone() {
        use super::super::Unsigned;
        use base64::{Engine as _, engine::general_purpose::STANDARD};

        let statement = Statement::envelope("type", b"payload");
        let (one, other) = (
            read(PKCS8).unwrap(),
            ImageSecretKey::generate_p256(name()).unwrap(),
        );
        let signature = one.sign(&statement);
        assert_eq!(one.sign(&statement), signature);
        let signature = STANDARD.encode(signature);
        assert_eq!(one.public().verify(&statement, &signature), Ok(()));
        assert_eq!(
            other.public().verify(&statement, &signature),
            Err(Unsigned::Key)
        );
        let another = Statement::envelope("type", b"Payload");
        assert_eq!(
            one.public().verify(&another, &signature),
            Err(Unsigned::Key)
        );
    }

    #[test]
    fn generated_keys_differ_and_are_read_again() {
        let keys = [(); 2].map(|()| ImageSecretKey::generate_p256(name()).unwrap());
        assert_ne!(keys[0].public(), keys[1].public());
        for key in &keys {
            assert_eq!(read(&key.to_text()).unwrap().public(), key.public());
            let public = key.public();
            assert_eq!(ImageKey::from_pem(name(), &public.to_pem()), Ok(public));
        }
    }

    #[test]
    fn encrypted_keys_and_those_of_other_kinds_are_refused_as_what_they_are() {
        let of_cosign = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\neyJrZGYiOnt9fQ==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
        for text in [PKCS8_ENCRYPTED, SEC1_ENCRYPTED, of_cosign] {
            assert!(
                matches!(read(text), Err(SecretKeyError::Encrypted)),
                "{text}"
            );
        }
        let cut = PKCS8.replacen("MIGH", "MIGI", 1);
        for text in [
            "",
            "test:AAAA",
            POINT,
            P384,
            &cut,
            "-----BEGIN PRIVATE KEY-----",
        ] {
            assert!(matches!(read(text), Err(SecretKeyError::Kind)), "{text}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        assert_eq!(
            format!("{:?}", read(PKCS8).unwrap()),
            "ImageSecretKey { name: KeyName(test), .. }"
        );
    }
}
