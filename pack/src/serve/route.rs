//! What a path of the distribution specification names. Pure.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};

/// Bytes of a repository's name at most: what clients allow.
const MAX_NAME: usize = 255;
/// Bytes of a tag at most.
const MAX_TAG: usize = 128;

/// A digest of one of the two algorithms that the specification registers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AnyDigest {
    algorithm: Algorithm,
    hex: String,
}

/// How a digest is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    pub(super) fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }
}

/// Computes a digest.
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn finish(self) -> AnyDigest {
        let (algorithm, bytes) = match self {
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec()),
        };
        AnyDigest {
            algorithm,
            hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl AnyDigest {
    pub(super) fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn hex(&self) -> &str {
        &self.hex
    }

    /// The digest as the name of a file.
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Display for AnyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl From<crate::oci::Digest> for AnyDigest {
    fn from(digest: crate::oci::Digest) -> Self {
        Self {
            algorithm: Algorithm::Sha256,
            hex: digest.to_hex(),
        }
    }
}

/// A text is no digest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoDigest;

impl FromStr for AnyDigest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let (name, hex) = text.split_once(':').ok_or(NoDigest)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(NoDigest),
        };
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.digits() || !hex.bytes().all(is_hex) {
            return Err(NoDigest);
        }
        Ok(Self {
            algorithm,
            hex: hex.to_owned(),
        })
    }
}

/// By what a manifest is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Tag(String),
    Digest(AnyDigest),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Manifest(String, Reference),
    Blob(String, AnyDigest),
    Uploads(String),
    Upload(String, String),
    Tags(String),
    Referrers(String, AnyDigest),
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// It is none of the specification.
    Unknown,
    /// The name of its repository is none.
    Name,
    /// Its tag or digest is none.
    Reference,
    /// Its digest is none.
    Digest,
}

impl Route {
    /// Reads a path, which is taken as it came: nothing in one needs to be escaped.
    pub(super) fn parse(path: &str) -> Result<Self, NoRoute> {
        let rest = path.strip_prefix("/v2").ok_or(NoRoute::Unknown)?;
        let rest = match rest.strip_prefix('/') {
            Some("") => return Ok(Self::Base),
            None if rest.is_empty() => return Ok(Self::Base),
            None => return Err(NoRoute::Unknown),
            Some(rest) => rest,
        };
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(checked(name)?));
        }
        let uploads = rest
            .strip_suffix("/blobs/uploads/")
            .or_else(|| rest.strip_suffix("/blobs/uploads"));
        if let Some(name) = uploads {
            return Ok(Self::Uploads(checked(name)?));
        }
        let (front, last) = rest.rsplit_once('/').ok_or(NoRoute::Unknown)?;
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(checked(name)?, last.to_owned()));
        }
        let digest = || last.parse::<AnyDigest>().map_err(|_| NoRoute::Digest);
        if let Some(name) = front.strip_suffix("/blobs") {
            return Ok(Self::Blob(checked(name)?, digest()?));
        }
        if let Some(name) = front.strip_suffix("/referrers") {
            return Ok(Self::Referrers(checked(name)?, digest()?));
        }
        if let Some(name) = front.strip_suffix("/manifests") {
            let name = checked(name)?;
            let reference = match last.contains(':') {
                true => Reference::Digest(digest()?),
                false if is_tag(last) => Reference::Tag(last.to_owned()),
                false => return Err(NoRoute::Reference),
            };
            return Ok(Self::Manifest(name, reference));
        }
        Err(NoRoute::Unknown)
    }
}

fn checked(name: &str) -> Result<String, NoRoute> {
    is_name(name).then(|| name.to_owned()).ok_or(NoRoute::Name)
}

/// Whether a text is the name of a repository: distribution-spec 1.1, "Pulling manifests".
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('/').all(is_component)
}

