//! The keys by which images are verified: ours, and those that cosign makes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{self, signature::Verifier as _},
    pkcs8::{DecodePublicKey as _, EncodePublicKey as _},
};
use store::trust::{KeyName, PublicKey, Signature, Statement, TrustError, decode_pem};

use super::Unsigned;

/// What verifies signatures of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageKey {
    /// A key of this project's.
    Ed25519(PublicKey),
    /// What cosign makes by default: ECDSA on P-256 with SHA-256.
    P256 {
        /// What it is called.
        name: KeyName,
        /// The point.
        key: ecdsa::VerifyingKey,
    },
}

impl ImageKey {
    /// Reads a key in PEM of either kind, which has no name, and gives it one.
    pub fn from_pem(name: KeyName, text: &str) -> Result<Self, TrustError> {
        match ecdsa::VerifyingKey::from_public_key_der(&decode_pem(text)?) {
            Ok(key) => Ok(Self::P256 { name, key }),
            Err(_) => PublicKey::from_pem(name, text).map(Self::Ed25519),
        }
    }

    /// Returns what the key is called.
    pub const fn name(&self) -> &KeyName {
        match self {
            Self::Ed25519(key) => key.name(),
            Self::P256 { name, .. } => name,
        }
    }

    /// Returns the key without its name as `SubjectPublicKeyInfo`, in DER. RFC 5480 and 8410.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.to_der(),
            Self::P256 { key, .. } => {
                let document = key.to_public_key_der().expect(WHOLE_POINT);
                document.into_vec()
            }
        }
    }

    /// Returns the same in PEM, as openssl and cosign read it, with a newline at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        match self {
            Self::Ed25519(key) => key.to_pem(),
            Self::P256 { key, .. } => key
                .to_public_key_pem(Default::default())
                .expect(WHOLE_POINT),
        }
    }

    /// Returns the key as it is written into a file: `<name>:<base64>`, or PEM, which has no name.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Ed25519(key) => key.to_string(),
            Self::P256 { .. } => self.to_pem(),
        }
    }

    /// Tells whether `signature`, in base64, is that of the statement by the owner of the key.
    pub(super) fn verify(&self, statement: &Statement, signature: &str) -> Result<(), Unsigned> {
        let bytes = STANDARD.decode(signature);
        let is_signed = bytes.is_ok_and(|bytes| self.verifies(statement, &bytes));
        is_signed.then_some(()).ok_or(Unsigned::Key)
    }

    fn verifies(&self, statement: &Statement, signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => <[u8; 64]>::try_from(signature).is_ok_and(|bytes| {
                key.verifies(statement, &Signature::from_bytes(key.name().clone(), bytes))
            }),
            Self::P256 { key, .. } => ecdsa::DerSignature::try_from(signature)
                .is_ok_and(|signature| key.verify(statement.as_bytes(), &signature).is_ok()),
        }
    }
}

/// Why a key can be written.
const WHOLE_POINT: &str = "a point of a curve has one encoding, which is short";

impl From<PublicKey> for ImageKey {
    fn from(key: PublicKey) -> Self {
        Self::Ed25519(key)
    }
}
