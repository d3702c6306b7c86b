//! In whose words the documents of an image are written.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::media_type;

/// In whose words the documents of an image are written. Printed and parsed as `oci` and `docker`.
///
/// The layers are the same bytes either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ManifestType {
    /// Those of the OCI image specification 1.1.
    #[default]
    Oci,
    /// Docker's "image manifest version 2, schema 2". It has no annotations, and no layers in zstd. Podman keeps health checks only of these images, because
    /// OCI's configuration does not have them.
    Docker,
}

impl ManifestType {
    /// Returns the media type of a manifest.
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => media_type::MANIFEST,
            Self::Docker => media_type::DOCKER_MANIFEST,
        }
    }

    /// Returns the media type of a list of manifests, one for each platform.
    pub const fn index(self) -> &'static str {
        match self {
            Self::Oci => media_type::INDEX,
            Self::Docker => media_type::DOCKER_INDEX,
        }
    }

    /// Returns the media type of a configuration.
    pub const fn config(self) -> &'static str {
        match self {
            Self::Oci => media_type::CONFIG,
            Self::Docker => media_type::DOCKER_CONFIG,
        }
    }
}

impl fmt::Display for ManifestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oci => "oci",
            Self::Docker => "docker",
        })
    }
}

/// The text names no type of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a type of manifests; known are `oci` and `docker`")]
pub struct UnknownManifestType {
    /// The text.
    pub text: String,
}

impl FromStr for ManifestType {
    type Err = UnknownManifestType;

    fn from_str(text: &str) -> Result<Self, UnknownManifestType> {
        match text {
            "oci" => Ok(Self::Oci),
            "docker" => Ok(Self::Docker),
            _ => Err(UnknownManifestType {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_print_and_parse_back() {
        for one in [ManifestType::Oci, ManifestType::Docker] {
            assert_eq!(one.to_string().parse(), Ok(one));
        }
        assert!("v2s1".parse::<ManifestType>().is_err());
    }
}
