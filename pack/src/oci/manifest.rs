//! Manifest, index, the marker of a layout directory, and docker's own list of images. OCI image-spec 1.1, manifest.md, image-index.md, image-layout.md.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Descriptor, ManifestType, Platform, media_type};

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
    /// The whole name of the image below, where it has one.
    pub const BASE_NAME: &str = "org.opencontainers.image.base.name";
    /// The digest of the manifest of the image below.
    pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
    /// How many of the lowest layers are those of the image below: nothing here says what is in them.
    pub const BASE_LAYERS: &str = "pith.pack.base-layers";
    /// The version of every rule that layer bytes depend on ([`FORMAT_VERSION`](crate::layer::FORMAT_VERSION)).
    pub const FORMAT_VERSION: &str = "pith.pack.format-version";
    /// The digest of the plan file that the layers were planned with, where there was one ([`PlanFile`](crate::layer::PlanFile)).
    pub const PLAN: &str = "pith.pack.plan";
    /// Where digests of store paths are replaced: a JSON object with the path in the store by the path in the image ([`SlotMap`](crate::layer::SlotMap)).
    pub const SLOTS: &str = "pith.pack.slots";
}

/// One image: its configuration and its layers, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`ManifestType::manifest`]; other writers may leave it out.
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
    /// Joins a configuration and layers. Docker's manifests have no annotations.
    pub fn new(
        manifest_type: ManifestType,
        config: Descriptor,
        layers: Vec<Descriptor>,
        annotations: BTreeMap<String, String>,
    ) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(manifest_type.manifest().to_owned()),
            config,
            layers,
            annotations: match manifest_type {
                ManifestType::Oci => annotations,
                ManifestType::Docker => BTreeMap::new(),
            },
        }
    }
}

/// A list of manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`], or docker's word for it; other writers may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// Makes an index of `manifests`, such as `index.json`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::INDEX.to_owned()),
            manifests,
        }
    }

    /// Makes the list of the manifests of one image, one for each platform.
    pub fn of_platforms(manifest_type: ManifestType, manifests: Vec<Descriptor>) -> Self {
        Self {
            media_type: Some(manifest_type.index().to_owned()),
            ..Self::new(manifests)
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
    /// Names in the familiar form, `hello:latest`; none where an image was saved by its id.
    #[serde(default, deserialize_with = "or_default")]
    pub repo_tags: Vec<String>,
    /// The members that are the layers, the lowest first.
    #[serde(default, deserialize_with = "or_default")]
    pub layers: Vec<String>,
}

/// `null` is what Go writes for what is empty.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
