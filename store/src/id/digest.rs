//! The digests, each a type of its own so that none is taken for another.

use std::{fmt, str::FromStr};

use super::{IdError, base32, text::serde_as_text};

/// Writes the type, its text form and its serde form once for each 256-bit digest.
macro_rules! digest {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        ///
        /// Printed, parsed and serialised as `blake3:` and 64 lower-case hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes for a digest.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Returns the 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the 64 hexadecimal digits alone, as file names want them.
            #[must_use]
            pub fn to_hex(&self) -> String {
                blake3::Hash::from_bytes(self.0).to_hex().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "blake3:{}", blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hexadecimal(text).map(Self)
            }
        }

        serde_as_text!($name);
    };
}

digest! {
    /// The BLAKE3 digest of a file's bytes: what `b3sum` prints, and the Remote Execution API's BLAKE3 digest.
    BlobId
}
digest! {
    /// The digest of a directory's canonical encoding (`tree/FORMAT.md`).
    TreeId
}
digest! {
    /// The digest that seals a store object: its name, its bytes modulo self-references, and its references.
    ObjectId
}
digest! {
    /// The digest of a derivation whose inputs are named by the objects they were built to; keys a [`Realisation`](crate::Realisation).
    ResolvedDigest
}
digest! {
    /// The digest of a derivation whose inputs are named by their own plan digests; known before anything is built.
    PlanDigest
}
digest! {
    /// The BLAKE3 digest of a pack: a file of a binary cache that has the bytes of many blobs.
    PackDigest
}

impl ObjectId {
    /// Returns the first 200 bits, which the object's store path shows.
    #[must_use]
    pub fn path_digest(&self) -> PathDigest {
        let mut bytes = [0; 25];
        bytes.copy_from_slice(&self.0[..25]);
        PathDigest(bytes)
    }
}

fn parse_hexadecimal(text: &str) -> Result<[u8; 32], IdError> {
    let digits = text
        .strip_prefix("blake3:")
        .ok_or_else(|| IdError::Algorithm {
            text: text.to_owned(),
        })?;
    let strict = digits
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    match blake3::Hash::from_hex(digits) {
        Ok(hash) if strict => Ok(*hash.as_bytes()),
        _ => Err(IdError::Hexadecimal {
            text: text.to_owned(),
        }),
    }
}

/// The digest part of a store path: 200 bits, printed as 40 digits of base 32.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathDigest([u8; 25]);

impl PathDigest {
    /// Takes 25 bytes for a path digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 25]) -> Self {
        Self(bytes)
    }

    /// Returns the 25 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 25] {
        &self.0
    }

    /// Returns the 40 digits, which are ASCII.
    #[must_use]
    pub fn to_digits(&self) -> [u8; 40] {
        base32::encode(&self.0)
    }
}

impl fmt::Display for PathDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_digits()
            .iter()
            .try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

impl fmt::Debug for PathDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathDigest({self})")
    }
}

impl FromStr for PathDigest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        base32::decode(text.as_bytes())
            .map(Self)
            .ok_or_else(|| IdError::Base32 {
                text: text.to_owned(),
            })
    }
}

serde_as_text!(PathDigest);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn printing_and_parsing_are_inverses(bytes in prop::array::uniform32(any::<u8>())) {
            let id = ObjectId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.path_digest().to_string().parse(), Ok(id.path_digest()));
            prop_assert_eq!(serde_json::from_str::<ObjectId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        }

        #[test]
        fn whatever_parses_prints_as_it_was(text in "(blake3:)?[0-9a-fA-F]{62,66}") {
            if let Ok(id) = text.parse::<BlobId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn parsing_refuses_capitals_other_lengths_and_other_algorithms() {
        let digits = "0a".repeat(32);
        assert!(format!("blake3:{digits}").parse::<BlobId>().is_ok());
        for text in [
            digits.clone(),
            format!("sha256:{digits}"),
            format!("blake3:{}", digits.to_uppercase()),
            format!("blake3:{digits}0"),
        ] {
            assert!(text.parse::<BlobId>().is_err(), "{text}");
        }
    }
}
