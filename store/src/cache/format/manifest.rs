//! `t/…`: the trees of one object, and where each of its blobs lies.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    FormatError, MAX_MANIFEST,
    bytes::to_u32,
    compress,
    manifest_check::{malformed, wanted_blobs},
};
use crate::{
    id::{BlobId, PackDigest},
    tree::{Node, TreeBundle, decode_bundle},
};

pub(super) const WHAT: &str = "manifest";
/// What a manifest begins with.
pub(super) const MAGIC: &[u8; 8] = b"PTHMAN01";

/// One zstd frame of a pack. Ordered by pack, then by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// The pack.
    pub pack: PackDigest,
    /// Where it begins in the pack, in bytes from the start of the file.
    pub offset: u32,
    /// How many bytes it has there.
    pub compressed_length: u32,
    /// How many bytes it holds.
    pub length: u32,
    /// The BLAKE3 of the bytes that it holds.
    pub content: BlobId,
}

/// Where a part of a blob lies: the result of packing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobPart {
    /// The frame that has it.
    pub frame: Frame,
    /// Where it begins in what the frame holds.
    pub offset: u32,
    /// How many bytes it has.
    pub length: u32,
}

/// Where a part of a blob lies: within one manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// The number of the frame in [`Manifest::frames`].
    pub frame: u32,
    /// Where it begins in what the frame holds.
    pub offset: u32,
    /// How many bytes it has; at least 1.
    pub length: u32,
}

/// One blob of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobEntry<'a> {
    /// The blob.
    pub id: BlobId,
    /// How many bytes it has; at least 1.
    pub size: u64,
    /// Its parts in order: one for a blob of at most [`MAX_CHUNK`](super::MAX_CHUNK) bytes, else one for each chunk, which is the whole of its frame.
    pub parts: &'a [Part],
}

/// A blob, and which of the manifest's parts are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) id: BlobId,
    pub(super) size: u64,
    pub(super) first_part: usize,
    pub(super) parts: usize,
}

/// The manifest of one object.
///
/// Invariant: the trees are those below the root it was made or read for; the blobs are exactly the non-empty ones of the trees; parts add up to
/// their blob and lie in their frame; frames ascend, do not overlap, lie in their pack, and each is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(super) trees: TreeBundle,
    pub(super) frames: Vec<Frame>,
    pub(super) blobs: Vec<Blob>,
    pub(super) parts: Vec<Part>,
}

impl Manifest {
    /// Makes the manifest of an object. `locations` may know of more blobs than the object has.
    ///
    /// Fails when a blob of the object is missing, or what is said of one breaks a rule of the format.
    pub fn new(
        root: &Node,
        trees: TreeBundle,
        locations: &BTreeMap<BlobId, Vec<BlobPart>>,
    ) -> Result<Self, FormatError> {
        let decoded = decode_bundle(root, &trees.encode(), u64::MAX).map_err(FormatError::Tree)?;
        if decoded != trees {
            return Err(malformed("its trees are those of its object and no others"));
        }
        let wanted = wanted_blobs(root, &trees)?;
        let find = |blob: &BlobId| {
            locations
                .get(blob)
                .ok_or(FormatError::MissingBlob { blob: *blob })
        };
        let mut used = BTreeSet::new();
        for blob in wanted.keys() {
            used.extend(find(blob)?.iter().map(|part| part.frame));
        }
        let frames: Vec<Frame> = used.into_iter().collect();
        let mut manifest = Self {
            trees,
            blobs: Vec::with_capacity(wanted.len()),
            parts: Vec::with_capacity(wanted.len()),
            frames,
        };
        for (id, size) in &wanted {
            let first_part = manifest.parts.len();
            for part in find(id)? {
                let frame = manifest.frames.partition_point(|frame| *frame < part.frame);
                manifest.parts.push(Part {
                    frame: to_u32(WHAT, frame)?,
                    offset: part.offset,
                    length: part.length,
                });
            }
            manifest.blobs.push(Blob {
                id: *id,
                size: *size,
                first_part,
                parts: manifest.parts.len() - first_part,
            });
        }
        manifest.check(&wanted)?;
        Ok(manifest)
    }

