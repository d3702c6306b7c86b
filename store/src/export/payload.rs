//! The payload of a stream, cut into compressed parts.

use std::io::{ErrorKind, Read, Write};

use super::{ExportError, ImportError};
use crate::cache::format::{compress, compress_bound, decompress};

/// What a stream begins with: the mark and the version.
const MARK: &[u8; 6] = b"PTHEXP";
const VERSION: &[u8; 2] = b"01";
/// Bytes of the payload in each part but the last.
pub(super) const PART: usize = 1 << 20;

/// Writes a payload.
pub(super) struct PayloadWriter<'a> {
    output: &'a mut dyn Write,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> PayloadWriter<'a> {
    pub(super) fn begin(output: &'a mut dyn Write) -> Result<Self, ExportError> {
        let mut writer = Self {
            output,
            hasher: blake3::Hasher::new(),
            buffer: Vec::with_capacity(PART),
            written: 0,
        };
        writer.write_plain(&[&MARK[..], VERSION].concat())?;
        Ok(writer)
    }

    pub(super) fn put(&mut self, mut bytes: &[u8]) -> Result<(), ExportError> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == PART {
                self.flush_part()?;
            }
        }
        Ok(())
    }

    /// Writes the length of something, then it.
    pub(super) fn put_text(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let length = u32::try_from(bytes.len()).map_err(|_| ExportError::TooLarge {
            what: "a record or the trees of an object",
        })?;
        self.put(&length.to_le_bytes())?;
        self.put(bytes)
    }

    /// Writes the end, and returns how many bytes the stream has.
    pub(super) fn finish(mut self) -> Result<u64, ExportError> {
        if !self.buffer.is_empty() {
            self.flush_part()?;
        }
        self.write_plain(&0u32.to_le_bytes())?;
        let digest = *self.hasher.finalize().as_bytes();
        self.write_plain(&digest)?;
        self.output.flush().map_err(ExportError::Write)?;
        Ok(self.written)
    }

    fn flush_part(&mut self) -> Result<(), ExportError> {
        let frame = compress(&self.buffer).map_err(ExportError::Write)?;
        let length = u32::try_from(frame.len()).map_err(|_| ExportError::TooLarge {
            what: "a compressed part",
        })?;
        self.write_plain(&length.to_le_bytes())?;
        self.write_plain(&frame)?;
        self.buffer.clear();
        Ok(())
    }

    fn write_plain(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.output.write_all(bytes).map_err(ExportError::Write)
    }
}

/// Reads a payload.
pub(super) struct PayloadReader<'a> {
    input: &'a mut dyn Read,
    hasher: blake3::Hasher,
    part: Vec<u8>,
    at: usize,
    read: u64,
}

impl<'a> PayloadReader<'a> {
    pub(super) fn begin(input: &'a mut dyn Read) -> Result<Self, ImportError> {
        let mut reader = Self {
            input,
            hasher: blake3::Hasher::new(),
            part: Vec::new(),
            at: 0,
            read: 0,
        };
        let mut mark = [0; 8];
        let count = reader.fill(&mut mark)?;
        let (found, version) = mark.split_at(MARK.len());
        if count < mark.len() || found != MARK {
            return Err(ImportError::NotAStream);
        }
        if version != VERSION {
            return Err(ImportError::Version {
                found: String::from_utf8_lossy(version).into_owned(),
            });
        }
        Ok(reader)
    }

    /// Returns the next bytes of the payload, at least one and at most `limit`.
    pub(super) fn next(&mut self, limit: u64) -> Result<&[u8], ImportError> {
        if self.at == self.part.len() && !self.next_part()? {
            return Err(ImportError::Malformed {
                rule: "it holds all that it says",
            });
        }
        let left = self.part.len() - self.at;
        let count = usize::try_from(limit).map_or(left, |limit| limit.min(left));
        let bytes = self.part.get(self.at..self.at + count).unwrap_or_default();
        self.at += count;
        Ok(bytes)
    }

    /// Returns so many bytes; memory is taken as they come.
    pub(super) fn take(&mut self, count: u64) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < count {
            let left = count - bytes.len() as u64;
            bytes.extend_from_slice(self.next(left)?);
        }
        Ok(bytes)
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, mut count: u64) -> Result<(), ImportError> {
        while count > 0 {
            count -= self.next(count)?.len() as u64;
        }
        Ok(())
    }

    pub(super) fn take_number(&mut self) -> Result<u32, ImportError> {
        let bytes = self.take(4)?;
        Ok(bytes.try_into().map_or(0, u32::from_le_bytes))
    }

    /// Returns what stands behind its length, which is at most `limit`.
    pub(super) fn take_text(&mut self, limit: usize) -> Result<Vec<u8>, ImportError> {
        let length = self.take_number()?;
        if length as usize > limit {
            return Err(ImportError::Malformed {
                rule: "its records, realisations and trees are within their limits",
            });
        }
        self.take(u64::from(length))
    }

    /// Checks that the payload ends here, and that the stream is whole.
    pub(super) fn finish(mut self) -> Result<(), ImportError> {
        if self.at < self.part.len() || self.next_part()? {
            return Err(ImportError::Malformed {
                rule: "it holds no more than it says",
            });
        }
        let expected = self.hasher.finalize();
        let mut digest = [0; 32];
        self.fill_whole(&mut digest)?;
        if *expected.as_bytes() != digest {
            return Err(ImportError::Digest);
        }
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(ImportError::Trailing),
        }
    }

    /// Reads the next part. Tells whether there is one.
    fn next_part(&mut self) -> Result<bool, ImportError> {
        // All parts but the last are full, so that equal closures are equal streams.
        let is_last = !self.part.is_empty() && self.part.len() < PART;
        let mut length = [0; 4];
        self.fill_whole(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == 0 {
            return Ok(false);
        }
        if is_last || u64::from(length) > compress_bound(PART as u64) {
            return Err(ImportError::Malformed {
                rule: "each part holds 1 MiB, and the last one what is left",
            });
        }
        let mut frame = vec![0; length as usize];
        self.fill_whole(&mut frame)?;
        self.part = decompress(&frame, PART as u64).map_err(|source| ImportError::Frame {
            bytes: self.read,
            source,
        })?;
        self.at = 0;
        if self.part.is_empty() {
            return Err(ImportError::Malformed {
                rule: "each part holds 1 MiB, and the last one what is left",
            });
        }
        Ok(true)
    }

    fn fill_whole(&mut self, buffer: &mut [u8]) -> Result<(), ImportError> {
        if self.fill(buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(ImportError::Truncated { bytes: self.read })
        }
    }

    /// Reads until the buffer is full or the stream ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ImportError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ImportError::Read(error)),
            }
        }
        self.hasher.update(&buffer[..filled]);
        self.read += filled as u64;
        Ok(filled)
    }
}
