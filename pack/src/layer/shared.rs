//! What layers became, for other machines.
//!
//! That a recipe, compressed in some way, became a blob is the outcome of a build like any other: recipe and compression are what was built, and a small store
//! object is what came out. So what was made here goes into caches as a realisation, is signed by the same keys, and is believed elsewhere for the same
//! reasons. A machine that has made no layer then pushes an image that the registry has without reading a file of the store.
//!
//! Which layers go along with a store object is kept beside the memo:
//!
//! ```text
//! var/layers/v<version>/<digest of the store path>.layers    {"layers":["<recipe>", …]}, the last used first
//! ```
//!
//! The store object is named `layer` and is one file: `{"diffId":"sha256:…","digest":"sha256:…","size":…,"tarSize":…}`. The resolved digest of the realisation
//! is the BLAKE3 (`derive_key`, context `pith 2026 packed layer`) of the recipe's 32 bytes and the name of the compression; its output is `layer`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use store::{
    AddBatch, AddError, AddObject, AddSource, DbError, Lease, LocalStore, NewRealisation,
    ResolvedDigest, StorePath,
};

use super::{Compression, LayerDigests, LayerError, Memo, RecipeDigest};
use crate::oci::{DiffId, Digest, to_canonical_json};

/// The output that realisations of layers are of.
pub const LAYER_OUTPUT: &str = "layer";
/// How the making of layers is confined: no program but this one takes part.
const SANDBOX: &str = "full";
/// What the names of the lists end with.
const NOTED: &str = ".layers";
/// Layers that are remembered of one store object.
const REMEMBERED: usize = 128;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    diff_id: DiffId,
    digest: Digest,
    size: u64,
    tar_size: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct LayersOf {
    layers: Vec<String>,
}

/// Returns by what realisations of a layer are found.
pub(crate) fn layer_key(recipe: RecipeDigest, compression: Compression) -> ResolvedDigest {
    let mut hasher = blake3::Hasher::new_derive_key("pith 2026 packed layer");
    hasher.update(recipe.as_bytes());
    hasher.update(compression.to_string().as_bytes());
    ResolvedDigest::from_bytes(hasher.finalize().into())
}

/// Reads what a store object says that a layer became.
pub(crate) fn read_layer(record: &[u8]) -> Option<LayerDigests> {
    let record: Record = serde_json::from_slice(record).ok()?;
    Some(LayerDigests {
        diff_id: record.diff_id,
        tar_size_bytes: record.tar_size,
        digest: record.digest,
        size_bytes: record.size,
    })
}

fn write_layer(layer: &LayerDigests) -> Vec<u8> {
    to_canonical_json(&Record {
        diff_id: layer.diff_id,
        digest: layer.digest,
        size: layer.size_bytes,
        tar_size: layer.tar_size_bytes,
    })
}

/// Remembers that an image was made of these layers because somebody asked for these store objects.
pub(crate) fn note_layers(memo: &Memo, requested: &[StorePath], recipes: &[RecipeDigest]) {
    for path in requested {
        let name = file_name(path);
        let known: LayersOf = memo.read(&name).unwrap_or_default();
        let mut layers: Vec<String> = recipes.iter().map(RecipeDigest::to_string).collect();
        if known.layers.starts_with(&layers) {
            continue;
        }
        let is_other = |layer: &String| !layers.contains(layer);
        let others: Vec<String> = known.layers.into_iter().filter(is_other).collect();
        layers.extend(others);
        layers.truncate(REMEMBERED);
        memo.write(&name, &LayersOf { layers });
    }
}

/// Returns the digests, as text, of the store paths that images with a layer were packed for; ascending.
pub(super) fn noted_for(memo: &Memo, recipe: RecipeDigest) -> Vec<String> {
    let wanted = recipe.to_string();
    let mut found = memo.names(NOTED);
    found.retain(|digits| {
        let of: LayersOf = memo.read(&format!("{digits}{NOTED}")).unwrap_or_default();
        of.layers.contains(&wanted)
    });
    found.sort_unstable();
    found
}

fn file_name(path: &StorePath) -> String {
    format!("{}{NOTED}", path.digest())
}

