//! A reader that ends where it was said to, or fails.

use std::io::{self, Read};

use super::{BackendError, Corruption};

/// What has to follow the last byte that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The end of the stream.
    End,
    /// Anything.
    Anything,
}

/// Passes on exactly `left` bytes. All of its errors hold a [`BackendError`].
pub(super) struct Exact<R> {
    inner: R,
    expected: u64,
    left: u64,
    after: After,
    file: String,
}

impl<R: Read> Exact<R> {
    pub(super) const fn new(inner: R, expected: u64, after: After, file: String) -> Self {
        Self {
            inner,
            expected,
            left: expected,
            after,
            file,
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, BackendError> {
        loop {
            match self.inner.read(buffer) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BackendError::from_read(error, &self.file)),
            }
        }
    }

    fn corrupt(&self, problem: Corruption) -> BackendError {
        BackendError::Corrupt {
            file: self.file.clone(),
            problem,
        }
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, BackendError> {
        let limit = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = match buffer.get_mut(..limit) {
            Some(buffer) if !buffer.is_empty() => self.read_some(buffer)?,
            _ => return Ok(0),
        };
        if count == 0 {
            return Err(self.corrupt(Corruption::Length {
                expected: self.expected,
                found: self.expected - self.left,
            }));
        }
        self.left -= count as u64;
        // Looking behind the last byte also lets the connection be used again.
        if self.left == 0 && self.after == After::End && self.read_some(&mut [0])? > 0 {
            return Err(self.corrupt(Corruption::Overlong {
                expected: self.expected,
            }));
        }
        Ok(count)
    }
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], expected: u64, after: After) -> Result<Vec<u8>, String> {
        let mut found = Vec::new();
        match Exact::new(bytes, expected, after, "F".to_owned()).read_to_end(&mut found) {
            Ok(_) => Ok(found),
            Err(error) => Err(BackendError::from_read(error, "G").to_string()),
        }
    }

    #[test]
    fn neither_fewer_nor_more_bytes_pass() {
        assert_eq!(read(b"abc", 3, After::End), Ok(b"abc".to_vec()));
        assert_eq!(read(b"abc", 0, After::End), Ok(Vec::new()));
        assert_eq!(read(b"abc", 2, After::Anything), Ok(b"ab".to_vec()));
        assert_eq!(
            read(b"abc", 2, After::End),
            Err("the cache sent something else than `F`: it goes on after 2 bytes".to_owned())
        );
        assert_eq!(
            read(b"abc", 4, After::Anything),
            Err("the cache sent something else than `F`: it has 3 bytes and not 4".to_owned())
        );
    }
}
