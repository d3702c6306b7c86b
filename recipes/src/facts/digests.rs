//! Several digests of the same bytes in one pass.

use std::io::{self, Read};

use sha1::Digest as _;
use sha2::Digest as _;

/// What is read at once: large enough that the three functions take turns on what is in the cache of the processor.
const BUFFER_BYTES: usize = 64 << 10;

/// The digests that documents ask for, in hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) size: u64,
    pub(super) sha1: String,
    pub(super) sha256: String,
    pub(super) sha512: String,
}

impl Digests {
    /// Reads to the end.
    pub(super) fn of(mut reader: impl Read) -> io::Result<Self> {
        let mut sha1 = sha1::Sha1::new();
        let mut sha256 = sha2::Sha256::new();
        let mut sha512 = sha2::Sha512::new();
        let mut size = 0;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            sha1.update(bytes);
            sha256.update(bytes);
            sha512.update(bytes);
            size += count as u64;
        }
        Ok(Self {
            size,
            sha1: hex(&sha1.finalize()),
            sha256: hex(&sha256.finalize()),
            sha512: hex(&sha512.finalize()),
        })
    }
}

/// Returns the SHA-256 of some bytes in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// Writes bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_of_the_standards() {
        // FIPS 180-4, examples for `abc`.
        let digests = Digests::of(&b"abc"[..]).unwrap();
        assert_eq!(digests.size, 3);
        assert_eq!(digests.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            digests.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(
            digests
                .sha512
                .starts_with("ddaf35a193617abacc417349ae204131")
        );
        assert_eq!(sha256(b"abc"), digests.sha256);
    }
}
