//! Frames out of caches into the batches that want them: several ranges at a time, checked on all cores.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Answer, CacheError, PullError, PullEvent,
    bundle::{read_into, skip},
    caches::{Caches, lock},
    plan::{Job, Run, coalesce},
    queue::{Item, Queue},
    sink::Sink,
    spool::Spool,
};
use crate::{
    cache::{
        format::CacheName,
        pack::{PackError, check_content, unpack_frame},
        source::Source,
    },
    local::PlaceError,
};

/// Ranges that are read at once from a cache.
const CONNECTIONS: usize = 8;

/// One transfer.
pub(super) struct Fetch<'a, 's> {
    pub(super) caches: &'a Caches<'a>,
    pub(super) sink: &'a Sink<'s>,
    pub(super) spool: &'a Spool,
    pub(super) events: &'a (dyn Fn(PullEvent) + Sync),
    pub(super) cancel: &'a AtomicBool,
    /// Frames that come later than this are kept for the case that the pull does not end.
    pub(super) keep_after: Duration,
    /// What failures are noted for.
    pub(super) subject: &'a str,
    begun: Instant,
    fatal: Mutex<Option<PullError>>,
    failed: Mutex<Vec<Job>>,
    fetched: AtomicU64,
    resumed: AtomicU64,
    is_gone: AtomicBool,
}

/// What a transfer came to.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) fetched_bytes: u64,
    pub(super) resumed_bytes: u64,
    /// A pack is not where the manifests say.
    pub(super) is_gone: bool,
    pub(super) fatal: Option<PullError>,
}

impl<'a, 's> Fetch<'a, 's> {
    pub(super) fn new(
        (caches, sink, spool): (&'a Caches<'a>, &'a Sink<'s>, &'a Spool),
        (events, cancel): (&'a (dyn Fn(PullEvent) + Sync), &'a AtomicBool),
        keep_after: Duration,
        subject: &'a str,
    ) -> Self {
        Self {
            caches,
            sink,
            spool,
            events,
            cancel,
            keep_after,
            subject,
            begun: Instant::now(),
            fatal: Mutex::default(),
            failed: Mutex::default(),
            fetched: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
        }
    }

    /// Brings as many frames as possible: what earlier pulls left, then from the first cache, and what that cannot give from others that have the same packs.
    pub(super) fn run(&self, sources: &[&Source], mut jobs: Vec<Job>) {
        jobs = self.stage(None, |queue| {
            let mut rest = Vec::new();
            for job in jobs {
                match self.spool.find(&job.frame) {
                    Some((frame, bytes)) if !self.is_stopped() => {
                        queue.push(Item { job, frame, bytes });
                    }
                    _ => rest.push(job),
                }
            }
            lock(&self.failed).extend(rest);
        });
        for source in sources {
            if jobs.is_empty() || self.is_stopped() {
                return;
            }
            jobs.sort_by_key(|job| job.frame);
            let runs: Vec<Mutex<Option<Run>>> = coalesce(jobs)
                .into_iter()
                .map(|run| Mutex::new(Some(run)))
                .collect();
            jobs = self.stage(Some(source), |queue| {
                let next = AtomicUsize::new(0);
                thread::scope(|scope| {
                    for _ in 0..CONNECTIONS.min(runs.len()) {
                        scope.spawn(|| {
                            while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                                if let Some(run) = lock(run).take() {
                                    self.read_run(source, run, queue);
                                }
                            }
                        });
                    }
                });
            });
        }
    }

    /// Returns what came of it.
    pub(super) fn into_result(self) -> Fetched {
        Fetched {
            fetched_bytes: self.fetched.into_inner(),
            resumed_bytes: self.resumed.into_inner(),
            is_gone: self.is_gone.into_inner(),
            fatal: lock(&self.fatal).take(),
        }
    }

