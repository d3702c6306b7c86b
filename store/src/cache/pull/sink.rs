//! Where the bytes of missing contents go: into the batches that want them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::Sender,
    },
};

use super::{caches::lock, plan::Piece};
use crate::{
    BlobId,
    local::{Arrival, Arrived, Assembly, PlaceError},
};

/// Bytes after which it is told that there is something to bring to disk: enough that this costs little beside writing them.
const WORTH_SYNCING: u64 = 16 << 20;

/// What happened to the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// The batch of this number is complete.
    Complete(usize),
    /// Much was written that may not be on disk.
    Written,
}

/// The batches of a pull, until they are committed.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    batches: Vec<RwLock<Option<Arrival<'a>>>>,
    targets: BTreeMap<BlobId, Vec<usize>>,
    open: Mutex<BTreeMap<BlobId, Arc<Open>>>,
    listener: Mutex<Option<Sender<Told>>>,
    written: AtomicU64,
}

/// A content of which some pieces are there.
#[derive(Debug)]
struct Open {
    left: AtomicUsize,
    assemblies: RwLock<Vec<(usize, Assembly)>>,
}

impl<'a> Sink<'a> {
    /// Takes batches; `listener` is told of each that is complete.
    pub(super) fn new(batches: Vec<Arrival<'a>>, listener: Sender<Told>) -> Self {
        let mut targets: BTreeMap<BlobId, Vec<usize>> = BTreeMap::new();
        for (number, batch) in batches.iter().enumerate() {
            for (blob, _) in batch.missing() {
                targets.entry(blob).or_default().push(number);
            }
        }
        let sink = Self {
            batches: batches
                .into_iter()
                .map(|batch| RwLock::new(Some(batch)))
                .collect(),
            targets,
            open: Mutex::default(),
            listener: Mutex::new(Some(listener)),
            written: AtomicU64::new(0),
        };
        (0..sink.batches.len()).for_each(|number| sink.announce(number));
        sink
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// Returns the contents that are not there, with their sizes.
    pub(super) fn missing(&self) -> BTreeMap<BlobId, u64> {
        let mut missing = BTreeMap::new();
        for batch in &self.batches {
            if let Some(batch) = &*read(batch) {
                missing.extend(batch.missing());
            }
        }
        missing
    }

    /// Takes a content from the pool, wherever it is wanted. Tells whether it was there.
    pub(super) fn link(&self, blob: &BlobId) -> Result<bool, PlaceError> {
        let mut is_linked = true;
        for number in self.targets.get(blob).into_iter().flatten() {
            is_linked &= self
                .with(*number, |batch| batch.link(blob))?
                .unwrap_or(true);
        }
        Ok(is_linked)
    }

    /// Writes a whole content wherever it is wanted.
    pub(super) fn write(&self, blob: &BlobId, bytes: &[u8]) -> Result<(), PlaceError> {
        for number in self.targets.get(blob).into_iter().flatten() {
            self.with(*number, |batch| batch.write(blob, bytes))?;
        }
        self.count(bytes);
        Ok(())
    }

    /// Writes a piece of a content, from what a frame holds; with the last one, the content is checked and gets its places.
    pub(super) fn deliver(&self, piece: &Piece, content: &[u8]) -> Result<(), PlaceError> {
        let start = piece.offset as usize;
        let bytes = content
            .get(start..start.saturating_add(piece.length as usize))
            .unwrap_or_default();
        if piece.pieces == 1 {
            return self.write(&piece.blob, bytes);
        }
        let open = self.open(piece)?;
        let assemblies = open
            .assemblies
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for (number, assembly) in &*assemblies {
            self.with(*number, |batch| batch.write_at(assembly, piece.at, bytes))?;
        }
        drop(assemblies);
        self.count(bytes);
        if open.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        lock(&self.open).remove(&piece.blob);
        let assemblies = std::mem::take(
            &mut *open
                .assemblies
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for (number, assembly) in assemblies {
            self.with(number, |batch| batch.complete(assembly))?;
        }
        Ok(())
    }

    fn open(&self, piece: &Piece) -> Result<Arc<Open>, PlaceError> {
        let mut all = lock(&self.open);
        if let Some(open) = all.get(&piece.blob) {
            return Ok(Arc::clone(open));
        }
        let mut assemblies = Vec::new();
        for number in self.targets.get(&piece.blob).into_iter().flatten() {
            let assembly = self.with(*number, |batch| batch.assemble(&piece.blob))?;
            assemblies.extend(assembly.map(|assembly| (*number, assembly)));
        }
        let open = Arc::new(Open {
            left: AtomicUsize::new(piece.pieces),
            assemblies: RwLock::new(assemblies),
        });
        all.insert(piece.blob, Arc::clone(&open));
        Ok(open)
    }

    /// Does something with a batch unless it is committed, and tells if that completed it.
    fn with<T>(
        &self,
        number: usize,
        work: impl FnOnce(&Arrival<'a>) -> Result<T, PlaceError>,
    ) -> Result<Option<T>, PlaceError> {
        let Some(batch) = self.batches.get(number) else {
            return Ok(None);
        };
        let result = read(batch).as_ref().map(work).transpose();
        self.announce(number);
        result
    }

    fn announce(&self, number: usize) {
        let is_complete = self
            .batches
            .get(number)
            .is_some_and(|batch| read(batch).as_ref().is_some_and(Arrival::is_complete));
        if is_complete {
            self.tell(Told::Complete(number));
        }
    }

    fn count(&self, bytes: &[u8]) {
        let new = bytes.len() as u64;
        let before = self.written.fetch_add(new, Ordering::Relaxed);
        if (before + new) / WORTH_SYNCING > before / WORTH_SYNCING {
            self.tell(Told::Written);
        }
    }

    fn tell(&self, told: Told) {
        if let Some(listener) = &*lock(&self.listener) {
            // Who commits batches in the end looks at all of them.
            let _unheard = listener.send(told);
        }
    }

    /// Tells of no batch any more.
    pub(super) fn close(&self) {
        *lock(&self.listener) = None;
    }

    /// Makes valid what is complete of a batch; `None` if that was done before.
    pub(super) fn commit(&self, number: usize) -> Result<Option<Arrived>, PlaceError> {
        let batch = self
            .batches
            .get(number)
            .and_then(|batch| batch.write().unwrap_or_else(PoisonError::into_inner).take());
        batch.map(|batch| batch.commit(Vec::new())).transpose()
    }
}

fn read<'b, 'a>(
    batch: &'b RwLock<Option<Arrival<'a>>>,
) -> std::sync::RwLockReadGuard<'b, Option<Arrival<'a>>> {
    batch.read().unwrap_or_else(PoisonError::into_inner)
}