    /// Returns the trees of the object; none unless its root is a directory.
    #[must_use]
    pub const fn trees(&self) -> &TreeBundle {
        &self.trees
    }

    /// Returns the frames that have the blobs, ascending by pack and offset. Frames of one pack do not overlap.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Returns the blobs, ascending by id.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = BlobEntry<'_>> {
        self.blobs.iter().map(|blob| self.entry(blob))
    }

    /// Returns a blob of the object, unless it is empty. Free: a binary search.
    #[must_use]
    pub fn find_blob(&self, id: &BlobId) -> Option<BlobEntry<'_>> {
        let at = self.blobs.binary_search_by_key(id, |blob| blob.id).ok()?;
        self.blobs.get(at).map(|blob| self.entry(blob))
    }

    /// Returns where everything lies, as [`Manifest::new`] takes it; so that another manifest can reuse it.
    #[must_use]
    pub fn locations(&self) -> BTreeMap<BlobId, Vec<BlobPart>> {
        let locate = |part: &Part| BlobPart {
            frame: self.frames[part.frame as usize],
            offset: part.offset,
            length: part.length,
        };
        self.blobs()
            .map(|blob| (blob.id, blob.parts.iter().map(locate).collect()))
            .collect()
    }

    /// Returns the bytes of `t/…`.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let body = self.encode_body()?;
        let frame = compress(&body).map_err(|error| FormatError::Frame {
            what: WHAT,
            source: super::FrameError::Damaged(error),
        })?;
        Ok([&MAGIC[..], &frame].concat())
    }

    /// Returns the bytes that are compressed: one encoding for each manifest.
    pub(super) fn encode_body(&self) -> Result<Vec<u8>, FormatError> {
        let trees = self.trees.encode();
        let packs: BTreeSet<PackDigest> = self.frames.iter().map(|frame| frame.pack).collect();
        let packs: Vec<PackDigest> = packs.into_iter().collect();
        let mut body = Vec::with_capacity(
            trees.len() + packs.len() * 32 + self.frames.len() * 48 + self.blobs.len() * 56 + 16,
        );
        put_u32(&mut body, trees.len())?;
        body.extend_from_slice(&trees);
        put_u32(&mut body, packs.len())?;
        for pack in &packs {
            body.extend_from_slice(pack.as_bytes());
        }
        put_u32(&mut body, self.frames.len())?;
        for frame in &self.frames {
            let pack = packs.partition_point(|pack| *pack < frame.pack);
            put_u32(&mut body, pack)?;
            for number in [frame.offset, frame.compressed_length, frame.length] {
                body.extend_from_slice(&number.to_le_bytes());
            }
            body.extend_from_slice(frame.content.as_bytes());
        }
        put_u32(&mut body, self.blobs.len())?;
        for blob in self.blobs() {
            body.extend_from_slice(blob.id.as_bytes());
            body.extend_from_slice(&blob.size.to_le_bytes());
            put_u32(&mut body, blob.parts.len())?;
            for part in blob.parts {
                for number in [part.frame, part.offset, part.length] {
                    body.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        if body.len() > MAX_MANIFEST {
            return Err(FormatError::TooLarge {
                what: WHAT,
                limit: MAX_MANIFEST as u64,
            });
        }
        Ok(body)
    }

    fn entry(&self, blob: &Blob) -> BlobEntry<'_> {
        BlobEntry {
            id: blob.id,
            size: blob.size,
            parts: &self.parts[blob.first_part..blob.first_part + blob.parts],
        }
    }
}

fn put_u32(body: &mut Vec<u8>, number: usize) -> Result<(), FormatError> {
    body.extend_from_slice(&to_u32(WHAT, number)?.to_le_bytes());
    Ok(())
}
