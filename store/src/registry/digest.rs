//! Digests as registries write them.

use sha2::{Digest as _, Sha256};

/// Returns the digest by which registries know bytes: `sha256:` and 64 digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    text
}
