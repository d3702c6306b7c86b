//! What older versions in the local store have of what is missing: small files of the same bytes, and chunks of large ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rayon::prelude::*;

use super::{PullError, caches::lock, plan::Job, sink::Sink};
use crate::{
    BlobId, LocalStore, StoreName, StorePath,
    cache::{
        format::{CacheName, MAX_CHUNK},
        pack::Chunker,
    },
};

/// Older versions of each name that are looked at, the newest first.
const VERSIONS: usize = 2;
/// Bytes of large files that are cut, for each byte that is missing: cutting is so much faster than most networks.
const CUT_FACTOR: u64 = 4;

/// A file of an older version.
#[derive(Debug)]
struct OldFile {
    object: StorePath,
    path: Vec<u8>,
    blob: BlobId,
    size: u64,
}

/// The files of older versions.
#[derive(Debug)]
pub(super) struct Older<'a> {
    store: &'a LocalStore,
    files: Vec<OldFile>,
}

impl<'a> Older<'a> {
    /// Finds older versions of objects with these names.
    pub(super) fn find(
        store: &'a LocalStore,
        names: &BTreeSet<StoreName>,
    ) -> Result<Self, PullError> {
        let hints: BTreeSet<CacheName> = names.iter().map(CacheName::name_hint).collect();
        let mut versions: BTreeMap<CacheName, Vec<(u64, StorePath)>> = BTreeMap::new();
        for (path, registered) in store.list_registered()? {
            let hint = CacheName::name_hint(path.name());
            if hints.contains(&hint) {
                versions.entry(hint).or_default().push((registered, path));
            }
        }
        let mut files = Vec::new();
        for mut versions in versions.into_values() {
            versions.sort_by(|one, other| other.cmp(one));
            for (_, object) in versions.into_iter().take(VERSIONS) {
                for (path, blob, size) in store.files_of(&object)? {
                    files.push(OldFile {
                        object: object.clone(),
                        path,
                        blob,
                        size,
                    });
                }
            }
        }
        Ok(Self { store, files })
    }

    /// Tells whether there is nothing to look at.
    pub(super) const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Writes the small contents that are there. Those that others have changed meanwhile are left out: each is hashed.
    pub(super) fn copy_small(
        &self,
        missing: &BTreeMap<BlobId, u64>,
        sink: &Sink<'_>,
    ) -> Result<(), PullError> {
        let mut seen = BTreeSet::new();
        for file in &self.files {
            if file.size > MAX_CHUNK as u64
                || missing.get(&file.blob) != Some(&file.size)
                || !seen.insert(file.blob)
            {
                continue;
            }
            let bytes = self
                .store
                .open_in(&file.object, &file.path)
                .and_then(|open| super::bundle::read_exactly(&mut { open }, file.size).ok());
            if let Some(bytes) = bytes
                && blake3::hash(&bytes).as_bytes() == file.blob.as_bytes()
            {
                sink.write(&file.blob, &bytes)?;
            }
        }
        Ok(())
    }

    /// Delivers the chunks that are in large files here, and returns the jobs that are left.
    pub(super) fn copy_chunks(
        &self,
        jobs: Vec<Job>,
        sink: &Sink<'_>,
    ) -> Result<Vec<Job>, PullError> {
        let mut wanted: BTreeMap<BlobId, Vec<usize>> = BTreeMap::new();
        let mut bytes = 0;
        for (number, job) in jobs.iter().enumerate() {
            if job.pieces.iter().all(|piece| piece.pieces > 1) {
                wanted.entry(job.frame.content).or_default().push(number);
                bytes += u64::from(job.frame.length);
            }
        }
        let budget = AtomicU64::new(bytes.saturating_mul(CUT_FACTOR));
        let wanted = Mutex::new(wanted);
        let found = Mutex::new(BTreeSet::new());
        self.files
            .par_iter()
            .filter(|file| file.size > MAX_CHUNK as u64)
            .try_for_each(|file| {
                let is_allowed = budget
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(file.size)
                    })
                    .is_ok();
                if !is_allowed || lock(&wanted).is_empty() {
                    return Ok(());
                }
                let Some(open) = self.store.open_in(&file.object, &file.path) else {
                    return Ok(());
                };
                let mut chunker = Chunker::new(open);
                while let Ok(Some(chunk)) = chunker.next_chunk() {
                    let digest = BlobId::from_bytes(*blake3::hash(chunk).as_bytes());
                    let Some(numbers) = lock(&wanted).remove(&digest) else {
                        continue;
                    };
                    for number in numbers {
                        for piece in jobs.get(number).into_iter().flat_map(|job| &job.pieces) {
                            sink.deliver(piece, chunk)?;
                        }
                        lock(&found).insert(number);
                    }
                }
                Ok::<(), PullError>(())
            })?;
        let found = lock(&found);
        Ok(jobs
            .into_iter()
            .enumerate()
            .filter(|(number, _)| !found.contains(number))
            .map(|(_, job)| job)
            .collect())
    }
}
