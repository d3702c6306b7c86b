//! Bytes to a manifest, written for hostile input.

use super::{
    FormatError, MAX_MANIFEST, MIN_CHUNK,
    bytes::Reader,
    decompress,
    manifest::{Blob, Frame, MAGIC, Manifest, Part, WHAT},
    manifest_check::{malformed, wanted_blobs},
};
use crate::{
    id::{BlobId, PackDigest},
    tree::{MAX_NAME, MAX_TARGET, Node, decode_bundle},
};

const PACK_BYTES: usize = 32;
const FRAME_BYTES: usize = 4 * 4 + 32;
const BLOB_BYTES: usize = 32 + 8 + 4;
const PART_BYTES: usize = 3 * 4;

impl Manifest {
    /// Parses the manifest of the object whose root is `root`.
    ///
    /// The root answers for the trees, and the trees for the blobs and their sizes; where the blobs lie is the cache's word, which their bytes prove or
    /// refute. Memory is bounded by what an object with the totals of `root` can need, so check those against limits first.
    pub fn decode(bytes: &[u8], root: &Node) -> Result<Self, FormatError> {
        let Some(frame) = bytes.strip_prefix(MAGIC) else {
            return Err(malformed("it begins with `PTHMAN01`"));
        };
        let body = decompress(frame, max_body(root)?)
            .map_err(|source| FormatError::Frame { what: WHAT, source })?;
        Self::decode_body(&body, root)
    }

    pub(super) fn decode_body(body: &[u8], root: &Node) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, body);
        let length = reader.count(1)?;
        let trees =
            decode_bundle(root, reader.take(length)?, u64::MAX).map_err(FormatError::Tree)?;
        let packs = read_packs(&mut reader)?;
        let frames = read_frames(&mut reader, &packs)?;
        let count = reader.count(BLOB_BYTES)?;
        let mut manifest = Self {
            trees,
            frames,
            blobs: Vec::with_capacity(count),
            parts: Vec::with_capacity(count),
        };
        for _ in 0..count {
            let id = BlobId::from_bytes(reader.array()?);
            let size = reader.u64()?;
            let parts = reader.count(PART_BYTES)?;
            manifest.blobs.push(Blob {
                id,
                size,
                first_part: manifest.parts.len(),
                parts,
            });
            for _ in 0..parts {
                manifest.parts.push(Part {
                    frame: reader.u32()?,
                    offset: reader.u32()?,
                    length: reader.u32()?,
                });
            }
        }
        reader.finish()?;
        manifest.check(&wanted_blobs(root, &manifest.trees)?)?;
        Ok(manifest)
    }
}

fn read_packs(reader: &mut Reader<'_>) -> Result<Vec<PackDigest>, FormatError> {
    let count = reader.count(PACK_BYTES)?;
    let packs = (0..count)
        .map(|_| reader.array().map(PackDigest::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    if !packs.is_sorted_by(|a, b| a < b) {
        return Err(malformed("its packs ascend"));
    }
    Ok(packs)
}

fn read_frames(reader: &mut Reader<'_>, packs: &[PackDigest]) -> Result<Vec<Frame>, FormatError> {
    let count = reader.count(FRAME_BYTES)?;
    let mut frames = Vec::with_capacity(count);
    let mut used = 0;
    for _ in 0..count {
        let pack = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        // Frames ascend by pack, so that a pack is either that of the frame before or the next.
        if pack == used && pack < packs.len() {
            used += 1;
        } else if pack.checked_add(1) != Some(used) {
            return Err(malformed("its frames use its packs in order"));
        }
        frames.push(Frame {
            pack: packs[pack],
            offset: reader.u32()?,
            compressed_length: reader.u32()?,
            length: reader.u32()?,
            content: BlobId::from_bytes(reader.array()?),
        });
    }
    if used != packs.len() {
        return Err(malformed("each pack is used"));
    }
    Ok(frames)
}

/// Returns how many bytes the manifest of an object can have before it is compressed.
fn max_body(root: &Node) -> Result<u64, FormatError> {
    let totals = root.totals().map_err(FormatError::Tree)?;
    let entry = (2 + MAX_NAME + 2 + MAX_TARGET) as u64;
    let tree = 12;
    let part = (PART_BYTES + FRAME_BYTES + PACK_BYTES) as u64;
    let node = entry + tree + BLOB_BYTES as u64 + part;
    let chunks = totals.size_bytes / MIN_CHUNK as u64;
    let tables = 4 * 4;
    let bound = totals
        .nodes
        .saturating_mul(node)
        .saturating_add(chunks.saturating_mul(part))
        .saturating_add(tables);
    Ok(bound.min(MAX_MANIFEST as u64))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
