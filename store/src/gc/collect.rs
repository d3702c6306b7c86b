//! One collection from beginning to end.

use std::{
    os::fd::AsFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use super::{
    CollectedObject, GcError, GcReport, KeeperSize,
    graph::index,
    keepers::Snapshot,
    policy::{Facts, Policy, order},
};
use crate::{
    db::{Database, GraphObject},
    id::StorePath,
    local::LocalStore,
    sys::{
        FileError,
        files::at,
        lock::{Lock, try_lock_file},
    },
};

/// Objects in the first batch: few, so that the first bytes are free at once.
const FIRST_BATCH: usize = 64;
/// Objects in a batch at most: their removal holds up other writers.
const LARGEST_BATCH: usize = 2048;
/// What a transaction may take before batches stop growing.
const LONG: Duration = Duration::from_millis(100);
/// How often it is asked whether another collector has finished.
const POLL: Duration = Duration::from_millis(50);
/// How long it is remembered what an object was built from that is gone: long enough for the next build of what needed it, which then knows without
/// building what comes out, and can ask caches for it.
const REMEMBERED_SECONDS: u64 = 180 * 24 * 60 * 60;
/// Bytes that go before the pool is looked through for the first time; then eight times as many, and so on.
const FIRST_POOL_PASS_BYTES: u64 = 256 << 20;
/// How many keepers are named when not enough could be freed.
const NAMED_KEEPERS: usize = 10;

/// Whether anything is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GcMode {
    /// What nothing keeps is deleted.
    #[default]
    Delete,
    /// It is only said what would be.
    DryRun,
}

/// What to collect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcOptions {
    /// Whether anything is deleted.
    pub mode: GcMode,
    /// Stop when so many bytes are free, beginning with what is worth least. Sizes are those of files, each object counted whole.
    pub free_bytes: Option<u64>,
    /// Keep what was used in so many seconds before now.
    pub keep_seconds: Option<u64>,
}

/// How far a collection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GcEvent {
    /// Another collection runs; this one begins after it.
    WaitingForCollector,
    /// It is known what nothing keeps.
    Marked {
        /// How many objects may go at most.
        objects: u64,
        /// The sum of their sizes, or what was asked for if that is less.
        bytes: u64,
    },
    /// Objects are gone from disk.
    Removed {
        /// How many more.
        objects: u64,
        /// The sum of their sizes.
        bytes: u64,
    },
}

impl LocalStore {
    /// Deletes what nothing keeps, or says what it would delete.
    ///
    /// A store that may lie on a full disk is opened by [`LocalStore::open_to_delete`]; the reserve is made again afterwards if there is room.
    ///
    /// Builds, packs and adds go on meanwhile. `events` is called from several threads. When `cancel` is set, it stops after at most one batch; whatever
    /// stops it, what was deleted is deleted and the rest is whole.
    pub fn collect_garbage(
        &self,
        options: &GcOptions,
        events: &(dyn Fn(GcEvent) + Sync),
        cancel: &AtomicBool,
    ) -> Result<GcReport, GcError> {
        let _alone = match options.mode {
            GcMode::DryRun => None,
            GcMode::Delete => {
                self.check_writable()?;
                self.mark_unclean()?;
                let lock = self.become_collector(events, cancel)?;
                self.finish_deletions::<GcError>()?;
                Some(lock)
            }
        };
        let snapshot = self.read(|database| self.take_snapshot(database))?;
        let alive = snapshot.mark();
        let mut report = GcReport::new(&snapshot, &alive);
        let dead: Vec<bool> = alive.iter().map(|alive| !alive).collect();
        let order = self.read(|database| self.choose(database, &snapshot, &dead, options))?;
        let wanted = options.free_bytes.unwrap_or(u64::MAX);
        events(GcEvent::Marked {
            objects: order.len() as u64,
            bytes: wanted.min(order.iter().map(|object| snapshot.size(*object)).sum()),
        });
        let candidates = order
            .iter()
            .filter_map(|object| snapshot.objects.get(index(*object)));
        match options.mode {
            GcMode::DryRun => {
                for object in candidates {
                    if report.freed_bytes >= wanted {
                        break;
                    }
                    report.add(object);
                }
            }
            GcMode::Delete => {
                let candidates: Vec<&GraphObject> = candidates.collect();
                self.delete(&candidates, wanted, &mut report, events, cancel)?;
                // What was still referred to by something damaged when it began.
                self.finish_deletions::<GcError>()?;
                self.pool().collect()?;
                self.forget_realisations()?;
                // Without a reserve nothing is wrong until the disk is full; the next who writes tries again.
                let _kept: Result<(), FileError> = self.keep_reserve();
            }
        }
        if options
            .free_bytes
            .is_some_and(|wanted| report.freed_bytes < wanted)
        {
            report.name_keepers(&snapshot);
        }
        Ok(report)
    }

