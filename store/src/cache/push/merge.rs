//! Files that several writers add to: read, merged, written, and read again.

use super::{PushError, session::Session};
use crate::cache::{
    backend::Replaced,
    format::{CacheInfo, CacheName, FormatError, ObjectRecord, RealisationSet},
};

/// How often a file is written at most, because others overwrote what was added to it.
const TRIES: usize = 8;
/// How often a file is read and written at most where the place refuses to write what others have written since. Each time one of them has succeeded.
const REPLACING_TRIES: usize = 64;

/// What a file says, to which others add as well.
pub(super) trait Mergeable: Clone + Send + Sync {
    /// Adds to what is in the cache what is not there; the result is what both say. Tells whether that is more than was there.
    fn merge_into(&mut self, there: &[u8]) -> Result<bool, FormatError>;

    /// Returns the bytes of the file.
    fn encode(&self) -> Result<Vec<u8>, FormatError>;
}

impl Mergeable for ObjectRecord {
    fn merge_into(&mut self, there: &[u8]) -> Result<bool, FormatError> {
        let mut merged = Self::decode(there)?;
        let is_more = merged.merge(self)?;
        *self = merged;
        Ok(is_more)
    }

    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Self::encode(self)
    }
}

impl Mergeable for RealisationSet {
    fn merge_into(&mut self, there: &[u8]) -> Result<bool, FormatError> {
        let mut merged = Self::decode(there, self.resolved())?;
        let is_more = merged.merge(self)?;
        *self = merged;
        Ok(is_more)
    }

    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Self::encode(self)
    }
}

impl Mergeable for CacheInfo {
    /// Whoever made the cache has said what it is.
    fn merge_into(&mut self, there: &[u8]) -> Result<bool, FormatError> {
        *self = Self::decode(there)?;
        Ok(false)
    }

    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        Self::encode(self)
    }
}

/// A file and what is to be in it.
#[derive(Debug, Clone)]
pub(super) struct Addition<T> {
    pub(super) name: CacheName,
    pub(super) value: T,
    /// Whether it had to be written.
    pub(super) is_written: bool,
}

impl<T> Addition<T> {
    pub(super) const fn new(name: CacheName, value: T) -> Self {
        Self {
            name,
            value,
            is_written: false,
        }
    }
}

impl Session<'_> {
    /// Makes sure that each file says at least what is to be in it, and returns what they say. Files of one level are written before those of the next;
    /// all are visible and durable in the end.
    ///
    /// Where writers can be kept apart, or the place writes only what is still what it was, nobody's additions are lost. Elsewhere what was written is read again, and
    /// written again if somebody replaced it who had read the file before.
    pub(super) fn settle<T: Mergeable>(
        &self,
        levels: Vec<Vec<Addition<T>>>,
    ) -> Result<Vec<Addition<T>>, PushError> {
        let mut open = levels;
        if open.iter().all(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut settled = Vec::new();
        for _ in 0..TRIES {
            let alone = self.cache.keep_others_out()?;
            let mut is_more = false;
            let mut rest = Vec::new();
            for level in open {
                let merged = self.for_each(&level, |addition| self.add(addition))?;
                let (written, same): (Vec<_>, Vec<_>) =
                    merged.into_iter().partition(|(_, is_new)| *is_new);
                settled.extend(same.into_iter().map(|(addition, _)| addition));
                is_more |= !written.is_empty();
                rest.push(written.into_iter().map(|(addition, _)| addition).collect());
            }
            if is_more {
                self.flush()?;
            }
            let was_alone = alone.is_some();
            drop(alone);
            if !is_more || was_alone {
                settled.extend(rest.into_iter().flat_map(|level: Vec<Addition<T>>| level));
                return Ok(settled);
            }
            open = rest;
        }
        match open.iter().flatten().next() {
            Some(addition) => Err(self.contended(&addition.name)),
            None => Ok(settled),
        }
    }

    /// Adds to one file. Tells whether it was written.
    fn add<T: Mergeable>(&self, addition: &Addition<T>) -> Result<(Addition<T>, bool), PushError> {
        let mut addition = addition.clone();
        let name = addition.name.clone();
        for _ in 0..REPLACING_TRIES {
            let (there, before) = self.read_marked(&name)?;
            if let Some(there) = there {
                match addition.value.merge_into(&there) {
                    Ok(false) => return Ok((addition, false)),
                    Ok(true) => {}
                    // What is no file of the format is replaced.
                    Err(FormatError::Malformed { .. } | FormatError::Json { .. }) => {}
                    Err(error) => return Err(self.format_error(&name, error)),
                }
            }
            let bytes = addition
                .value
                .encode()
                .map_err(|error| self.format_error(&name, error))?;
            if self.replace(&name, bytes, &before)? == Replaced::Written {
                addition.is_written = true;
                return Ok((addition, true));
            }
            self.check_cancelled()?;
        }
        Err(self.contended(&name))
    }

    fn contended(&self, name: &CacheName) -> PushError {
        PushError::Contended {
            file: format!("{}/{name}", self.cache.url()),
        }
    }
}
