//! Fixed-width integers from bytes that nobody has checked.

use super::FormatError;

/// What is left of bytes that are being read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| self.malformed("it does not end within a value"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a number of items. What it promises is compared with the bytes that are there before memory is reserved for it.
    pub(super) fn count(&mut self, bytes_each: usize) -> Result<usize, FormatError> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > self.rest.len() / bytes_each {
            return Err(self.malformed("it does not end within a value"));
        }
        Ok(count)
    }

    pub(super) fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed("nothing follows its end"))
        }
    }

    pub(super) const fn malformed(&self, rule: &'static str) -> FormatError {
        FormatError::Malformed {
            what: self.what,
            rule,
        }
    }
}

/// Returns a length as the 32 bits that the format has for it.
pub(super) fn to_u32(what: &'static str, length: usize) -> Result<u32, FormatError> {
    u32::try_from(length).map_err(|_| FormatError::TooLarge {
        what,
        limit: u64::from(u32::MAX),
    })
}
