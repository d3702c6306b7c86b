//! Documents of images as any writer has them: only what is needed is looked at, and what is absent or `null` is empty.
//!
//! The types of [`oci`](crate::oci) are for what this crate writes: they know two architectures and no extensions.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::PlatformError;
use crate::oci::{Digest, History, media_type, or_default};

/// A descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    #[serde(rename = "size")]
    pub(crate) size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<AnyPlatform>,
}

/// What an image runs on, in Go's words, whatever that is. Printed as `os/architecture` or `os/architecture/variant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AnyPlatform {
    /// The processor.
    pub architecture: String,
    /// The kernel.
    pub os: String,
    /// Which of the processors of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Which version of the kernel; only Windows has it.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
}

impl AnyPlatform {
    /// Tells whether who asks for `wanted` may get this one: what `wanted` leaves open fits.
    pub fn is_a(&self, wanted: &Self) -> bool {
        let fits =
            |mine: &Option<String>, wanted: &Option<String>| wanted.is_none() || wanted == mine;
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && fits(&self.variant, &wanted.variant)
            && fits(&self.os_version, &wanted.os_version)
    }

    /// Whether it is what BuildKit writes to keep attestations away from runtimes.
    pub(crate) fn is_unknown(&self) -> bool {
        self.architecture == "unknown"
    }

    /// Tells whether both are the same, but for a variant that only one names.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || other.variant.is_none() || self.variant == other.variant)
    }
}

impl fmt::Display for AnyPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for AnyPlatform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| {
            let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            !part.is_empty() && part.bytes().all(is_legal)
        };
        match parts.as_slice() {
            [os, architecture, rest @ ..] if rest.len() < 2 && parts.iter().all(is_word) => {
                Ok(Self {
                    architecture: (*architecture).to_owned(),
                    os: (*os).to_owned(),
                    variant: rest.first().map(|variant| (*variant).to_owned()),
                    os_version: None,
                })
            }
            _ => Err(PlatformError {
                text: text.to_owned(),
            }),
        }
    }
}

/// A list of manifests.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AnyIndex {
    pub(crate) manifests: Vec<Entry>,
}

/// A manifest: of an image, or of anything else.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnyManifest {
    pub(crate) config: Entry,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) layers: Vec<Entry>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) artifact_type: Option<String>,
}

impl AnyManifest {
    /// Whether it is an image's, and not that of something else that registries hold.
    pub(crate) fn is_image(&self) -> bool {
        let kind = self.config.media_type.as_str();
        self.artifact_type.is_none()
            && (kind == media_type::CONFIG || kind == media_type::DOCKER_CONFIG)
    }
}

/// Whether a media type is that of a list of manifests.
pub(crate) fn is_index(text: &str) -> bool {
    text == media_type::INDEX || text == media_type::DOCKER_INDEX
}

/// The configuration of an image.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AnyConfig {
    #[serde(default)]
    pub(crate) created: Option<String>,
    #[serde(flatten)]
    pub(crate) platform: AnyPlatform,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) config: RunFacts,
    pub(crate) rootfs: AnyRootFs,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) history: Vec<AnyHistory>,
}

impl AnyConfig {
    /// Returns for each layer, the lowest first, whether this crate wrote it, as the image says; empty where it says nothing of its layers.
    pub(crate) fn own_layers(&self) -> Vec<bool> {
        let of_layers = self.history.iter().filter(|one| !one.empty_layer);
        let made_by = of_layers.map(|one| one.created_by.as_deref().unwrap_or_default());
        made_by
            .map(|text| text.starts_with(History::MADE_BY))
            .collect()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AnyRootFs {
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AnyHistory {
    #[serde(default)]
    pub(crate) created_by: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) empty_layer: bool,
}

/// How an image is run, as it says.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
#[serde(default)]
pub struct RunFacts {
    /// Who: numbers or names.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// The program and its fixed arguments.
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// Arguments that a user replaces.
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Where the program starts.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
    /// `port/protocol`, ascending.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// Directories that hold data of a container, ascending.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// Facts about the image.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends the program.
    #[serde(deserialize_with = "or_default")]
    pub stop_signal: String,
}

/// A set, which is a map to `{}` in these documents.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map: BTreeMap<String, Value> = or_default(deserializer)?;
    Ok(map.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_of_docker_with_nulls_and_another_processor_is_read() {
        let text = r#"{"architecture":"s390x","os":"linux","variant":"v1","author":"x",
            "config":{"Env":null,"Cmd":["a"],"ExposedPorts":{"80/tcp":{}},"Labels":null,"OnBuild":[]},
            "rootfs":{"type":"layers","diff_ids":null},"history":[{"created_by":"b","empty_layer":true}]}"#;
        let config: AnyConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.platform.to_string(), "linux/s390x/v1");
        assert_eq!(config.config.exposed_ports, ["80/tcp"]);
        assert_eq!(config.config.cmd, ["a"]);
        assert!(config.config.env.is_empty() && config.rootfs.diff_ids.is_empty());
        let text =
            r#"{"architecture":"amd64","os":"linux","config":null,"rootfs":{"diff_ids":[]}}"#;
        assert!(serde_json::from_str::<AnyConfig>(text).is_ok());
    }

    #[test]
    fn what_is_left_open_fits_and_nothing_else() {
        let platform = |text: &str| text.parse::<AnyPlatform>().unwrap();
        let arm = platform("linux/arm64/v8");
        assert!(arm.is_a(&platform("linux/arm64")));
        assert!(arm.is_a(&arm));
        for other in ["linux/arm64/v9", "linux/amd64", "windows/arm64/v8"] {
            assert!(!arm.is_a(&platform(other)), "{other}");
        }
        assert!(!platform("linux/arm64").is_a(&arm));
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "a/b/c/d",
            "a/b c",
            "linux/arm64/",
        ] {
            assert!(text.parse::<AnyPlatform>().is_err(), "{text}");
        }
    }
}
