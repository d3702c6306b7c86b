//! The keys by which images are verified: ours, and those that cosign makes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use store::trust::{KeyName, PublicKey, Signature, Statement, TrustError, decode_pem};

use super::Unsigned;

/// All of a `SubjectPublicKeyInfo` but the key: ECDSA (1.2.840.10045.2.1) on P-256 (1.2.840.10045.3.1.7), and a string of 65 bytes. RFC 5480.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point.
const POINT_BYTES: usize = 65;

/// What verifies signatures of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageKey {
    /// A key of this project's.
    Ed25519(PublicKey),
    /// What cosign makes by default: ECDSA on P-256 with SHA-256.
    P256 {
        /// What it is called.
        name: KeyName,
        /// The point, uncompressed.
        point: Vec<u8>,
    },
}

impl ImageKey {
    /// Reads a key in PEM of either kind, which has no name, and gives it one.
    pub fn from_pem(name: KeyName, text: &str) -> Result<Self, TrustError> {
        let der = decode_pem(text)?;
        match der.strip_prefix(&P256_PREFIX) {
            Some(point) if point.len() == POINT_BYTES && point[0] == 4 => Ok(Self::P256 {
                name,
                point: point.to_vec(),
            }),
            _ => PublicKey::from_pem(name, text).map(Self::Ed25519),
        }
    }

    /// Returns what the key is called.
    pub const fn name(&self) -> &KeyName {
        match self {
            Self::Ed25519(key) => key.name(),
            Self::P256 { name, .. } => name,
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
            Self::P256 { point, .. } => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(statement.as_bytes(), signature)
                .is_ok(),
        }
    }
}

impl From<PublicKey> for ImageKey {
    fn from(key: PublicKey) -> Self {
        Self::Ed25519(key)
    }
}
