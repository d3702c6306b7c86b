//! Requests with tries, and what is learnt from them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use super::{
    Clock, Policy, SourceError, SourceReader, SourceWriter, SystemClock,
    breaker::{Breaker, Permit},
};
use crate::cache::{
    backend::{
        Backend, BackendError, Before, CacheUrl, Collectors, ErrorClass, Exclusion, FileKind,
        ListedFile, Replaced,
    },
    format::CacheName,
};

/// A new measurement counts for one part in so many of what is known of the latency.
const LATENCY_WEIGHT: u32 = 8;

/// What happened to the requests of a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// How often the back end was asked, tries included.
    pub requests: u64,
    /// How many of them were further tries.
    pub retries: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// What failed, by the kind of failure.
    pub failures: BTreeMap<ErrorClass, u64>,
}

/// One cache. Any number of threads may use it at once.
#[derive(Debug)]
pub struct Source {
    backend: Box<dyn Backend>,
    policy: Policy,
    clock: Box<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    quarantine: BTreeSet<CacheName>,
    latency: Option<Duration>,
    statistics: Statistics,
}

impl Source {
    /// Wraps a back end.
    #[must_use]
    pub fn new(backend: Box<dyn Backend>, policy: Policy) -> Self {
        Self::with_clock(backend, policy, Box::new(SystemClock::default()))
    }

    /// Wraps a back end and measures time by a clock of the caller.
    #[must_use]
    pub fn with_clock(backend: Box<dyn Backend>, policy: Policy, clock: Box<dyn Clock>) -> Self {
        Self {
            backend,
            policy,
            clock,
            state: Mutex::new(State {
                breaker: Breaker::new(policy),
                quarantine: BTreeSet::new(),
                latency: None,
                statistics: Statistics::default(),
            }),
        }
    }

    /// Returns where the cache is.
    #[must_use]
    pub fn url(&self) -> &CacheUrl {
        self.backend.url()
    }

