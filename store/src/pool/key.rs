//! The name of a content in the pool.

use std::{fmt, str::FromStr};

use super::MIN_BYTES;
use crate::id::{BlobId, IdError};

/// What two files must have in common to be one inode: their bytes and their mode.
///
/// Printed and parsed as its place in the pool, `<aa>/<64 digits>[x]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    /// The digest of the bytes.
    pub blob: BlobId,
    /// Whether the file is executable.
    pub executable: bool,
}

impl PoolKey {
    /// Returns the key of a file; `None` for a file that is too small for the pool.
    #[must_use]
    pub const fn of(blob: BlobId, size: u64, executable: bool) -> Option<Self> {
        if size < MIN_BYTES {
            return None;
        }
        Some(Self { blob, executable })
    }
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.blob.to_hex();
        let mark = if self.executable { "x" } else { "" };
        write!(f, "{}/{digits}{mark}", &digits[..2])
    }
}

impl FromStr for PoolKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let illegal = || IdError::Hexadecimal {
            text: text.to_owned(),
        };
        let (shard, name) = text.split_once('/').ok_or_else(illegal)?;
        let (digits, executable) = match name.strip_suffix('x') {
            Some(digits) => (digits, true),
            None => (name, false),
        };
        if !digits.starts_with(shard) || shard.len() != 2 {
            return Err(illegal());
        }
        Ok(Self {
            blob: format!("blake3:{digits}").parse()?,
            executable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(bytes in prop::array::uniform32(any::<u8>()), executable: bool) {
            let key = PoolKey { blob: BlobId::from_bytes(bytes), executable };
            prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn names_that_the_pool_never_gives_do_not_parse() {
        let digits = "0a".repeat(32);
        assert!(format!("0a/{digits}x").parse::<PoolKey>().is_ok());
        for text in [
            digits.clone(),
            format!("0b/{digits}"),
            format!("0a0/{digits}"),
            format!("0a/{digits}xx"),
            format!("0a/{digits}.new"),
        ] {
            assert!(text.parse::<PoolKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn small_files_have_no_key() {
        let blob = BlobId::from_bytes([1; 32]);
        assert_eq!(PoolKey::of(blob, MIN_BYTES - 1, false), None);
        assert!(PoolKey::of(blob, MIN_BYTES, false).is_some());
    }
}