/// Words of lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(component: &str) -> bool {
    let mut separator = String::new();
    let mut is_word = false;
    for letter in component.chars() {
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
            let is_joined = matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|byte| byte == b'-');
            if !is_joined || (!separator.is_empty() && !is_word) {
                return false;
            }
            separator.clear();
            is_word = true;
        } else {
            separator.push(letter);
        }
    }
    is_word && separator.is_empty()
}

/// Whether a text is a tag.
pub(super) fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    let is_first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && bytes.next().is_some_and(is_first)
        && bytes.all(|byte| is_first(byte) || matches!(byte, b'.' | b'-'))
}

/// Returns a parameter of a query, decoded.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn paths_name_what_the_specification_says() {
        let digest: AnyDigest = format!("sha256:{HEX}").parse().unwrap();
        let name = || "a/manifests/b".to_owned();
        for (path, expected) in [
            ("/v2", Ok(Route::Base)),
            ("/v2/", Ok(Route::Base)),
            ("/v2/a/manifests/b/tags/list", Ok(Route::Tags(name()))),
            (
                "/v2/a/manifests/b/manifests/v1",
                Ok(Route::Manifest(name(), Reference::Tag("v1".to_owned()))),
            ),
            (
                &format!("/v2/a/manifests/b/manifests/sha256:{HEX}"),
                Ok(Route::Manifest(name(), Reference::Digest(digest.clone()))),
            ),
            (
                &format!("/v2/a/manifests/b/blobs/sha256:{HEX}"),
                Ok(Route::Blob(name(), digest.clone())),
            ),
            (
                &format!("/v2/a/manifests/b/referrers/sha256:{HEX}"),
                Ok(Route::Referrers(name(), digest)),
            ),
            (
                "/v2/a/manifests/b/blobs/uploads/",
                Ok(Route::Uploads(name())),
            ),
            (
                "/v2/a/manifests/b/blobs/uploads/1-2",
                Ok(Route::Upload(name(), "1-2".to_owned())),
            ),
            ("/v3/", Err(NoRoute::Unknown)),
            ("/v2a", Err(NoRoute::Unknown)),
            ("/v2/_catalog", Err(NoRoute::Unknown)),
            ("/v2/A/manifests/v1", Err(NoRoute::Name)),
            ("/v2/../manifests/v1", Err(NoRoute::Name)),
            ("/v2//manifests/v1", Err(NoRoute::Name)),
            ("/v2/a/manifests/.v1", Err(NoRoute::Reference)),
            ("/v2/a/manifests/", Err(NoRoute::Reference)),
            ("/v2/a/manifests/sha256:12", Err(NoRoute::Digest)),
            ("/v2/a/blobs/v1", Err(NoRoute::Digest)),
        ] {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn names_are_words_with_separators_between_them() {
        for name in ["a", "a1/b-2", "a.b_c__d---e", "0"] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(256);
        for name in [
            "", "a/", "/a", "a//b", "a..b", "a___b", "a._b", "-a", "a-", "A", "ä", "a b", &long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let query = Some("n=10&last=a%2Fb+c&x");
        assert_eq!(parameter(query, "n").as_deref(), Some("10"));
        assert_eq!(parameter(query, "last").as_deref(), Some("a/b c"));
        assert_eq!(parameter(query, "y"), None);
        assert_eq!(parameter(None, "n"), None);
    }

    #[test]
    fn digests_are_computed_by_both_algorithms() {
        let empty = AnyDigest::of(Algorithm::Sha256, b"");
        assert_eq!(empty.to_string(), format!("sha256:{HEX}"));
        let other = AnyDigest::of(Algorithm::Sha512, b"");
        assert_eq!(other.to_string().parse(), Ok(other.clone()));
        assert!(
            format!("sha384:{}", other.hex())
                .parse::<AnyDigest>()
                .is_err()
        );
        assert!(
            format!("sha256:{}", HEX.to_uppercase())
                .parse::<AnyDigest>()
                .is_err()
        );
    }
}
