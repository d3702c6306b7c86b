//! Identifiers that follow from what they identify: UUIDs of version 5 (RFC 9562, 5.5).

use sha1::{Digest as _, Sha1};

/// What all documents of this crate are named in.
const NAMESPACE: [u8; 16] = [
    0x6b, 0x1f, 0x2d, 0x0a, 0x5c, 0x7e, 0x4b, 0x93, 0x8e, 0x41, 0x0d, 0x92, 0xaf, 0x37, 0xc6, 0x58,
];

/// Returns the identifier of what has this name, in the usual form.
pub(super) fn uuid(name: &[u8]) -> String {
    uuid_in(&NAMESPACE, name)
}

fn uuid_in(namespace: &[u8; 16], name: &[u8]) -> String {
    let mut bytes = [0; 16];
    let hash = Sha1::new().chain_update(namespace).chain_update(name);
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_those_of_the_rfc() {
        // RFC 9562, appendix A.4: `www.example.com` in the namespace of DNS.
        let dns = [
            0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4,
            0x30, 0xc8,
        ];
        assert_eq!(
            uuid_in(&dns, b"www.example.com"),
            "2ed6657d-e927-568b-95e1-2665a8aea6a2"
        );
    }
}
