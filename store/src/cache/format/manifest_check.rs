//! The rules that a manifest keeps, whether it is about to be written or was read.

use std::collections::BTreeMap;

use super::{
    FormatError, MAX_CHUNK, MAX_FRAME, MAX_PACK, MIN_CHUNK, PACK_MAGIC, compress_bound,
    manifest::{BlobEntry, Frame, Manifest, Part, WHAT},
};
use crate::{
    id::BlobId,
    tree::{Node, Tree, TreeBundle},
};

/// Returns the sizes of the non-empty blobs of an object.
///
/// Fails when two files give one blob different sizes, or a file is empty by its size or by its digest alone: then one of them is a lie.
pub(super) fn wanted_blobs(
    root: &Node,
    trees: &TreeBundle,
) -> Result<BTreeMap<BlobId, u64>, FormatError> {
    let empty = BlobId::from_bytes(*blake3::hash(b"").as_bytes());
    let entries = trees.trees.values().flat_map(Tree::entries);
    let nodes = entries.map(|entry| &entry.node).chain([root]);
    let mut wanted = BTreeMap::new();
    for node in nodes {
        let Node::File { blob, size, .. } = node else {
            continue;
        };
        if (*size == 0) != (*blob == empty) {
            return Err(malformed("exactly the empty files have the empty blob"));
        }
        if *size > 0 && *wanted.entry(*blob).or_insert(*size) != *size {
            return Err(malformed("files of one blob have one size"));
        }
    }
    Ok(wanted)
}

impl Manifest {
    /// Checks everything but the trees, which their root answers for. Linear but for one sort of the parts.
    pub(super) fn check(&self, wanted: &BTreeMap<BlobId, u64>) -> Result<(), FormatError> {
        for (at, frame) in self.frames.iter().enumerate() {
            check_frame(frame)?;
            if let Some(previous) = at.checked_sub(1).and_then(|at| self.frames.get(at)) {
                check_order(previous, frame)?;
            }
        }
        let found = self.blobs().map(|blob| (blob.id, blob.size));
        if !found.eq(wanted.iter().map(|(id, size)| (*id, *size))) {
            return Err(malformed(
                "its blobs are the non-empty ones of its trees, ascending",
            ));
        }
        for blob in self.blobs() {
            self.check_blob(&blob)?;
        }
        self.check_use()
    }

    fn check_blob(&self, blob: &BlobEntry<'_>) -> Result<(), FormatError> {
        let is_cut = blob.size > MAX_CHUNK as u64;
        if is_cut != (blob.parts.len() > 1) || blob.parts.is_empty() {
            return Err(malformed("exactly the blobs of more than 2 MiB are cut"));
        }
        let mut size = 0u64;
        for (at, part) in blob.parts.iter().enumerate() {
            let frame = self.frame_of(part)?;
            let end = u64::from(part.offset) + u64::from(part.length);
            if part.length == 0 || end > u64::from(frame.length) {
                return Err(malformed("each part lies in its frame and is not empty"));
            }
            let is_whole = part.length == frame.length;
            if is_cut && !is_whole {
                return Err(malformed("each chunk is the whole of its frame"));
            }
            let is_last = at + 1 == blob.parts.len();
            let allowed = if is_last { 1 } else { MIN_CHUNK }..=MAX_CHUNK;
            if is_cut && !allowed.contains(&(part.length as usize)) {
                return Err(malformed("each chunk but the last has 128 KiB to 2 MiB"));
            }
            if !is_cut && is_whole && frame.content != blob.id {
                return Err(malformed("a frame that is one blob has its digest"));
            }
            size += u64::from(part.length);
        }
        if size != blob.size {
            return Err(malformed("the parts of each blob add up to its size"));
        }
        Ok(())
    }

    /// Checks that each frame is used and that parts of one frame are the same or apart.
    fn check_use(&self) -> Result<(), FormatError> {
        let mut parts: Vec<(u32, u32, u32)> = self
            .parts
            .iter()
            .map(|part| (part.frame, part.offset, part.length))
            .collect();
        parts.sort_unstable();
        parts.dedup();
        let overlap = parts
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.0 == b.0 && a.1.saturating_add(a.2) > b.1));
        if overlap {
            return Err(malformed("parts of one frame are the same or apart"));
        }
        parts.dedup_by_key(|part| part.0);
        if parts.len() != self.frames.len() {
            return Err(malformed("each frame is used"));
        }
        Ok(())
    }

    fn frame_of(&self, part: &Part) -> Result<&Frame, FormatError> {
        let frame = usize::try_from(part.frame).ok();
        frame
            .and_then(|frame| self.frames.get(frame))
            .ok_or_else(|| malformed("each part names a frame"))
    }
}

fn check_frame(frame: &Frame) -> Result<(), FormatError> {
    let end = u64::from(frame.offset) + u64::from(frame.compressed_length);
    if u64::from(frame.offset) < PACK_MAGIC.len() as u64 || end > MAX_PACK as u64 {
        return Err(malformed(
            "each frame lies between the mark and the end of a pack",
        ));
    }
    if frame.length == 0 || frame.length as usize > MAX_FRAME {
        return Err(malformed("each frame holds 1 byte to 4 MiB"));
    }
    let bound = compress_bound(u64::from(frame.length));
    if frame.compressed_length == 0 || u64::from(frame.compressed_length) > bound {
        return Err(malformed("no frame is larger than zstd makes it"));
    }
    Ok(())
}

fn check_order(previous: &Frame, frame: &Frame) -> Result<(), FormatError> {
    let is_apart = match previous.pack.cmp(&frame.pack) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => {
            u64::from(previous.offset) + u64::from(previous.compressed_length)
                <= u64::from(frame.offset)
        }
        std::cmp::Ordering::Greater => false,
    };
    if is_apart {
        Ok(())
    } else {
        Err(malformed("frames ascend and do not overlap"))
    }
}

pub(super) const fn malformed(rule: &'static str) -> FormatError {
    FormatError::Malformed { what: WHAT, rule }
}
