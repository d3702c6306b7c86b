//! What is in an image and what it takes, for `--explain` and `size`.

use serde::Serialize;
use store::StorePath;

use crate::{
    layer::{KeptPath, LayerDigests, SlotMap},
    oci::{DiffId, Digest},
};

/// An image in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// The whole name.
    pub name: String,
    /// What it runs on, `linux/amd64`.
    pub platform: String,
    /// The digest of the manifest, where every layer is known.
    pub manifest_digest: Option<Digest>,
    /// The sum of the sizes of all files of the closure.
    pub closure_size_bytes: u64,
    /// The sum of the sizes of the generated files.
    pub root_size_bytes: u64,
    /// What a registry holds: layers, configuration and manifest; where every layer is known.
    pub image_size_bytes: Option<u64>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerReport>,
    /// What is below these layers, where there is something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseReport>,
    /// Whose digests are replaced, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_paths: Option<StableReport>,
}

/// The image below an image's own layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseReport {
    /// What it is called, if it says so.
    pub name: Option<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// How many layers it has.
    pub layers: usize,
    /// The sum of their sizes.
    pub size_bytes: u64,
    /// Files of it that something which was asked for lies over, ascending.
    pub replaced: Vec<String>,
    /// Store paths of the closure that it has, so that no layer above it brings them, ascending.
    pub shared: Vec<StorePath>,
}

/// What became of the digests of store paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StableReport {
    /// How many are replaced.
    pub replaced: usize,
    /// The store paths that keep theirs, ascending.
    pub kept: Vec<KeptPath>,
}

impl From<&SlotMap> for StableReport {
    fn from(map: &SlotMap) -> Self {
        Self {
            replaced: map.len(),
            kept: map.kept().to_vec(),
        }
    }
}

/// A layer in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// The store paths in it, ascending.
    pub paths: Vec<PathReport>,
    /// Whether the generated root is in it.
    pub generated: bool,
    /// The sum of the sizes of its files.
    pub file_size_bytes: u64,
    /// Why its store paths are together; `None` where there are none.
    pub reason: Option<String>,
    /// How likely its store paths are other ones after a week, in millionths.
    pub weekly_change_per_million: Option<u64>,
    /// The digest of the tar, where it is known.
    pub diff_id: Option<DiffId>,
    /// The digest of the blob, where it is known.
    pub digest: Option<Digest>,
    /// The size of the blob, where it is known.
    pub size_bytes: Option<u64>,
}

impl LayerReport {
    pub(super) fn with_digests(mut self, digests: Option<&LayerDigests>) -> Self {
        self.diff_id = digests.map(|known| known.diff_id);
        self.digest = digests.map(|known| known.digest);
        self.size_bytes = digests.map(|known| known.size_bytes);
        self
    }
}

/// A store path in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathReport {
    /// The store path.
    pub path: StorePath,
    /// The sum of the sizes of its files.
    pub size_bytes: u64,
    /// Whether it was asked for by name.
    pub requested: bool,
}
