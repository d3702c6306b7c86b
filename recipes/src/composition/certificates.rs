//! The certificates of authorities as programs want them: one PEM bundle, and a key store for Java.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The password of Java's own key store. It protects nothing: everything in it is public.
const JAVA_PASSWORD: &str = "changeit";
/// The date of every entry, in milliseconds since 1970.
const JAVA_DATE: u64 = 1000;

/// One file with a certificate.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// Its name without directory and ending, by which Java knows it.
    pub(super) alias: String,
    /// The text.
    pub(super) pem: String,
}

/// Joins certificates, as `update-ca-certificates` does, in the order given.
pub(super) fn bundle(certificates: &[Certificate]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str(certificate.pem.trim_end());
        text.push('\n');
    }
    text
}

/// Returns a key store of Java (format JKS, version 2, as `sun.security.provider.JavaKeyStore` reads it); `None` for the
/// alias of what is no certificate.
pub(super) fn java_key_store(certificates: &[Certificate]) -> Result<Vec<u8>, String> {
    let mut store = Vec::new();
    store.extend_from_slice(&0xfeed_feed_u32.to_be_bytes());
    store.extend_from_slice(&2_u32.to_be_bytes());
    let count = u32::try_from(certificates.len()).unwrap_or(u32::MAX);
    store.extend_from_slice(&count.to_be_bytes());
    for certificate in certificates {
        let bad = || certificate.alias.clone();
        let der = der(&certificate.pem).ok_or_else(bad)?;
        // 2: a trusted certificate.
        store.extend_from_slice(&2_u32.to_be_bytes());
        put_text(&mut store, &certificate.alias.to_lowercase()).ok_or_else(bad)?;
        store.extend_from_slice(&JAVA_DATE.to_be_bytes());
        put_text(&mut store, "X.509").ok_or_else(bad)?;
        let length = u32::try_from(der.len()).map_err(|_| bad())?;
        store.extend_from_slice(&length.to_be_bytes());
        store.extend_from_slice(&der);
    }
    let mut digest = Sha1::new();
    for unit in JAVA_PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(b"Mighty Aphrodite");
    digest.update(&store);
    store.extend_from_slice(&digest.finalize());
    Ok(store)
}

/// Java's "modified UTF-8" with a length; other than ASCII is left out, so that it is plain.
fn put_text(store: &mut Vec<u8>, text: &str) -> Option<()> {
    let ascii: Vec<u8> = text.bytes().filter(|b| (0x20..0x7f).contains(b)).collect();
    store.extend_from_slice(&u16::try_from(ascii.len()).ok()?.to_be_bytes());
    store.extend_from_slice(&ascii);
    Some(())
}

fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let digits: String = body.split_whitespace().collect();
    STANDARD.decode(digits).ok().filter(|der| !der.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(alias: &str) -> Certificate {
        Certificate {
            alias: alias.to_owned(),
            pem: format!("{BEGIN}\nAQID\n{END}\n\n"),
        }
    }

    #[test]
    fn a_bundle_has_one_line_end_after_each() {
        let text = bundle(&[certificate("a"), certificate("b")]);
        assert_eq!(text.matches(BEGIN).count(), 2);
        assert!(!text.contains("\n\n") && text.ends_with('\n'));
    }

    #[test]
    fn a_key_store_has_entries_and_a_digest() {
        let store = java_key_store(&[certificate("Root")]).unwrap();
        let head = [
            0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 4,
        ];
        assert_eq!(store[..18], head);
        assert_eq!(&store[18..22], b"root");
        assert_eq!(store.len(), 22 + 8 + 2 + 5 + 4 + 3 + 20);
        let bad = Certificate {
            pem: "x".to_owned(),
            ..certificate("Bad")
        };
        assert_eq!(java_key_store(&[bad]).unwrap_err(), "Bad");
    }
}
