//! The names by which the model speaks of derivations and of what they become.
//!
//! A derivation has three digests, each a newtype of its own so that one can never stand for another: [`DerivationId`]
//! (what was written), [`PlanDigest`] (what is going to be built, computable without building) and
//! [`ResolvedDigest`] (what is built from which objects, the key of a realisation).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// BLAKE3 `derive_key` contexts. Changing the meaning of an encoding means changing its context.
pub(super) const DERIVATION_ID: &str = "pith 2026 recipes derivation id v1";
pub(super) const PLAN_DIGEST: &str = "pith 2026 recipes plan digest v1";
pub(super) const RESOLVED_DIGEST: &str = "pith 2026 recipes resolved digest v1";
pub(super) const PLACEHOLDER: &str = "pith 2026 recipes placeholder v1";
pub(super) const SOURCE_CONTENT: &str = "pith 2026 recipes source content v1";

/// A 32-byte BLAKE3 digest of a derivation exactly as it was written: every text, every URL, every input by its id.
///
/// Two derivations with one id differ at most in what no digest covers: metadata, limits and origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DerivationId([u8; 32]);

impl DerivationId {
    /// Returns the id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DerivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("blake3:")?;
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for DerivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The content digest that a fetch promises: of the downloaded bytes, as their publisher states it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ContentDigest {
    /// SHA-256, what most publishers state.
    Sha256([u8; 32]),
    /// SHA-512, what npm's lock files state.
    Sha512([u8; 64]),
    /// BLAKE3-256, equal to `b3sum`.
    Blake3([u8; 32]),
}

impl ContentDigest {
    /// Returns the name of the algorithm, as recipes spell it: `sha256`, `sha512` or `blake3`.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
            Self::Blake3(_) => "blake3",
        }
    }

    /// Returns the bytes of the digest: 32, or 64 of SHA-512.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) | Self::Blake3(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// Parses 64 hexadecimal digits, of either case, as a digest by `sha256`.
    pub fn sha256_from_hex(text: &str) -> Result<Self, DigestTextError> {
        parse_hex("sha256", text).map(Self::Sha256)
    }

    /// Parses 128 hexadecimal digits, of either case, as a digest by `sha512`.
    pub fn sha512_from_hex(text: &str) -> Result<Self, DigestTextError> {
        parse_hex("sha512", text).map(Self::Sha512)
    }

    /// Parses 64 hexadecimal digits, of either case, as a digest by `blake3`.
    pub fn blake3_from_hex(text: &str) -> Result<Self, DigestTextError> {
        parse_hex("blake3", text).map(Self::Blake3)
    }

    /// Parses what npm writes as `integrity`: `sha512-` or `sha256-` and base64 (W3C, "Subresource Integrity", 3.1). Of several
    /// digests the strongest counts; SHA-1 alone is none, because two files can be made that share one.
    pub fn from_integrity(text: &str) -> Result<Self, DigestTextError> {
        let words = || text.split_ascii_whitespace();
        let find = |prefix: &str| words().find_map(|word| word.strip_prefix(prefix));
        // What stands behind `?` is an option, of which none is defined.
        let decode = |digits: &str| {
            let digits = digits.split('?').next().unwrap_or_default();
            BASE64.decode(digits).ok()
        };
        let bad = || DigestTextError::Integrity {
            text: text.to_owned(),
        };
        if let Some(digits) = find("sha512-") {
            let bytes = decode(digits).and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Self::Sha512).ok_or_else(bad);
        }
        if let Some(digits) = find("sha256-") {
            let bytes = decode(digits).and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Self::Sha256).ok_or_else(bad);
        }
        match find("sha1-") {
            Some(_) => Err(DigestTextError::Sha1 {
                text: text.to_owned(),
            }),
            None => Err(bad()),
        }
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm())?;
        write_hex(f, self.as_bytes())
    }
}

impl FromStr for ContentDigest {
    type Err = DigestTextError;

    fn from_str(text: &str) -> Result<Self, DigestTextError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => Self::sha256_from_hex(hex),
            Some(("sha512", hex)) => Self::sha512_from_hex(hex),
            Some(("blake3", hex)) => Self::blake3_from_hex(hex),
            _ => Err(DigestTextError::Algorithm {
                text: text.to_owned(),
            }),
        }
    }
}

/// Why a text is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestTextError {
    /// The number of digits is not the one that the algorithm's bytes take.
    #[error(
        "`{algorithm}` has {found} characters instead of {expected} hexadecimal digits: `{text}`"
    )]
    Length {
        /// The digest's algorithm.
        algorithm: &'static str,
        /// How many characters there should be.
        expected: usize,
        /// How many characters there are.
        found: usize,
        /// The text as it was written.
        text: String,
    },
    /// A character is no hexadecimal digit.
    #[error(
        "`{algorithm}` has the character `{character}`, which is no hexadecimal digit: `{text}`"
    )]
    Digit {
        /// The digest's algorithm.
        algorithm: &'static str,
        /// The first offending character.
        character: char,
        /// The text as it was written.
        text: String,
    },
    /// The text is not `sha512-` or `sha256-` and the base64 of as many bytes as the algorithm has.
    #[error(
        "`integrity` is `{text}`, which is neither `sha512-` nor `sha256-` and the base64 of such a digest"
    )]
    Integrity {
        /// The text as it was written.
        text: String,
    },
    /// The only digest is by SHA-1.
    #[error(
        "`integrity` is `{text}`: by SHA-1 alone, a file cannot be told from one that was made to look like it"
    )]
    Sha1 {
        /// The text as it was written.
        text: String,
    },
    /// The text names no algorithm that pith knows.
    #[error("`{text}` names no known digest algorithm; write `sha256:…`, `sha512:…` or `blake3:…`")]
    Algorithm {
        /// The text as it was written.
        text: String,
    },
}

fn parse_hex<const N: usize>(
    algorithm: &'static str,
    text: &str,
) -> Result<[u8; N], DigestTextError> {
    if let Some(character) = text.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(DigestTextError::Digit {
            algorithm,
            character,
            text: text.to_owned(),
        });
    }
    let length_error = || DigestTextError::Length {
        algorithm,
        expected: 2 * N,
        found: text.len(),
        text: text.to_owned(),
    };
    if text.len() != 2 * N {
        return Err(length_error());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).map_err(|_| length_error())?;
        *byte = u8::from_str_radix(digits, 16).map_err(|_| length_error())?;
    }
    Ok(bytes)
}

pub(super) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}