    /// Takes frames apart while `feed` brings them. Returns the jobs that came to nothing.
    fn stage(&self, source: Option<&Source>, feed: impl FnOnce(&Queue)) -> Vec<Job> {
        let queue = Queue::default();
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism()
                .map_or(2, usize::from)
                .min(8)
            {
                scope.spawn(|| {
                    let mut content = Vec::new();
                    queue.work(|item| self.unpack(source, item, &mut content));
                });
            }
            feed(&queue);
            queue.close();
        });
        std::mem::take(&mut *lock(&self.failed))
    }

    /// Reads the frames of a range.
    fn read_run(&self, source: &Source, run: Run, queue: &Queue) {
        let name = CacheName::Pack(run.pack);
        let mut jobs = run.jobs.into_iter();
        if self.is_stopped() {
            return;
        }
        let mut at = run.range.start;
        let mut reader = match source.open_range(&name, run.range) {
            Ok(reader) => reader,
            Err(error) => {
                self.fail(source, CacheError::of(&name, error));
                lock(&self.failed).extend(jobs);
                return;
            }
        };
        while let Some(job) = jobs.next() {
            if self.is_stopped() {
                return;
            }
            let start = u64::from(job.frame.offset);
            let length = job.frame.compressed_length;
            // A manifest is refused whose frames are longer than 4 MiB and a little.
            let mut bytes = queue.buffer();
            let read = skip(&mut reader, start - at)
                .and_then(|()| read_into(&mut reader, length as usize, &mut bytes));
            at = start + u64::from(length);
            match read {
                Ok(()) => {
                    let frame = job.frame;
                    queue.push(Item { job, frame, bytes });
                }
                Err(error) => {
                    self.fail(source, CacheError::of_read(&name, error));
                    lock(&self.failed).extend([job].into_iter().chain(jobs));
                    return;
                }
            }
        }
    }

    /// Checks a frame, and delivers what it holds. Returns memory that is free again; `content` is some as well.
    fn unpack(&self, source: Option<&Source>, item: Item, content: &mut Vec<u8>) -> Vec<u8> {
        let Item { job, frame, bytes } = item;
        if self.is_stopped() {
            return bytes;
        }
        let delivered = unpack_frame(&frame, &bytes, content).and_then(|()| {
            if !job.is_of_whole_contents() {
                check_content(&frame, content)?;
            }
            self.deliver(source, &job, content)
        });
        if let Err(error) = delivered {
            if let Some(source) = source {
                let name = CacheName::Pack(frame.pack);
                source.quarantine(&name);
                self.fail(source, CacheError::damaged(&name, error));
            }
            lock(&self.failed).push(job);
            return bytes;
        }
        let counted = if source.is_some() {
            &self.fetched
        } else {
            &self.resumed
        };
        counted.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.begun.elapsed() >= self.keep_after {
            self.spool.keep(&frame, &bytes);
        }
        (self.events)(PullEvent::Fetched {
            bytes: bytes.len() as u64,
        });
        bytes
    }

    /// Delivers what a frame holds. Fails if a content is not what it should be, and that because the frame is not.
    fn deliver(&self, source: Option<&Source>, job: &Job, content: &[u8]) -> Result<(), PackError> {
        for piece in &job.pieces {
            match self.sink.deliver(piece, content) {
                Ok(()) => {}
                Err(PlaceError::Digest { expected, .. }) => {
                    check_content(&job.frame, content)?;
                    // The frame is right, so what the manifest says of it is wrong.
                    if let Some(source) = source {
                        let name = CacheName::Pack(job.frame.pack);
                        let error = PackError::Blob { blob: expected };
                        self.fail(source, CacheError::damaged(&name, error));
                    }
                }
                Err(error) => self.stop(error.into()),
            }
        }
        Ok(())
    }

    fn fail(&self, source: &Source, error: CacheError) {
        if matches!(error, CacheError::Absent { .. }) {
            self.is_gone.store(true, Ordering::Relaxed);
        }
        self.caches
            .tell(source, self.subject, Answer::Failed(error));
    }

    /// Ends the transfer early.
    pub(super) fn stop(&self, error: PullError) {
        lock(&self.fatal).get_or_insert(error);
    }

    fn is_stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) || lock(&self.fatal).is_some()
    }
}