    /// Waits until no other process collects.
    fn become_collector(
        &self,
        events: &(dyn Fn(GcEvent) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Lock, GcError> {
        let path = self.collector_lock_path();
        let mut told = false;
        loop {
            if let Some(lock) = try_lock_file(&path)? {
                return Ok(lock);
            }
            if cancel.load(Ordering::Relaxed) {
                return Err(GcError::Interrupted);
            }
            if !std::mem::replace(&mut told, true) {
                events(GcEvent::WaitingForCollector);
            }
            thread::sleep(POLL);
        }
    }

    /// Returns what may go, in order.
    fn choose(
        &self,
        database: &Database,
        snapshot: &Snapshot,
        dead: &[bool],
        options: &GcOptions,
    ) -> Result<Vec<u32>, GcError> {
        if options.free_bytes.is_none() && options.keep_seconds.is_none() {
            return Ok(order(&snapshot.graph, dead, &[], Policy::All));
        }
        let mut facts: Vec<Facts> = snapshot
            .objects
            .par_iter()
            .zip(dead)
            .map(|(object, dead)| {
                Ok(Facts {
                    size_bytes: object.size_bytes,
                    used: if *dead {
                        self.last_used(&object.path)?
                    } else {
                        0
                    },
                    duration_ms: None,
                })
            })
            .collect::<Result<_, FileError>>()?;
        database.read_durations(|row, duration| {
            if let Ok(place) = snapshot
                .objects
                .binary_search_by_key(&row, |object| object.id)
                && let Some(facts) = facts.get_mut(place)
            {
                facts.duration_ms = Some(duration);
            }
        })?;
        let now = (self.options().clock)();
        let policy = Policy::Worth {
            now,
            used_before: options
                .keep_seconds
                .map_or(u64::MAX, |seconds| now.saturating_sub(seconds)),
        };
        Ok(order(&snapshot.graph, dead, &facts, policy))
    }

    /// Takes candidates through the protocol until enough bytes are free.
    fn delete(
        &self,
        candidates: &[&GraphObject],
        wanted: u64,
        report: &mut GcReport,
        events: &(dyn Fn(GcEvent) + Sync),
        cancel: &AtomicBool,
    ) -> Result<(), GcError> {
        let mut database = self.open_database()?;
        let trash = self.create_trash()?;
        let failure: Mutex<Option<FileError>> = Mutex::new(None);
        let pool_pass = PoolPass::default();
        let result = rayon::in_place_scope(|scope| {
            let mut rest = candidates;
            let mut size = FIRST_BATCH;
            while report.freed_bytes < wanted && !rest.is_empty() {
                if cancel.load(Ordering::Relaxed) {
                    return Err(GcError::Interrupted);
                }
                let started = Instant::now();
                let batch = next_batch(rest, size, wanted - report.freed_bytes);
                rest = rest.get(batch.len()..).unwrap_or_default();
                let tombstones = self.set_tombstones(&mut database, batch)?;
                let removed: Vec<StorePath> =
                    self.remove_tombstones::<GcError>(&mut database, trash.as_fd(), &tombstones)?;
                if started.elapsed() < LONG {
                    size = (size * 2).min(LARGEST_BATCH);
                }
                let before = (report.collected.len(), report.freed_bytes);
                report.add_all(batch, &removed);
                let event = GcEvent::Removed {
                    objects: (report.collected.len() - before.0) as u64,
                    bytes: report.freed_bytes - before.1,
                };
                let bytes = report.freed_bytes;
                let (trash, failure, pool_pass) = (trash.as_fd(), &failure, &pool_pass);
                let unlink = move || {
                    self.unlink_all(trash, &removed)?;
                    if pool_pass.is_due(bytes) {
                        self.pool().collect()?;
                    }
                    Ok(())
                };
                scope.spawn(move |_| match unlink() {
                    Ok(()) => events(event),
                    Err(error) => {
                        failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                });
            }
            Ok(())
        });
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let result = result.and(failure.map_or(Ok(()), |error| Err(error.into())));
        if result.is_err() {
            // Rows may still speak of what lies there; the next who opens the store, or the next collector, looks.
            trash.abandon();
        }
        result
    }

    /// Forgets what objects were built from that are gone, after a time.
    fn forget_realisations(&self) -> Result<(), GcError> {
        let before = (self.options().clock)().saturating_sub(REMEMBERED_SECONDS);
        self.write(|write| {
            for (resolved, output, object) in write.remove_old_realisations(before)? {
                self.remove_realisation_record(&object.path_digest(), &resolved, &output)
                    .map_err(at("remove a record in", self.meta_directory()))?;
            }
            Ok(())
        })
    }
}

/// When the pool is looked through while objects go: files in it take their bytes until their last name is gone, but looking costs a look at each.
#[derive(Debug)]
struct PoolPass {
    next_bytes: AtomicU64,
}

impl Default for PoolPass {
    fn default() -> Self {
        Self {
            next_bytes: AtomicU64::new(FIRST_POOL_PASS_BYTES),
        }
    }
}

impl PoolPass {
    /// Tells whether it is time for a pass when so many bytes have gone, to one of those who ask.
    fn is_due(&self, bytes: u64) -> bool {
        let next = self.next_bytes.load(Ordering::Relaxed);
        let later = bytes.saturating_mul(8);
        bytes >= next
            && self
                .next_bytes
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Returns as many candidates as a batch may have, and as are needed.
fn next_batch<'a, 'b>(
    candidates: &'a [&'b GraphObject],
    size: usize,
    wanted: u64,
) -> &'a [&'b GraphObject] {
    let mut bytes = 0u64;
    let needed = candidates.iter().take(size).take_while(|object| {
        let enough = bytes >= wanted;
        bytes = bytes.saturating_add(object.size_bytes);
        !enough
    });
    let count = needed.count();
    candidates.get(..count).unwrap_or_default()
}

impl Snapshot {
    fn size(&self, object: u32) -> u64 {
        self.objects
            .get(index(object))
            .map_or(0, |object| object.size_bytes)
    }
}

impl GcReport {
    fn new(snapshot: &Snapshot, alive: &[bool]) -> Self {
        let mut report = Self::default();
        for (object, alive) in snapshot.objects.iter().zip(alive) {
            let (count, bytes) = if *alive {
                (&mut report.alive, &mut report.alive_bytes)
            } else {
                (&mut report.dead, &mut report.dead_bytes)
            };
            *count += 1;
            *bytes = bytes.saturating_add(object.size_bytes);
        }
        report
    }

    fn add(&mut self, object: &GraphObject) {
        self.freed_bytes = self.freed_bytes.saturating_add(object.size_bytes);
        self.collected.push(CollectedObject {
            path: object.path.clone(),
            size_bytes: object.size_bytes,
        });
    }

    /// Adds those objects of a batch that were removed; both have the same order.
    fn add_all(&mut self, batch: &[&GraphObject], removed: &[StorePath]) {
        let mut removed = removed.iter().peekable();
        for object in batch {
            if removed.peek() == Some(&&object.path) {
                removed.next();
                self.add(object);
            }
        }
    }

    fn name_keepers(&mut self, snapshot: &Snapshot) {
        let keepers = snapshot.keepers.iter().map(|(keeper, _)| keeper.clone());
        let mut sizes: Vec<KeeperSize> = keepers
            .zip(snapshot.sole_bytes())
            .map(|(keeper, alone_bytes)| KeeperSize {
                keeper,
                alone_bytes,
            })
            .collect();
        // Stable: of equals the first in the order of keepers.
        sizes.sort_by_key(|keeper| std::cmp::Reverse(keeper.alone_bytes));
        sizes.truncate(NAMED_KEEPERS);
        self.keepers = sizes;
    }
}
