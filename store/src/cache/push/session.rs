//! What all steps of one push share.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{PushError, PushEvent, gate::Gate};
use crate::{
    LocalStore, Realisation,
    cache::{
        backend::{Before, ErrorClass, Replaced},
        format::{CacheName, FormatError},
        parallel::in_parallel,
        source::{Source, SourceError},
    },
    trust::{SecretKey, SignedRealisation},
};

/// One push.
pub(super) struct Session<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) cache: &'a Source,
    pub(super) key: Option<&'a SecretKey>,
    pub(super) events: &'a (dyn Fn(PushEvent) + Sync),
    pub(super) cancel: &'a AtomicBool,
    pub(super) sent_bytes: AtomicU64,
    pub(super) packs: AtomicU64,
    pub(super) gate: Mutex<Gate>,
    /// What was signed so far: the hints of a push say most things several times.
    pub(super) signed: Mutex<HashMap<Realisation, SignedRealisation>>,
}

impl Session<'_> {
    /// Whether a question costs no more than a system call.
    pub(super) fn is_local(&self) -> bool {
        self.cache.url().scheme() == "file"
    }

    pub(super) fn check_cancelled(&self) -> Result<(), PushError> {
        if self.cancel.load(Ordering::Relaxed) {
            Err(PushError::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Calls `work` for each item, many at once, unless the caller wants no more.
    pub(super) fn for_each<I: Sync, T: Send>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> Result<T, PushError> + Sync,
    ) -> Result<Vec<T>, PushError> {
        in_parallel(self.is_local(), items, |item| {
            self.check_cancelled()?;
            work(item)
        })
    }

    /// Reads a file; `None` if it is not there.
    pub(super) fn read(&self, name: &CacheName) -> Result<Option<Vec<u8>>, PushError> {
        present(self.cache.read(name, name.max_bytes()))
    }

    /// Reads a file that can as well be written again; `None` also if it cannot be read whole.
    pub(super) fn read_replaceable(&self, name: &CacheName) -> Result<Option<Vec<u8>>, PushError> {
        replaceable(self.cache.read(name, name.max_bytes()))
    }

    /// Reads a file that others add to as well; `None` if it is not there.
    pub(super) fn read_marked(
        &self,
        name: &CacheName,
    ) -> Result<(Option<Vec<u8>>, Before), PushError> {
        let there = present(self.cache.read_marked(name, name.max_bytes()))?;
        Ok(match there {
            Some((bytes, before)) => (Some(bytes), before),
            None => (None, Before::Absent),
        })
    }

    /// Writes a file unless somebody else has since it was read.
    pub(super) fn replace(
        &self,
        name: &CacheName,
        bytes: Vec<u8>,
        before: &Before,
    ) -> Result<Replaced, PushError> {
        let length = bytes.len() as u64;
        let replaced = self.cache.replace(name, &Bytes::from(bytes), before)?;
        if replaced == Replaced::Written {
            self.sent_bytes.fetch_add(length, Ordering::Relaxed);
        }
        Ok(replaced)
    }

    pub(super) fn write(&self, name: &CacheName, bytes: Vec<u8>) -> Result<(), PushError> {
        let length = bytes.len() as u64;
        self.cache.write(name, &Bytes::from(bytes))?;
        self.sent_bytes.fetch_add(length, Ordering::Relaxed);
        Ok(())
    }

    /// Makes everything written so far visible and durable.
    pub(super) fn flush(&self) -> Result<(), PushError> {
        self.check_cancelled()?;
        Ok(self.cache.flush()?)
    }

    pub(super) fn format_error(&self, name: &CacheName, source: FormatError) -> PushError {
        PushError::Format {
            file: format!("{}/{name}", self.cache.url()),
            source,
        }
    }

    /// Returns what a file of the cache says; `None` if it is malformed, so that it can as well be written again. Fails for a file of another version.
    pub(super) fn understood<T>(
        &self,
        name: &CacheName,
        decoded: Result<T, FormatError>,
    ) -> Result<Option<T>, PushError> {
        match decoded {
            Ok(value) => Ok(Some(value)),
            Err(error @ (FormatError::Version { .. } | FormatError::StoreDir { .. })) => {
                Err(self.format_error(name, error))
            }
            Err(_) => Ok(None),
        }
    }
}

/// Turns the absence of a file, and what is wrong with it, into `None`.
pub(super) fn replaceable<T>(result: Result<T, SourceError>) -> Result<Option<T>, PushError> {
    match result {
        Err(SourceError::Quarantined { .. }) => Ok(None),
        Err(SourceError::Backend(error)) if error.class() == ErrorClass::Corrupt => Ok(None),
        result => present(result),
    }
}

/// Turns the absence of a file into `None`.
fn present<T>(result: Result<T, SourceError>) -> Result<Option<T>, PushError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(SourceError::Backend(error)) if error.class() == ErrorClass::Absent => Ok(None),
        Err(error) => Err(error.into()),
    }
}
