//! Remembers what layers became: recipe → (diff id, tar size), and (recipe, compression) → (digest, size).
//!
//! A recipe names a layer's tar completely, so a remembered answer is never stale: there is nothing to expire, and the whole directory may be deleted at
//! any time at the cost of making the layers once more. An answer that cannot be read, because a machine lost power while it was written, counts as none.
//!
//! ```text
//! var/layers/v<version>/<recipe>.tar     {"diffId":"sha256:…","size":…}
//! var/layers/v<version>/<recipe>.gzip    {"digest":"sha256:…","size":…}
//! ```

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Compression, FORMAT_VERSION, LayerDigests, RecipeDigest};
use crate::oci::{DiffId, Digest, to_canonical_json};

/// What the name of a layer's first record ends with.
const TAR: &str = "tar";

/// The memo in a directory of the store.
#[derive(Debug, Clone)]
pub(crate) struct Memo {
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TarRecord {
    diff_id: DiffId,
    size: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobRecord {
    digest: Digest,
    size: u64,
}

impl Memo {
    /// The memo below `layers_dir`, for the current [`FORMAT_VERSION`].
    pub(crate) fn new(layers_dir: &Path) -> Self {
        Self {
            directory: layers_dir.join(format!("v{FORMAT_VERSION}")),
        }
    }

    /// Returns what the layer became when it was last made with `compression`.
    pub(crate) fn find(
        &self,
        recipe: RecipeDigest,
        compression: Compression,
    ) -> Option<LayerDigests> {
        let tar: TarRecord = self.read(&tar_name(recipe))?;
        let blob: BlobRecord = self.read(&blob_name(recipe, compression))?;
        Some(LayerDigests {
            diff_id: tar.diff_id,
            tar_size_bytes: tar.size,
            digest: blob.digest,
            size_bytes: blob.size,
        })
    }

    /// Returns what the layer becomes with `compression`: as [`find`](Self::find), and uncompressed also where it was only made with another one, since it is its tar then.
    pub(crate) fn foretell(
        &self,
        recipe: RecipeDigest,
        compression: Compression,
    ) -> Option<LayerDigests> {
        if compression != Compression::None {
            return self.find(recipe, compression);
        }
        let (diff_id, tar_size_bytes) = self.find_tar(recipe)?;
        Some(LayerDigests {
            diff_id,
            tar_size_bytes,
            digest: diff_id.0,
            size_bytes: tar_size_bytes,
        })
    }

    /// Returns the diff id of the layer, with whatever compression it was made.
    pub(crate) fn find_diff_id(&self, recipe: RecipeDigest) -> Option<DiffId> {
        Some(self.find_tar(recipe)?.0)
    }

    /// Returns the diff id of the layer and the size of its tar.
    pub(crate) fn find_tar(&self, recipe: RecipeDigest) -> Option<(DiffId, u64)> {
        let tar = self.read::<TarRecord>(&tar_name(recipe))?;
        Some((tar.diff_id, tar.size))
    }

    /// Returns the recipes of all layers that are remembered, ascending.
    pub(crate) fn recipes(&self) -> Vec<RecipeDigest> {
        let names = self.names(&format!(".{TAR}"));
        let mut recipes: Vec<RecipeDigest> =
            (names.iter().filter_map(|name| RecipeDigest::parse(name))).collect();
        recipes.sort_unstable();
        recipes
    }

    /// Returns the names of the records that end so, without the end, in no order; none where the directory cannot be read.
    pub(crate) fn names(&self, end: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter_map(|name| name.strip_suffix(end).map(str::to_owned))
            .collect()
    }

    /// Remembers what a layer became. Errors are ignored: the memo only saves work.
    pub(crate) fn record(
        &self,
        recipe: RecipeDigest,
        compression: Compression,
        digests: &LayerDigests,
    ) {
        let tar = TarRecord {
            diff_id: digests.diff_id,
            size: digests.tar_size_bytes,
        };
        let blob = BlobRecord {
            digest: digests.digest,
            size: digests.size_bytes,
        };
        self.write(&tar_name(recipe), &tar);
        self.write(&blob_name(recipe, compression), &blob);
    }

    /// Forgets a layer.
    pub(crate) fn forget(&self, recipe: RecipeDigest, compression: Compression) {
        for name in [tar_name(recipe), blob_name(recipe, compression)] {
            // Absent is as good as removed, and where it cannot be removed it is found wrong again.
            fs::remove_file(self.directory.join(name)).ok();
        }
    }

    /// Reads a record of another kind that is kept beside the layers.
    pub(crate) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.directory.join(name)).ok()?).ok()
    }

    /// Writes a record. Errors are ignored: the memo only saves work.
    pub(crate) fn write<T: Serialize>(&self, name: &str, record: &T) {
        self.try_write(name, &to_canonical_json(record)).ok();
    }

    /// Reads a record that is no JSON.
    pub(crate) fn read_bytes(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.join(name)).ok()
    }

    /// Writes a record that is no JSON. Errors are ignored: the memo only saves work.
    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        self.try_write(name, bytes).ok();
    }

    fn try_write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(bytes)?;
        file.persist(self.directory.join(name))?;
        Ok(())
    }
}

fn tar_name(recipe: RecipeDigest) -> String {
    format!("{recipe}.{TAR}")
}

fn blob_name(recipe: RecipeDigest, compression: Compression) -> String {
    format!("{recipe}.{compression}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Layer;

    fn digests() -> LayerDigests {
        LayerDigests {
            diff_id: DiffId(Digest::of(b"tar")),
            tar_size_bytes: 3,
            digest: Digest::of(b"blob"),
            size_bytes: 4,
        }
    }

    #[test]
    fn what_was_recorded_is_found_for_its_compression_only() {
        let directory = tempfile::tempdir().unwrap();
        let memo = Memo::new(directory.path());
        let recipe = Layer::new(Vec::new(), None).recipe();
        assert_eq!(memo.find(recipe, Compression::Gzip), None);
        memo.record(recipe, Compression::Gzip, &digests());
        assert_eq!(memo.find(recipe, Compression::Gzip), Some(digests()));
        assert_eq!(memo.find(recipe, Compression::Zstd), None);
        assert_eq!(memo.find_diff_id(recipe), Some(digests().diff_id));
        assert_eq!(memo.find(recipe, Compression::None), None);
        assert_eq!(memo.foretell(recipe, Compression::Zstd), None);
        let plain = memo.foretell(recipe, Compression::None).unwrap();
        assert_eq!(plain.digest, digests().diff_id.0);
        assert_eq!(plain.size_bytes, digests().tar_size_bytes);
    }

    #[test]
    fn a_record_that_was_cut_off_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let memo = Memo::new(directory.path());
        let recipe = Layer::new(Vec::new(), None).recipe();
        memo.record(recipe, Compression::Gzip, &digests());
        let path = memo.directory.join(blob_name(recipe, Compression::Gzip));
        let bytes = fs::read(&path).unwrap();
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(memo.find(recipe, Compression::Gzip), None);
        }
    }
}
