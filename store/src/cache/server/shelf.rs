//! The directory that a server has, and the one way in which files get into it.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    Refusal,
    check::{Accepted, Checker},
};
use crate::cache::{
    backend::{Backend as _, BackendError, Directory},
    format::CacheName,
};

/// Names that are written at once without waiting for each other, if chance wills.
const LOCKS: usize = 256;

/// Whether a file that was sent changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    Known,
}

/// A directory and what guards it.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) directory: Directory,
    /// Bytes of a file at most.
    pub(super) file_bytes: u64,
    locks: Vec<Mutex<()>>,
}

impl Shelf {
    pub(super) fn new(directory: Directory, file_bytes: u64) -> Self {
        Self {
            directory,
            file_bytes,
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Reads a file; `None` if it is not there.
    pub(super) fn read(
        &self,
        name: &CacheName,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        match self.directory.read(name, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(BackendError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the size of a file; `None` if it is not there.
    pub(super) fn size(&self, name: &CacheName) -> Result<Option<u64>, BackendError> {
        match self.directory.open(name) {
            Ok((_, size)) => Ok(Some(size)),
            Err(BackendError::Absent { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Checks a file and puts it where it belongs. It is on disk when this returns. Blocks.
    pub(super) fn store(
        &self,
        checker: &Checker,
        name: &CacheName,
        bytes: Bytes,
    ) -> Result<Outcome, Refusal> {
        // What is merged must not change under the merging, and a record is checked with its manifest: those have the same last part.
        let text = name.to_string();
        let mut hasher = DefaultHasher::new();
        text.rsplit('/').next().hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % LOCKS as u64).unwrap_or(0);
        let lock = self.locks.get(at);
        let _guard = lock.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        match checker.check(name, bytes, self)? {
            Accepted::Known => Ok(Outcome::Known),
            Accepted::Store(bytes) => {
                self.directory.write(name, bytes)?;
                self.directory.flush()?;
                Ok(Outcome::Stored)
            }
        }
    }
}
