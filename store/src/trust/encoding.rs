//! The text of keys and signatures: a name, a colon, bytes in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{KeyName, TrustError};

/// Splits `<name>:<base64>` into its name and its `N` bytes, which are overwritten when dropped.
pub(super) fn parse<const N: usize>(
    text: &str,
    wanted: &'static str,
) -> Result<(KeyName, Zeroizing<[u8; N]>), TrustError> {
    let (name, encoded) = text.split_once(':').ok_or(TrustError::NoName { wanted })?;
    let name: KeyName = name.parse()?;
    // The engine refuses missing padding, bits after the last byte and every foreign character, so a value has one text.
    let decoded = STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| TrustError::Base64 {
            wanted,
            name: name.clone(),
        })?;
    match <[u8; N]>::try_from(decoded.as_slice()) {
        Ok(bytes) => Ok((name, Zeroizing::new(bytes))),
        Err(_) => Err(TrustError::Length {
            wanted,
            name,
            expected: N,
            found: decoded.len(),
        }),
    }
}

/// Returns the text of a name and bytes.
pub(super) fn print(name: &KeyName, bytes: &[u8]) -> String {
    // One allocation of the final size, so that no copy of a secret is left behind.
    let mut text = String::with_capacity(name.as_str().len() + 1 + bytes.len().div_ceil(3) * 4);
    text.push_str(name.as_str());
    text.push(':');
    STANDARD.encode_string(bytes, &mut text);
    text
}
