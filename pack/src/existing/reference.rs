//! Names of images that exist already, which may say by a digest exactly which one is meant.

use std::{fmt, str::FromStr};

use crate::oci::{Digest, ImageName, OciError};

/// The name of an image in a registry: by a tag, or by the digest of its manifest. Printed in full; parsed from any form that docker takes.
///
/// ```
/// use pack::existing::ImageReference;
///
/// let text = format!("r.example/app:1@sha256:{}", "0".repeat(64));
/// let reference: ImageReference = text.parse()?;
/// assert_eq!(reference.to_string(), format!("r.example/app@sha256:{}", "0".repeat(64)));
/// assert_eq!(reference.name().repository(), "app");
/// # Ok::<(), pack::oci::OciError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    name: ImageName,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Returns registry, repository and tag; where there is a digest the tag says nothing.
    pub const fn name(&self) -> &ImageName {
        &self.name
    }

    /// Returns the digest, if it has one.
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns what a registry is asked for: the digest, else the tag.
    pub fn target(&self) -> String {
        match self.digest {
            Some(digest) => digest.to_string(),
            None => self.name.tag().to_owned(),
        }
    }

    /// Names the manifest with `digest` in the same repository.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            name: self.name.clone(),
            digest: Some(digest),
        }
    }
}

impl From<ImageName> for ImageReference {
    fn from(name: ImageName) -> Self {
        Self { name, digest: None }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digest {
            Some(digest) => write!(
                f,
                "{}/{}@{digest}",
                self.name.registry(),
                self.name.repository()
            ),
            None => self.name.fmt(f),
        }
    }
}

impl FromStr for ImageReference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let Some((name, digest)) = text.split_once('@') else {
            return Ok(text.parse::<ImageName>()?.into());
        };
        let name: ImageName = name.parse()?;
        // The digest says it all: a tag beside it would make two values of one name.
        let name = format!("{}/{}", name.registry(), name.repository()).parse()?;
        Ok(Self {
            name,
            digest: Some(digest.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_and_parsing_are_inverses() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, printed, target) in [
            (
                "hello",
                "docker.io/library/hello:latest".to_owned(),
                "latest",
            ),
            (
                "r.example:5000/a/b:1",
                "r.example:5000/a/b:1".to_owned(),
                "1",
            ),
            (
                &format!("r.example/a:1@{digest}"),
                format!("r.example/a@{digest}"),
                digest.as_str(),
            ),
        ] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.to_string(), printed);
            assert_eq!(reference.target(), target);
            assert_eq!(printed.parse::<ImageReference>().unwrap(), reference);
        }
        for text in ["", "a@", "a@sha256:0", "@x", "r.example/A@x"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
