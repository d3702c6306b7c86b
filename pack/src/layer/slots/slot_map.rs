//! Which path of a closure gets which slot.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use store::{PathDigest, PathInfo, StoreName, StorePath};

use crate::oci::to_canonical_json;

use super::{
    super::{LayerError, ObjectPlace, StoredObject},
    Inspector, Rewrite,
};

/// The paths of an image, and what they are called in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotMap {
    /// The path in the image by the path in the store.
    slots: BTreeMap<StorePath, StorePath>,
    /// Those that are called the same, ascending.
    kept: Vec<KeptPath>,
}

/// A store path whose digest is not replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptPath {
    /// The store path.
    pub path: StorePath,
    /// Why, for people.
    pub reason: String,
}

impl SlotMap {
    /// Decides about all objects of a closure; `objects` and `infos` are in the same order.
    pub(crate) fn new(
        objects: &[StoredObject],
        infos: &[PathInfo],
        inspector: &Inspector<'_>,
    ) -> Result<Self, LayerError> {
        let mut names: BTreeMap<&StoreName, usize> = BTreeMap::new();
        for info in infos {
            *names.entry(info.path.name()).or_default() += 1;
        }
        let mut stuck: BTreeMap<String, String> = BTreeMap::new();
        for (object, info) in objects.iter().zip(infos) {
            for (digits, reason) in inspector.inspect(object, info)? {
                let reason = format!("in `{}`, {reason}", info.path);
                stuck.entry(digits).or_insert(reason);
            }
        }
        let mut map = Self {
            slots: BTreeMap::new(),
            kept: Vec::new(),
        };
        for (object, info) in objects.iter().zip(infos) {
            let path = &info.path;
            if object.place != ObjectPlace::Store {
                continue;
            }
            let reason = match stuck.remove(&path.digest().to_string()) {
                None if names.get(path.name()) == Some(&1) => {
                    map.slots.insert(path.clone(), slot_of(path));
                    continue;
                }
                None => "another path of the image has the same name".to_owned(),
                Some(reason) => reason,
            };
            let path = path.clone();
            map.kept.push(KeptPath { path, reason });
        }
        map.kept.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(map)
    }

    /// Returns what a path is called in the image.
    pub fn in_image<'p>(&'p self, path: &'p StorePath) -> &'p StorePath {
        self.slots.get(path).unwrap_or(path)
    }

    /// Returns how many digests are replaced.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns whether no digest is replaced.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Returns the replaced paths as canonical JSON: the path in the store by the path in the image.
    pub(crate) fn to_text(&self) -> String {
        String::from_utf8_lossy(&to_canonical_json(&self.originals())).into_owned()
    }

    /// Returns the replaced paths: the path in the store by the path in the image.
    pub(crate) fn originals(&self) -> BTreeMap<String, StorePath> {
        let slots = self.slots.iter();
        slots
            .map(|(path, slot)| (slot.to_string(), path.clone()))
            .collect()
    }

    /// Returns the paths whose digests are not replaced, ascending.
    pub fn kept(&self) -> &[KeptPath] {
        &self.kept
    }

    /// Returns what has to be replaced in an object: of itself and of what it refers to.
    pub(crate) fn rewrite_for(&self, info: &PathInfo) -> Rewrite {
        let references = info.references.iter().map(|reference| &reference.path);
        let wanted: BTreeSet<&StorePath> = references.chain([&info.path]).collect();
        let pairs = wanted.into_iter().filter_map(|path| self.pair(path));
        Rewrite::new(pairs.collect())
    }

    /// Returns what has to be replaced in what refers to anything.
    pub(crate) fn rewrite(&self) -> Rewrite {
        let pairs = self.slots.keys().filter_map(|path| self.pair(path));
        Rewrite::new(pairs.collect())
    }

    fn pair(&self, path: &StorePath) -> Option<(PathDigest, PathDigest)> {
        let slot = self.slots.get(path)?;
        Some((*path.digest(), *slot.digest()))
    }
}

/// The store path with a digest that depends on its name alone.
pub(super) fn slot_of(path: &StorePath) -> StorePath {
    let mut hasher = blake3::Hasher::new_derive_key("pith 2026 stable slot");
    hasher.update(path.name().as_str().as_bytes());
    let mut digest = [0; 25];
    hasher.finalize_xof().fill(&mut digest);
    StorePath::new(PathDigest::from_bytes(digest), path.name().clone())
}
