//! What a layer is made of: segments, and the digest of that list, by which the memo finds what the layer became.

use std::{fmt, path::PathBuf, sync::Arc};

use store::{STORE_DIR, StorePath};

use super::FORMAT_VERSION;

/// The part of a layer that is compressed by itself.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// The directories `pith` and `pith/store`, once in each layer that holds store objects.
    Parents,
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
}

impl StoredObject {
    /// Returns where the object lies in an image, relative to the image's root.
    pub(crate) fn image_path(&self) -> Vec<u8> {
        self.path.to_logical().trim_start_matches('/').into()
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
    /// A layer of store objects, ascending by store path, then generated entries.
    pub(crate) fn new(mut objects: Vec<Arc<StoredObject>>, generated: Option<Arc<[u8]>>) -> Self {
        objects.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut segments = Vec::with_capacity(objects.len() + 3);
        if !objects.is_empty() {
            segments.push(Segment::Parents);
        }
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

    /// Returns the store paths in the layer, ascending.
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
                    hasher.update(b"o");
                    hasher.update(&(path.len() as u64).to_le_bytes());
                    hasher.update(path.as_bytes())
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
