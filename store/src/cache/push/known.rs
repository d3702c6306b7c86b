//! What of the new objects lies in the cache already, because other objects have it too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{PushError, blobs::Material, session::Session, survey::Held};
use crate::{
    BlobId, PackDigest, PathDigest, PathInfo,
    cache::{
        format::{BlobPart, CacheName, Manifest, NameHint, ObjectRecord},
        pack::KnownFrames,
    },
};

/// Where blobs and chunks lie.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Blobs that are wanted.
    pub(super) blobs: BTreeMap<BlobId, Vec<BlobPart>>,
    /// The frames of large blobs, each of which has a chunk.
    pub(super) frames: Arc<KnownFrames>,
    /// The sum of the sizes of those of the blobs that need not be read.
    pub(super) reused_bytes: u64,
}

/// An object that is in the cache.
struct Neighbour {
    record: ObjectRecord,
    manifest: Vec<u8>,
}

impl Session<'_> {
    /// Looks where the blobs of `missing` objects lie: in the objects of the closure that are there, and in those that were pushed last under the same names.
    pub(super) fn find_known(
        &self,
        missing: &[&PathInfo],
        held: &BTreeMap<PathDigest, Held>,
    ) -> Result<Known, PushError> {
        let mut neighbours = self.hinted(missing, held)?;
        if neighbours.is_empty() && held.is_empty() {
            return Ok(Known::default());
        }
        let mut wanted = BTreeMap::new();
        for info in missing {
            wanted.extend(Material::load(self.store, info)?.blobs());
        }
        let mut blobs = BTreeMap::new();
        let mut frames = BTreeMap::new();
        let mut learn = |record: &ObjectRecord, manifest: &[u8]| {
            // What cannot be understood is no help, and no harm.
            let Ok(manifest) = Manifest::decode(manifest, &record.info().root) else {
                return;
            };
            for (blob, parts) in manifest.locations() {
                if parts.len() > 1 {
                    let chunks = parts.iter().map(|part| (part.frame.content, part.frame));
                    frames.extend(chunks);
                }
                if wanted.contains_key(&blob) {
                    blobs.entry(blob).or_insert(parts);
                }
            }
        };
        for held in held.values() {
            if let Some(manifest) = &held.manifest {
                learn(&held.record, manifest);
            }
        }
        for neighbour in neighbours.drain(..) {
            learn(&neighbour.record, &neighbour.manifest);
        }
        let absent = self.absent_packs(&blobs, &frames)?;
        blobs.retain(|_, parts| parts.iter().all(|part| !absent.contains(&part.frame.pack)));
        frames.retain(|_, frame| !absent.contains(&frame.pack));
        let sizes = blobs.keys().filter_map(|blob| wanted.get(blob));
        Ok(Known {
            reused_bytes: sizes.sum(),
            blobs,
            frames: Arc::new(frames),
        })
    }

    /// Reads what was pushed last under the names of objects. Nothing that is missing or wrong there is an error.
    fn hinted(
        &self,
        missing: &[&PathInfo],
        held: &BTreeMap<PathDigest, Held>,
    ) -> Result<Vec<Neighbour>, PushError> {
        let names: BTreeSet<CacheName> = missing
            .iter()
            .map(|info| CacheName::name_hint(info.path.name()))
            .collect();
        let names: Vec<CacheName> = names.into_iter().collect();
        let found = self.for_each(&names, |name| {
            let Some(bytes) = self.read_replaceable(name)? else {
                return Ok(None);
            };
            let hint = NameHint::decode(&bytes).ok();
            Ok(hint.map(|hint| hint.object))
        })?;
        let objects: BTreeSet<PathDigest> = found.into_iter().flatten().collect();
        let objects: Vec<PathDigest> = objects
            .into_iter()
            .filter(|object| !held.contains_key(object))
            .collect();
        let found = self.for_each(&objects, |object| {
            let (record, manifest) = (CacheName::Object(*object), CacheName::Manifest(*object));
            let Some(bytes) = self.read_replaceable(&record)? else {
                return Ok(None);
            };
            let Ok(record) = ObjectRecord::decode(&bytes) else {
                return Ok(None);
            };
            let manifest = self.read_replaceable(&manifest)?;
            Ok(manifest.map(|manifest| Neighbour { record, manifest }))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns the packs of known places that are gone, as after a repacking that somebody has seen the half of.
    fn absent_packs(
        &self,
        blobs: &BTreeMap<BlobId, Vec<BlobPart>>,
        frames: &KnownFrames,
    ) -> Result<BTreeSet<PackDigest>, PushError> {
        let of_blobs = blobs.values().flatten().map(|part| part.frame.pack);
        let of_frames = frames.values().map(|frame| frame.pack);
        let packs: BTreeSet<PackDigest> = of_blobs.chain(of_frames).collect();
        let packs: Vec<PackDigest> = packs.into_iter().collect();
        let found = self.for_each(&packs, |pack| {
            Ok(self.cache.exists(&CacheName::Pack(*pack))?)
        })?;
        let absent = packs.into_iter().zip(found).filter(|(_, found)| !found);
        Ok(absent.map(|(pack, _)| pack).collect())
    }
}
