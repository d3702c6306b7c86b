//! Layers that were made on this machine, by their digests.

use std::collections::BTreeSet;

use serde::Serialize;
use store::{DbError, LocalStore, StorePath};

use super::{Compression, Memo, RecipeDigest, shared};
use crate::oci::{DiffId, Digest};

/// A layer that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownLayer {
    /// How it was compressed where the digest is that of the blob; none where it is the diff id.
    pub compression: Option<String>,
    /// The digest of its tar.
    pub diff_id: DiffId,
    /// The size of its tar.
    pub tar_size_bytes: u64,
    /// The store paths that images with this layer were packed for, as far as they are valid; ascending.
    pub packed_for: Vec<StorePath>,
}

/// Returns the layers that have this digest, compressed or not.
pub fn find_known_layers(store: &LocalStore, digest: Digest) -> Result<Vec<KnownLayer>, DbError> {
    let memo = Memo::new(&store.layers_dir());
    let mut found = Vec::new();
    for recipe in memo.recipes() {
        let Some((diff_id, tar_size_bytes)) = memo.find_tar(recipe) else {
            continue;
        };
        let by_blob = Compression::ALL.into_iter().find(|compression| {
            let layer = memo.find(recipe, *compression);
            layer.is_some_and(|layer| layer.digest == digest)
        });
        if by_blob.is_none() && diff_id.0 != digest {
            continue;
        }
        found.push(KnownLayer {
            compression: by_blob.map(|compression| compression.to_string()),
            diff_id,
            tar_size_bytes,
            packed_for: packed_for(store, &memo, recipe)?,
        });
    }
    Ok(found)
}

fn packed_for(
    store: &LocalStore,
    memo: &Memo,
    recipe: RecipeDigest,
) -> Result<Vec<StorePath>, DbError> {
    let mut paths = BTreeSet::new();
    for digits in shared::noted_for(memo, recipe) {
        paths.extend(store.find_by_prefix(&digits)?);
    }
    Ok(paths.into_iter().collect())
}
