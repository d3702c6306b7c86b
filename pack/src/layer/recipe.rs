//! What a layer is made of: segments, and the digest of that list, by which the memo finds what the layer became.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use store::{STORE_DIR, StorePath};

use super::{
    Entry, EntryKind, FORMAT_VERSION, LayerError, Rewrite, WalkEntry, WalkKind, append_entry,
    slots::Patches, walk,
};

use crate::rootfs::{ROOT_DIRECTORY, RootEntry, RootTree};

/// The mode of directories at the root, unless something else is asked for.
const DIRECTORY_MODE: u32 = 0o755;

/// The part of a layer that is compressed by itself.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// The directories `pith` and `pith/store`, once in each layer that holds store objects.
    Parents,
    /// The directories of the objects at the root, as tar: each once, although several objects have it.
    Directories(Arc<[u8]>),
    /// One store object.
    Object(Arc<StoredObject>),
    /// Generated entries, as tar.
    Generated(Arc<[u8]>),
    /// The two zero blocks.
    End,
}

/// A store object and what is registered about it.
#[derive(Debug)]
pub(crate) struct StoredObject {
    /// Its store path.
    pub(crate) path: StorePath,
    /// Where it lies on this disk.
    pub(crate) real: PathBuf,
    /// The sum of the sizes of its files.
    pub(crate) size_bytes: u64,
    /// The number of its files, symbolic links and directories.
    pub(crate) nodes: u64,
    /// Where it lies in the image.
    pub(crate) place: ObjectPlace,
    /// What it is called in the image and which digests are replaced in it, where digests are replaced.
    pub(crate) slot: Option<Slot>,
}

/// How an object is changed on its way into the image.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The store path in the image.
    pub(crate) path: StorePath,
    /// What is replaced in its files.
    pub(crate) rewrite: Rewrite,
}

/// Where a store object lies in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectPlace {
    /// At its store path.
    Store,
    /// What is in its directory `root`, at `/`; the rest nowhere.
    Root {
        /// Its directories, which others may have too, relative to the root; each before what is in it.
        directories: Vec<String>,
    },
}

impl Slot {
    fn hash(&self, hasher: &mut blake3::Hasher) {
        let pairs = self.rewrite.pairs();
        hasher.update(b"s");
        hasher.update(&(pairs.len() as u64).to_le_bytes());
        for (old, new) in pairs {
            hasher.update(&old.to_digits());
            hasher.update(&new.to_digits());
        }
    }
}

impl StoredObject {
    /// Calls `visit` for the object and everything in it, as [`walk`] does, and compares their number and the sizes of files with what is registered: an image
    /// never lacks what a damaged object has lost.
    pub(crate) fn walk<E: From<LayerError>>(
        &self,
        visit: &mut dyn FnMut(WalkEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut found_bytes, mut found_nodes) = (0, 0);
        walk(&self.real, &self.image_path(), &mut |entry| {
            found_nodes += 1;
            if let WalkKind::File { size_bytes, .. } = entry.kind {
                found_bytes += size_bytes;
            }
            visit(entry)
        })?;
        if (found_bytes, found_nodes) == (self.size_bytes, self.nodes) {
            return Ok(());
        }
        let damaged = LayerError::Damaged {
            path: Box::new(self.path.clone()),
            expected_bytes: self.size_bytes,
            expected_nodes: self.nodes,
            found_bytes,
            found_nodes,
        };
        Err(damaged.into())
    }

    /// Returns where an entry of the object lies in the image, given its path as [`walk`](super::walk) says it; `None` for what images do not show.
    pub(crate) fn path_in_image<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        match &self.place {
            ObjectPlace::Store => Some(path),
            ObjectPlace::Root { .. } => {
                let inner = path
                    .strip_prefix(b"/")?
                    .strip_prefix(ROOT_DIRECTORY.as_bytes())?;
                inner.strip_prefix(b"/")
            }
        }
    }

    /// Returns the permission bits of an entry: at the root, directories may be written to by root as everywhere.
    pub(crate) fn mode(&self, entry: &WalkEntry) -> u32 {
        match (&self.place, &entry.kind) {
            (ObjectPlace::Store, _) | (_, WalkKind::Symlink { .. }) => entry.mode(),
            (ObjectPlace::Root { .. }, _) => entry.mode() | 0o200,
        }
    }

    /// Returns the store path that the object has in the image.
    pub(crate) fn in_image(&self) -> &StorePath {
        self.slot.as_ref().map_or(&self.path, |slot| &slot.path)
    }

    /// Returns what is replaced in one of its files; reads it where that may be something.
    pub(crate) fn patches_of(&self, file: &Path) -> Result<Patches, LayerError> {
        let Some(slot) = &self.slot else {
            return Ok(Patches::new());
        };
        let path = || file.to_path_buf();
        let found = slot.rewrite.patches_of(file);
        let found = found.map_err(|source| LayerError::Read {
            path: path(),
            source,
        })?;
        found.map_err(|_| LayerError::LeftOver { path: path() })
    }

    /// Returns the target that one of its links has in the image.
    pub(crate) fn target_in_image<'t>(
        &self,
        link: &Path,
        target: &'t [u8],
    ) -> Result<Cow<'t, [u8]>, LayerError> {
        let Some(slot) = &self.slot else {
            return Ok(Cow::Borrowed(target));
        };
        let mut bytes = target.to_vec();
        let result = slot.rewrite.apply(&mut bytes);
        result.map_err(|_| LayerError::LeftOver {
            path: link.to_path_buf(),
        })?;
        Ok(Cow::Owned(bytes))
    }

    /// Returns where the object lies in an image, relative to the image's root.
    pub(crate) fn image_path(&self) -> Vec<u8> {
        match &self.place {
            ObjectPlace::Store => (self.in_image().to_logical())
                .trim_start_matches('/')
                .into(),
            ObjectPlace::Root { .. } => Vec::new(),
        }
    }
}

