//! Packs that are mostly dead: what lives in them is copied, so that they can go.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{
    CollectError,
    inventory::{Inventory, Reader, Uses, manifests_of, read_file},
    turn::Turn,
};
use crate::{
    Node, PackDigest,
    cache::format::{
        CacheName, FormatError, Frame, MAX_PACK, Manifest, PACK_MAGIC, encode_closure,
    },
};

/// What was repacked.
#[derive(Debug, Default)]
pub(super) struct Repacked {
    /// The packs that nothing leads to any more.
    pub(super) packs: BTreeSet<PackDigest>,
    /// Bytes of the packs that were written instead.
    pub(super) written_bytes: u64,
}

/// Where frames lie now, by where they lay.
type Moved = BTreeMap<Frame, Frame>;

/// Frames and their bytes.
type Copied = Vec<(Frame, Vec<u8>)>;

/// Returns the packs less than half of which lives, of those that `may_go`.
pub(super) fn wasteful_packs(
    inventory: &Inventory,
    uses: &Uses,
    may_go: impl Fn(&CacheName) -> bool,
) -> BTreeSet<PackDigest> {
    let packs = uses.frames.iter().filter(|(pack, frames)| {
        let name = CacheName::Pack(**pack);
        let live: u64 = frames
            .iter()
            .map(|frame| u64::from(frame.compressed_length))
            .sum();
        may_go(&name) && live.saturating_mul(2) < inventory.size(&name)
    });
    packs.map(|(pack, _)| *pack).collect()
}

/// Copies the live frames of packs into new ones, and writes the manifests and bundles that lead there. Durable when it returns; nothing is removed.
pub(super) fn repack(
    reader: &Reader<'_>,
    turn: &Turn<'_>,
    inventory: &Inventory,
    uses: &Uses,
    packs: &BTreeSet<PackDigest>,
) -> Result<Repacked, CollectError> {
    let mut filling = Filling::default();
    let mut repacked = Repacked::default();
    for pack in packs {
        reader.check_cancelled()?;
        turn.renew()?;
        let Some(frames) = uses.frames.get(pack) else {
            continue;
        };
        // A damaged pack is left as it is: whoever can, pushes its blobs again.
        let Some(frames) = read_frames(reader, pack, frames)? else {
            continue;
        };
        for (frame, bytes) in frames {
            if let Some(full) = filling.add(frame, &bytes) {
                repacked.written_bytes += write_pack(reader, full)?;
            }
        }
        repacked.packs.insert(*pack);
    }
    if let Some(last) = filling.seal() {
        repacked.written_bytes += write_pack(reader, last)?;
    }
    reader.cache.flush()?;
    let moved = filling.moved;
    let files: Vec<&CacheName> = uses
        .files
        .iter()
        .filter(|(_, used)| !used.is_disjoint(&repacked.packs))
        .map(|(name, _)| name)
        .collect();
    reader.for_each(&files, |name| {
        turn.renew()?;
        let Some(bytes) = read_file(reader.cache, name)? else {
            return Err(reader.damaged(name));
        };
        let root = super::plan::object_of(name)
            .and_then(|digest| inventory.facts.get(&digest))
            .map(|facts| &facts.root);
        let rewritten = rewrite(name, root, &bytes, &moved);
        let rewritten = rewritten.map_err(|source| CollectError::Format {
            file: reader.address(name),
            source,
        })?;
        if let Some(rewritten) = rewritten {
            reader.cache.write(name, &Bytes::from(rewritten))?;
        }
        Ok(())
    })?;
    reader.cache.flush()?;
    Ok(repacked)
}

/// Reads frames of a pack; `None` if the pack is not what its name says, or does not have them.
fn read_frames(
    reader: &Reader<'_>,
    pack: &PackDigest,
    frames: &BTreeSet<Frame>,
) -> Result<Option<Copied>, CollectError> {
    let Some(bytes) = read_file(reader.cache, &CacheName::Pack(*pack))? else {
        return Ok(None);
    };
    if blake3::hash(&bytes).as_bytes() != pack.as_bytes() {
        return Ok(None);
    }
    let copy = |frame: &Frame| {
        let start = usize::try_from(frame.offset).ok()?;
        let end = start.checked_add(usize::try_from(frame.compressed_length).ok()?)?;
        Some((*frame, bytes.get(start..end)?.to_vec()))
    };
    Ok(frames.iter().map(copy).collect())
}

fn write_pack(reader: &Reader<'_>, (pack, bytes): Sealed) -> Result<u64, CollectError> {
    let length = bytes.len() as u64;
    reader
        .cache
        .write(&CacheName::Pack(pack), &Bytes::from(bytes))?;
    Ok(length)
}

/// A pack that is full.
type Sealed = (PackDigest, Vec<u8>);

/// A pack that is being filled, and where frames went.
#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    /// The frames in it, with where they begin.
    frames: Vec<(Frame, u32)>,
    moved: Moved,
}

impl Filling {
    /// Adds a frame; returns the pack before it if that was full.
    fn add(&mut self, frame: Frame, bytes: &[u8]) -> Option<Sealed> {
        let full = if self.bytes.len() + bytes.len() > MAX_PACK {
            self.seal()
        } else {
            None
        };
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(PACK_MAGIC);
        }
        let offset = u32::try_from(self.bytes.len()).expect("a pack has at most 32 MiB");
        self.frames.push((frame, offset));
        self.bytes.extend_from_slice(bytes);
        full
    }

    fn seal(&mut self) -> Option<Sealed> {
        if self.bytes.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let pack = PackDigest::from_bytes(*blake3::hash(&bytes).as_bytes());
        for (old, offset) in self.frames.drain(..) {
            self.moved.insert(
                old,
                Frame {
                    pack,
                    offset,
                    ..old
                },
            );
        }
        Some((pack, bytes))
    }
}

/// Returns a manifest or bundle that leads to where frames lie now; `None` if it need not be written.
fn rewrite(
    name: &CacheName,
    root: Option<&Node>,
    bytes: &[u8],
    moved: &Moved,
) -> Result<Option<Vec<u8>>, FormatError> {
    match (name, root) {
        (CacheName::Manifest(_), Some(root)) => rewrite_manifest(bytes, root, moved),
        (CacheName::Closure(digest), _) => {
            let mut is_changed = false;
            let mut objects = Vec::new();
            for (record, manifest) in manifests_of(bytes, digest)? {
                let rewritten = rewrite_manifest(manifest, &record.info().root, moved)?;
                is_changed |= rewritten.is_some();
                objects.push((record, rewritten.unwrap_or_else(|| manifest.to_vec())));
            }
            is_changed.then(|| encode_closure(&objects)).transpose()
        }
        _ => Ok(None),
    }
}

fn rewrite_manifest(
    bytes: &[u8],
    root: &Node,
    moved: &Moved,
) -> Result<Option<Vec<u8>>, FormatError> {
    let manifest = Manifest::decode(bytes, root)?;
    if !manifest
        .frames()
        .iter()
        .any(|frame| moved.contains_key(frame))
    {
        return Ok(None);
    }
    let mut locations = manifest.locations();
    for part in locations.values_mut().flatten() {
        if let Some(frame) = moved.get(&part.frame) {
            part.frame = *frame;
        }
    }
    let trees = manifest.trees().clone();
    Manifest::new(root, trees, &locations)?.encode().map(Some)
}
