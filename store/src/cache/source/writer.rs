//! A file that is written bit by bit.

use super::{Source, SourceError};
use crate::cache::{
    backend::{BackendError, Growing},
    format::CacheName,
};

/// A file of a cache that has no name yet. Nothing of it is tried again: who fails writes it whole, or gives up. Dropped without a name, it is gone.
#[derive(Debug)]
pub struct SourceWriter<'a> {
    source: &'a Source,
    inner: Box<dyn Growing>,
    length: u64,
}

impl<'a> SourceWriter<'a> {
    pub(super) fn new(source: &'a Source, inner: Box<dyn Growing>) -> Self {
        Self {
            source,
            inner,
            length: 0,
        }
    }

    /// Returns how many bytes were added so far.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let result = self.inner.append(bytes);
        learn(self.source, result)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name; see [`Backend::write`](crate::cache::backend::Backend::write).
    pub fn finish(self, name: &CacheName) -> Result<(), SourceError> {
        let result = self.inner.finish(name);
        learn(self.source, result)?;
        self.source.written(name, self.length);
        Ok(())
    }
}

fn learn(source: &Source, result: Result<(), BackendError>) -> Result<(), SourceError> {
    let permit = source.begin();
    source
        .settle(permit, None, result)
        .map_err(SourceError::Backend)
}
