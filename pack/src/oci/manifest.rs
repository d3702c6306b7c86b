//! Manifest, index, the marker of a layout directory, and docker's own list of images. OCI image-spec 1.1, manifest.md, image-index.md, image-layout.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Descriptor, Platform, media_type};

/// The annotation keys that this crate writes.
pub mod annotation {
    /// The tag, on a manifest in `index.json`.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// The whole normalised name, on a manifest in `index.json`; containerd takes the name from here.
    pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
    /// When the image was made, RFC 3339.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// The licenses of the packages that were asked for, one SPDX expression.
    pub const LICENSES: &str = "org.opencontainers.image.licenses";
    /// The name for people.
    pub const TITLE: &str = "org.opencontainers.image.title";
    /// The version of the first package.
    pub const VERSION: &str = "org.opencontainers.image.version";
    /// The version of every rule that layer bytes depend on ([`FORMAT_VERSION`](crate::layer::FORMAT_VERSION)).
    pub const FORMAT_VERSION: &str = "pith.pack.format-version";
}

/// One image: its configuration and its layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`]; other writers may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers.
    pub layers: Vec<Descriptor>,
    /// Facts about the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Joins a configuration and layers.
    pub fn new(
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::MANIFEST.to_owned()),
            config,
            layers,
            annotations,
        }
    }
}

/// A list of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`]; other writers may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// Makes an index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
        }
    }
}

/// Describes a manifest as an entry of `index.json`, or an index of manifests, which has no platform.
pub(crate) fn index_entry(
    manifest: &Descriptor,
    platform: Option<&Platform>,
    name: &super::ImageName,
) -> Descriptor {
    let mut entry = manifest.clone();
    entry.platform = platform.cloned();
    entry.annotations = BTreeMap::from([
        (annotation::REF_NAME.to_owned(), name.tag().to_owned()),
        (annotation::CONTAINERD_NAME.to_owned(), name.to_string()),
    ]);
    entry
}

/// The contents of the file `oci-layout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutMarker {
    /// The version of the layout; `1.0.0` since the specification's first release.
    #[serde(rename = "imageLayoutVersion")]
    pub version: String,
}

impl Default for LayoutMarker {
    fn default() -> Self {
        Self {
            version: "1.0.0".to_owned(),
        }
    }
}

/// One image of docker's `manifest.json`, which `docker load` reads where there is one.
///
/// Source: Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerManifest {
    /// The member of the archive that is the configuration.
    pub config: String,
    /// Names in the familiar form, `hello:latest`.
    pub repo_tags: Vec<String>,
    /// The members that are the layers, the lowest first.
    pub layers: Vec<String>,
}
