//! What an image says about itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{AnyPlatform, BaseLayer, BillPackage, Depth, ExistingError, ExistingImage, RunFacts};
use crate::oci::Digest;

/// What an image says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The digest of its manifest, or of the index of several.
    pub digest: Digest,
    /// The media type of that.
    pub media_type: String,
    /// One for each platform, in the order of the index.
    pub images: Vec<ImageFacts>,
    /// What else the index names, such as attestations.
    pub artifacts: Vec<ArtifactFacts>,
}

/// What an image for one platform says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageFacts {
    /// What it runs on.
    pub platform: String,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// When it was made, as it says.
    pub created: Option<String>,
    /// How it is run.
    pub config: RunFacts,
    /// Facts about the image.
    pub annotations: BTreeMap<String, String>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerFacts>,
    /// What a registry holds: manifest, configuration and layers.
    pub size_bytes: u64,
    /// The store paths in it, ascending; `None` in images of others.
    pub packages: Option<Vec<BillPackage>>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerFacts {
    /// Its digest.
    pub digest: Digest,
    /// Its size, compressed as it is.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
    /// What made it, as the image says.
    pub made_by: Option<String>,
    /// What shows that this crate did not write it, whatever the image says; none of its own, of those of a base, and of those that were not looked into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
    /// Of a layer of a base, whether the bill of an image of this crate that lies below speaks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseLayer>,
}

impl ImageFacts {
    /// Puts another bill in the place of that in the image. It is taken to say nothing of a base, whatever the bills of that say.
    pub fn set_packages(&mut self, packages: Vec<BillPackage>) {
        self.packages = Some(packages);
        for layer in &mut self.layers {
            layer.base = layer.base.map(|_| BaseLayer::Undescribed);
        }
    }
}

/// A manifest that is no image's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactFacts {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub kind: String,
}

impl ExistingImage<'_> {
    /// Returns what the image says about itself, for each platform or one. Reads its documents, and of images of this crate the layer with the bill.
    pub fn inspect(&self, platform: Option<&AnyPlatform>) -> Result<Inspection, ExistingError> {
        self.inspect_layers(platform, Depth::ToBill)
    }

    /// The same, with the layers of images of this crate read so far.
    pub fn inspect_layers(
        &self,
        platform: Option<&AnyPlatform>,
        depth: Depth,
    ) -> Result<Inspection, ExistingError> {
        let documents = self.documents(platform)?;
        let top = &documents.top().entry;
        let mut inspection = Inspection {
            digest: top.digest,
            media_type: top.media_type.clone(),
            images: Vec::new(),
            artifacts: Vec::new(),
        };
        for one in &documents.manifests {
            let manifest = &one.manifest;
            let platform = one.entry.platform.as_ref();
            if platform.is_some_and(AnyPlatform::is_unknown) || !manifest.is_image() {
                let kind = (manifest.artifact_type.as_ref()).unwrap_or(&manifest.config.media_type);
                inspection.artifacts.push(ArtifactFacts {
                    digest: one.entry.digest,
                    kind: kind.clone(),
                });
                continue;
            }
            let config = self.read_config(manifest)?;
            let mut history = config
                .history
                .into_iter()
                .filter(|entry| !entry.empty_layer)
                .map(|entry| entry.created_by);
            let mut own = self.read_own_layers(manifest, depth)?;
            let packages = self.parse_own(&own)?;
            let layers: Vec<LayerFacts> = (manifest.layers.iter().enumerate())
                .map(|(index, layer)| LayerFacts {
                    foreign: own.foreign.remove(&index),
                    base: own.of_base(index),
                    digest: layer.digest,
                    size_bytes: layer.size_bytes,
                    media_type: layer.media_type.clone(),
                    made_by: history.next().flatten(),
                })
                .collect();
            let sizes = layers.iter().map(|layer| layer.size_bytes);
            let size_bytes = sizes
                .chain([one.entry.size_bytes, manifest.config.size_bytes])
                .fold(0_u64, u64::saturating_add);
            inspection.images.push(ImageFacts {
                platform: config.platform.to_string(),
                manifest: one.entry.digest,
                created: config.created,
                config: config.config,
                annotations: manifest.annotations.clone(),
                size_bytes,
                layers,
                packages,
            });
        }
        Ok(inspection)
    }
}
