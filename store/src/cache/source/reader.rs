//! A part of a file, over as many connections as it takes.

use std::{
    fmt,
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use super::{Source, SourceError};
use crate::cache::{
    backend::{BackendError, Corruption},
    format::CacheName,
};

/// Reads exactly the bytes of a range or fails; its errors hold a [`SourceError`].
///
/// When the connection breaks, it asks for what is missing, as often as the source's policy allows.
pub struct SourceReader<'a> {
    source: &'a Source,
    name: CacheName,
    /// What is missing.
    rest: Range<u64>,
    inner: Box<dyn Read + Send>,
    tried: u32,
}

impl<'a> SourceReader<'a> {
    pub(super) fn new(
        source: &'a Source,
        name: CacheName,
        rest: Range<u64>,
        inner: Box<dyn Read + Send>,
    ) -> Self {
        Self {
            source,
            name,
            rest,
            inner,
            tried: 0,
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        loop {
            let permit = self.source.begin();
            let error = match self.inner.read(buffer) {
                Ok(0) if !buffer.is_empty() && !self.rest.is_empty() => BackendError::Corrupt {
                    file: self.file(),
                    problem: Corruption::Length {
                        expected: self.rest.end,
                        found: self.rest.start,
                    },
                },
                Ok(count) => {
                    self.rest.start += count as u64;
                    self.source.count_read(count);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => BackendError::from_read(error, &self.file()),
            };
            let failed: Result<(), Arc<BackendError>> =
                self.source.settle(permit, Some(&self.name), Err(error));
            let Err(error) = failed else {
                return Ok(0);
            };
            self.tried += 1;
            if !self.source.wait(&error, self.tried) {
                return Err(SourceError::Backend(error));
            }
            self.inner = self.source.open_part(&self.name, self.rest.clone())?;
        }
    }

    fn file(&self) -> String {
        format!("{}/{}", self.source.url(), self.name)
    }
}

impl Read for SourceReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::other)
    }
}

impl fmt::Debug for SourceReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceReader")
            .field("name", &self.name)
            .field("rest", &self.rest)
            .finish_non_exhaustive()
    }
}
