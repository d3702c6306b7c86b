//! Public keys as other programs have them: RFC 8410, `SubjectPublicKeyInfo`, in the armour of RFC 7468.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::VerifyingKey;

use super::{KeyName, PublicKey, TrustError};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// All of the structure but the key: a sequence of the algorithm 1.3.101.112 and a string of 32 bytes.
const PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl PublicKey {
    /// Returns the key without its name as `SubjectPublicKeyInfo`, in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        [&PREFIX[..], self.as_bytes()].concat()
    }

    /// Returns the same in PEM, as openssl and cosign read it, with a newline at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(self.to_der()))
    }

    /// Reads a key in PEM, which has no name, and gives it one.
    pub fn from_pem(name: KeyName, text: &str) -> Result<Self, TrustError> {
        let der = decode_pem(text)?;
        let bytes = der.strip_prefix(&PREFIX).ok_or(TrustError::Pem)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| TrustError::Pem)?;
        Self::from_bytes(name, &bytes)
    }

    pub(super) fn from_bytes(name: KeyName, bytes: &[u8; 32]) -> Result<Self, TrustError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() && key.to_edwards().compress().as_bytes() == bytes => {
                Ok(Self { name, key })
            }
            _ => Err(TrustError::NotAKey { name }),
        }
    }
}

/// Returns the structure in a public key in PEM, whatever its algorithm.
pub fn decode_pem(text: &str) -> Result<Vec<u8>, TrustError> {
    let body = text
        .trim()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or(TrustError::Pem)?;
    let body: String = body.split_ascii_whitespace().collect();
    STANDARD.decode(body).map_err(|_| TrustError::Pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SecretKey;

    /// `openssl pkey -pubout` of the secret key of RFC 8032, 7.1, test 1.
    const OPENSSL: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    const SEED: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ];

    #[test]
    fn keys_are_written_and_read_as_openssl_does() {
        let name = || "a".parse::<KeyName>().unwrap();
        let key = SecretKey::from_seed(name(), &SEED).public();
        assert_eq!(key.to_pem(), OPENSSL);
        assert_eq!(PublicKey::from_pem(name(), OPENSSL), Ok(key));
        let windows = OPENSSL.replace('\n', "\r\n");
        assert!(PublicKey::from_pem(name(), &windows).is_ok());
        for bad in [
            "",
            "a:b",
            BEGIN,
            &OPENSSL.replace("MCow", "MCox"),
            &OPENSSL.replace("URo=", "UR=="),
            &OPENSSL.replace("PUBLIC", "PRIVATE"),
        ] {
            assert_eq!(PublicKey::from_pem(name(), bad), Err(TrustError::Pem));
        }
    }
}