/// The directories above every store object, relative to the root, the outermost first.
pub(crate) fn store_parents() -> impl Iterator<Item = &'static str> {
    let path = STORE_DIR.trim_start_matches('/');
    path.match_indices('/')
        .map(|(at, _)| &path[..at])
        .chain([path])
}

/// One layer: which segments, in which order. The bytes are made when somebody wants them ([`Image::write`](crate::Image::write)).
#[derive(Debug, Clone)]
pub struct Layer {
    pub(crate) segments: Vec<Segment>,
    recipe: RecipeDigest,
}

impl Layer {
    /// A layer of store objects, ascending by their store paths in the image, then generated entries.
    pub(crate) fn new(objects: Vec<Arc<StoredObject>>, generated: Option<&RootTree>) -> Self {
        let directories = directories(&objects, generated);
        let generated = generated.map(|tree| tree.to_tar_without(&directories).into());
        let directories = (!directories.is_empty()).then(|| to_tar(&directories).into());
        Self::of(objects, directories, generated)
    }

    /// The same with the directories of objects at the root, and generated entries, as tar.
    pub(crate) fn of(
        mut objects: Vec<Arc<StoredObject>>,
        directories: Option<Arc<[u8]>>,
        generated: Option<Arc<[u8]>>,
    ) -> Self {
        objects.sort_unstable_by(|a, b| a.in_image().cmp(b.in_image()));
        let mut segments = Vec::with_capacity(objects.len() + 4);
        if objects
            .iter()
            .any(|object| object.place == ObjectPlace::Store)
        {
            segments.push(Segment::Parents);
        }
        segments.extend(directories.map(Segment::Directories));
        segments.extend(objects.into_iter().map(Segment::Object));
        segments.extend(generated.map(Segment::Generated));
        segments.push(Segment::End);
        let recipe = RecipeDigest::of(&segments);
        Self { segments, recipe }
    }

    /// Returns the digest of the list of segments.
    pub const fn recipe(&self) -> RecipeDigest {
        self.recipe
    }

    /// Returns the store paths in the layer, as the store has them; ascending by what they are called in the image.
    pub fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.objects().map(|object| &object.path)
    }

    pub(crate) fn objects(&self) -> impl Iterator<Item = &StoredObject> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Object(object) => Some(&**object),
            _ => None,
        })
    }

    /// Returns whether the layer holds the generated entries of the image's root.
    pub fn has_generated(&self) -> bool {
        (self.segments.iter()).any(|segment| matches!(segment, Segment::Generated(_)))
    }
}

/// Returns the directories of the objects at the root with their modes; a mode that the generated entries of the same layer say goes before.
fn directories(
    objects: &[Arc<StoredObject>],
    generated: Option<&RootTree>,
) -> BTreeMap<Vec<u8>, u32> {
    let mut found = BTreeMap::new();
    for object in objects {
        if let ObjectPlace::Root { directories } = &object.place {
            let own = directories
                .iter()
                .map(|path| (path.as_bytes().to_vec(), DIRECTORY_MODE));
            found.extend(own);
        }
    }
    for (path, entry) in generated.into_iter().flat_map(RootTree::iter) {
        if let (RootEntry::Directory { mode }, Some(known)) =
            (entry, found.get_mut(path.as_bytes()))
        {
            *known = *mode;
        }
    }
    found
}

/// A directory sorts before what is in it, because its path is the beginning of theirs.
fn to_tar(directories: &BTreeMap<Vec<u8>, u32>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, mode) in directories {
        let (mode, kind) = (*mode, EntryKind::Directory);
        append_entry(&mut tar, &Entry { path, mode, kind });
    }
    tar
}

/// The BLAKE3 digest of a layer's recipe: the format version and the list of its segments. Store paths are digests of their contents, so this names the
/// layer's tar without reading a byte of it. Printed as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeDigest([u8; 32]);

impl RecipeDigest {
    fn of(segments: &[Segment]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("pith 2026 layer recipe");
        hasher.update(&FORMAT_VERSION.to_le_bytes());
        for segment in segments {
            match segment {
                Segment::Parents => hasher.update(b"p"),
                Segment::Object(object) => {
                    let path = object.path.to_string();
                    hasher.update(match &object.place {
                        ObjectPlace::Store => b"o",
                        ObjectPlace::Root { .. } => b"r",
                    });
                    hasher.update(&(path.len() as u64).to_le_bytes());
                    hasher.update(path.as_bytes());
                    if let Some(slot) = &object.slot {
                        slot.hash(&mut hasher);
                    }
                    &mut hasher
                }
                Segment::Directories(tar) => {
                    hasher.update(b"d");
                    hasher.update(&(tar.len() as u64).to_le_bytes());
                    hasher.update(tar)
                }
                Segment::Generated(tar) => {
                    hasher.update(b"g");
                    hasher.update(&(tar.len() as u64).to_le_bytes());
                    hasher.update(tar)
                }
                Segment::End => hasher.update(b"e"),
            };
        }
        Self(hasher.finalize().into())
    }

    /// Reads what is printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digest = blake3::Hash::from_hex(text).ok()?;
        Some(Self(digest.into()))
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RecipeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        blake3::Hash::from_bytes(self.0).to_hex().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parents_of_the_store_start_at_the_root() {
        assert_eq!(store_parents().collect::<Vec<_>>(), ["pith", "pith/store"]);
    }
}