/// Puts into the store what is remembered of the layers of images that were made for `targets`, for a cache to take. Returns the store objects, sorted.
///
/// `now` is the time in seconds since 1970, at which what was not shared before is said to be made. The objects are kept as long as the lease is.
pub fn share_layers(
    store: &LocalStore,
    targets: &[StorePath],
    lease: &Lease,
    now: u64,
) -> Result<Vec<StorePath>, LayerError> {
    let memo = Memo::new(&store.layers_dir());
    let mut records = Vec::new();
    for target in targets {
        let of: LayersOf = memo.read(&file_name(target)).unwrap_or_default();
        let recipes = of
            .layers
            .iter()
            .filter_map(|text| RecipeDigest::parse(text));
        for recipe in recipes {
            let made = Compression::ALL.into_iter().filter_map(|compression| {
                let layer = memo.find(recipe, compression)?;
                Some((layer_key(recipe, compression), write_layer(&layer)))
            });
            records.extend(made);
        }
    }
    records.sort();
    records.dedup();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error: AddError| LayerError::Share {
        source: Box::new(error),
    };
    let name = LAYER_OUTPUT.parse().expect("it is a name of the store");
    let objects = records.iter().map(|(_, bytes)| {
        let bytes = Cow::Borrowed(bytes.as_slice());
        let source = AddSource::Bytes {
            bytes,
            executable: false,
        };
        AddObject::new(Clone::clone(&name), source)
    });
    let realisations = records.iter().enumerate().map(|(object, (key, _))| {
        // What says another time would be another statement, to be signed and sent again.
        let known = store.find_realisations(key)?;
        let built_at = known.first().map_or(now, |known| known.built_at);
        Ok(NewRealisation {
            resolved: *key,
            output: LAYER_OUTPUT.to_owned(),
            object,
            sandbox: SANDBOX.to_owned(),
            built_at,
            duration_ms: 0,
        })
    });
    let realisations: Result<Vec<_>, DbError> = realisations.collect();
    let batch = AddBatch {
        objects: objects.collect(),
        realisations: realisations.map_err(|error| failed(error.into()))?,
        lease: Some(lease),
        ..AddBatch::default()
    };
    let infos = store.add(batch).map_err(failed)?;
    let mut paths: Vec<StorePath> = infos.into_iter().map(|info| info.path).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use store::testing::TempStore;

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
    fn what_was_made_for_a_target_is_found_by_its_key() {
        let store = TempStore::new();
        let lease = store.lease().unwrap();
        let target = |digit: char| {
            let text = format!("{}-hello", digit.to_string().repeat(40));
            text.parse::<StorePath>().unwrap()
        };
        let memo = Memo::new(&store.layers_dir());
        let recipe = Layer::new(Vec::new(), None).recipe();
        note_layers(&memo, &[target('1')], &[recipe]);
        let share_at = |digit, now| share_layers(&store, &[target(digit)], &lease, now).unwrap();
        let share = |digit| share_at(digit, 7);
        assert_eq!(share('1'), [], "it was never made");
        memo.record(recipe, Compression::Gzip, &digests());
        assert_eq!(share('2'), [], "it was made for something else");
        let [path] = <[StorePath; 1]>::try_from(share('1')).unwrap();
        let found = |compression| {
            let key = layer_key(recipe, compression);
            store.find_realisations(&key).unwrap()
        };
        let [realisation] = <[_; 1]>::try_from(found(Compression::Gzip)).unwrap();
        assert_eq!((&realisation.path, realisation.built_at), (&path, 7));
        assert_eq!(found(Compression::Zstd), []);
        let record = std::fs::read(store.real_path(&path)).unwrap();
        assert_eq!(read_layer(&record), Some(digests()));
        assert_eq!(share_at('1', 8), [path], "once more, and nothing is added");
        assert_eq!(found(Compression::Gzip), [realisation], "nor said anew");
    }

    #[test]
    fn the_last_used_layers_of_a_target_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let memo = Memo::new(directory.path());
        let target: StorePath = format!("{}-a", "0".repeat(40)).parse().unwrap();
        let recipes: Vec<RecipeDigest> = (0..200_u32)
            .map(|number| {
                let digest = blake3::hash(&number.to_le_bytes());
                RecipeDigest::parse(&digest.to_hex()).unwrap()
            })
            .collect();
        for recipe in &recipes {
            note_layers(&memo, std::slice::from_ref(&target), &[*recipe]);
        }
        note_layers(&memo, std::slice::from_ref(&target), &recipes[150..152]);
        let of: LayersOf = memo.read(&file_name(&target)).unwrap();
        assert_eq!(of.layers.len(), REMEMBERED);
        let first: Vec<_> = recipes[150..152]
            .iter()
            .map(RecipeDigest::to_string)
            .collect();
        assert_eq!(of.layers[..2], first);
        assert_eq!(of.layers[2], recipes[199].to_string());
    }
}