    /// Returns how long an answer takes to begin, recent ones weighing more; `None` before the first.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.state().latency
    }

    /// Returns what has happened so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.state().statistics.clone()
    }

    /// Returns whether the cache is being left alone because it failed.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.state().breaker.is_open()
    }

    /// Notes that the bytes of a file were not what their digest says. It is not asked for again.
    pub fn quarantine(&self, name: &CacheName) {
        let mut state = self.state();
        state.quarantine.insert(name.clone());
        *state
            .statistics
            .failures
            .entry(ErrorClass::Corrupt)
            .or_default() += 1;
    }

    /// Reads a whole file of at most `limit` bytes.
    pub fn read(&self, name: &CacheName, limit: u64) -> Result<Vec<u8>, SourceError> {
        let bytes = self.request(Some(name), || self.backend.read(name, limit))?;
        self.state().statistics.bytes_read += bytes.len() as u64;
        Ok(bytes)
    }

    /// Reads a whole file for [`replace`](Self::replace).
    pub fn read_marked(
        &self,
        name: &CacheName,
        limit: u64,
    ) -> Result<(Vec<u8>, Before), SourceError> {
        let read = self.request(Some(name), || self.backend.read_marked(name, limit))?;
        self.state().statistics.bytes_read += read.0.len() as u64;
        Ok(read)
    }

    /// Opens a part of a file. Where the connection breaks, the reader goes on with another one.
    pub fn open_range(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<SourceReader<'_>, SourceError> {
        let inner = self.open_part(name, range.clone())?;
        Ok(SourceReader::new(self, name.clone(), range, inner))
    }

    pub(super) fn open_part(
        &self,
        name: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn std::io::Read + Send>, SourceError> {
        self.request(Some(name), || self.backend.open_range(name, range.clone()))
    }

    /// Tells whether a file is there.
    pub fn exists(&self, name: &CacheName) -> Result<bool, SourceError> {
        self.request(None, || self.backend.exists(name))
    }

    /// Writes a file; see [`Backend::write`].
    pub fn write(&self, name: &CacheName, bytes: &Bytes) -> Result<(), SourceError> {
        self.request(None, || self.backend.write(name, bytes.clone()))?;
        self.written(name, bytes.len() as u64);
        Ok(())
    }

    /// Begins a file whose name is not known yet; see [`Backend::begin`].
    pub fn begin_file(&self) -> Result<Option<SourceWriter<'_>>, SourceError> {
        let inner = self.request(None, || self.backend.begin())?;
        Ok(inner.map(|inner| SourceWriter::new(self, inner)))
    }

    /// Writes a file that is still what it was before; see [`Backend::replace`]. An answer that was lost may make the next try find its own bytes, and say that it
    /// was overtaken.
    pub fn replace(
        &self,
        name: &CacheName,
        bytes: &Bytes,
        before: &Before,
    ) -> Result<Replaced, SourceError> {
        let replace = || self.backend.replace(name, bytes.clone(), before);
        let replaced = self.request(None, replace)?;
        if replaced == Replaced::Written {
            self.written(name, bytes.len() as u64);
        }
        Ok(replaced)
    }

    pub(super) fn written(&self, name: &CacheName, bytes: u64) {
        let mut state = self.state();
        state.statistics.bytes_written += bytes;
        // What was corrupt is replaced.
        state.quarantine.remove(name);
    }

    /// Begins what [`flush`](Self::flush) ends; see [`Backend::write_back`].
    pub fn write_back(&self) {
        self.backend.write_back();
    }

    /// Makes what was written visible and durable; see [`Backend::flush`].
    pub fn flush(&self) -> Result<(), SourceError> {
        self.request(None, || self.backend.flush())
    }

    /// Keeps others out who add to files, where that can be; see [`Backend::keep_others_out`].
    pub fn keep_others_out(&self) -> Result<Option<Exclusion>, SourceError> {
        self.request(None, || self.backend.keep_others_out())
    }

    /// Becomes the only collector, where that can be; see [`Backend::exclude_collectors`].
    pub fn exclude_collectors(&self) -> Result<Collectors, SourceError> {
        self.request(None, || self.backend.exclude_collectors())
    }

    /// Waits, without that being the cache's fault.
    pub(in crate::cache) fn pause(&self, pause: Duration) {
        self.clock.sleep(pause);
    }

    /// Removes a file; see [`Backend::remove`].
    pub fn remove(&self, name: &CacheName) -> Result<(), SourceError> {
        self.request(None, || self.backend.remove(name))
    }

    /// Tells of every file of a kind; see [`Backend::list`]. Not tried again, since some were told of already.
    pub fn list(
        &self,
        kind: FileKind,
        found: &mut dyn FnMut(ListedFile),
    ) -> Result<(), SourceError> {
        let permit = self.admit()?;
        let result = self.backend.list(kind, found);
        Ok(self.settle(permit, None, result)?)
    }

    /// Returns `false` if it is known that nothing can be written.
    pub fn is_writable(&self) -> Result<bool, SourceError> {
        self.request(None, || self.backend.is_writable())
    }

    /// Asks until there is an answer or no hope for one. `name` is what is read, for the quarantine.
    fn request<T>(
        &self,
        name: Option<&CacheName>,
        ask: impl Fn() -> Result<T, BackendError>,
    ) -> Result<T, SourceError> {
        if let Some(name) = name.filter(|name| self.state().quarantine.contains(name)) {
            return Err(SourceError::Quarantined {
                file: format!("{}/{name}", self.url()),
            });
        }
        let mut tried = 0;
        loop {
            let permit = self.admit()?;
            let error = match self.settle(permit, name, ask()) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            tried += 1;
            if !self.wait(&error, tried) {
                return Err(SourceError::Backend(error));
            }
        }
    }

    /// Waits until it makes sense to try again after `tried` tries; returns `false` if it does not.
    pub(super) fn wait(&self, error: &BackendError, tried: u32) -> bool {
        let Some(pause) = self.policy.pause(error, tried, self.clock.jitter()) else {
            return false;
        };
        let begun = self.clock.now();
        {
            let mut state = self.state();
            if pause >= state.breaker.left() {
                // Everybody else would wait in vain as well.
                state.breaker.open(begun, pause);
            }
            if state.breaker.is_open() {
                return false;
            }
            state.statistics.retries += 1;
        }
        self.clock.sleep(pause);
        self.state().breaker.lose(begun, self.clock.now());
        true
    }

    /// Notes when something was begun that leave was given for before.
    pub(super) fn begin(&self) -> Permit {
        Permit::new(self.clock.now())
    }

    fn admit(&self) -> Result<Permit, SourceError> {
        let now = self.clock.now();
        let mut state = self.state();
        let permit = state.breaker.admit(now);
        match permit {
            Ok(permit) => {
                state.statistics.requests += 1;
                Ok(permit)
            }
            Err(pause) => Err(SourceError::GivenUp {
                cache: self.url().to_string(),
                pause,
                cause: state.breaker.last_error(),
            }),
        }
    }

    /// Learns from a result. `name` is what was read, for the quarantine.
    pub(super) fn settle<T>(
        &self,
        permit: Permit,
        name: Option<&CacheName>,
        result: Result<T, BackendError>,
    ) -> Result<T, Arc<BackendError>> {
        let now = self.clock.now();
        let mut state = self.state();
        let error = match result {
            Ok(value) => {
                state.answered(permit, now);
                return Ok(value);
            }
            Err(error) => Arc::new(error),
        };
        let class = error.class();
        *state.statistics.failures.entry(class).or_default() += 1;
        if class.is_answer() {
            state.answered(permit, now);
        } else {
            state.breaker.fail(permit, now, Arc::clone(&error));
        }
        if let (ErrorClass::Corrupt, Some(name)) = (class, name) {
            state.quarantine.insert(name.clone());
        }
        Err(error)
    }

    pub(super) fn count_read(&self, bytes: usize) {
        self.state().statistics.bytes_read += bytes as u64;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answered(&mut self, permit: Permit, now: Duration) {
        self.breaker.succeed(now);
        let measured = now.saturating_sub(permit.asked());
        self.latency = Some(match self.latency {
            None => measured,
            Some(known) => (known * (LATENCY_WEIGHT - 1) + measured) / LATENCY_WEIGHT,
        });
    }
}
