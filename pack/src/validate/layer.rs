//! One layer, entry by entry.

use std::io::{self, Read};

use super::contents::Contents;
use crate::{
    layer::{Compression, Dialect, Member, TarError, TarReader, Written},
    oci::{Digest, DigestWriter},
};

/// After so many problems a layer is bad enough.
const MAX_PROBLEMS: usize = 20;

/// What a layer turned out to be.
pub(super) struct FoundLayer {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
    pub(super) diff_id: Digest,
    pub(super) entries: u64,
    pub(super) problems: Vec<String>,
}

/// What is done with the entries of a layer.
pub(super) enum Inside<'a> {
    /// It is one of this crate's: they are held against the layer format and go there.
    Own(&'a mut Contents),
    /// Somebody else put it on layers of this crate: any tar will do, and nothing in it is of a package.
    Foreign(&'a mut Contents),
    /// Nothing: any tar will do.
    Unread,
}

/// Hashes what is read through it.
struct HashingReader<R> {
    inner: R,
    hasher: DigestWriter,
}

impl<R> HashingReader<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: DigestWriter::default(),
        }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Reads a whole layer.
///
/// Fails only where `blob` itself cannot be read; bytes that are no layer are a problem of the layer.
pub(super) fn read_layer(
    blob: impl Read,
    compression: Compression,
    inside: Inside<'_>,
) -> io::Result<FoundLayer> {
    let mut blob = HashingReader::new(blob);
    let mut problems = Vec::new();
    let mut tar = DigestWriter::default();
    let mut entries = 0;
    let result = {
        let decoded = compression.decode(&mut blob);
        decoded.map_err(TarError::Read).and_then(|decoded| {
            let mut decoded = HashingReader::new(decoded);
            let result = match inside {
                Inside::Own(contents) => {
                    read_entries(&mut decoded, contents, &mut problems, &mut entries)
                }
                Inside::Foreign(contents) => read_any(&mut decoded, &mut entries, &mut |member| {
                    contents.take_foreign(member);
                }),
                Inside::Unread => read_any(&mut decoded, &mut entries, &mut |_| ()),
            };
            tar = decoded.hasher;
            result
        })
    };
    if let Err(error) = result {
        let reason = std::error::Error::source(&error)
            .map_or_else(String::new, |source| format!(": {source}"));
        problems.push(format!("{error}{reason}"));
    }
    io::copy(&mut blob, &mut io::sink())?;
    Ok(FoundLayer {
        size_bytes: blob.hasher.size_bytes(),
        digest: blob.hasher.finish(),
        diff_id: tar.finish(),
        entries,
        problems,
    })
}

fn read_any(
    tar: &mut impl Read,
    entries: &mut u64,
    take: &mut dyn FnMut(&Member),
) -> Result<(), TarError> {
    let mut reader = TarReader::of(&mut *tar, Dialect::Any);
    while let Some(member) = reader.next_member()? {
        *entries += 1;
        take(&member);
    }
    // What follows the end belongs to the bytes of which the diff id is the digest, whatever it is.
    io::copy(tar, &mut io::sink()).map_err(TarError::Read)?;
    Ok(())
}

fn read_entries(
    tar: impl Read,
    contents: &mut Contents,
    problems: &mut Vec<String>,
    entries: &mut u64,
) -> Result<(), TarError> {
    let mut reader = TarReader::new(tar);
    let mut written = Written::new(contents.below);
    while let Some(member) = reader.next_member()? {
        *entries += 1;
        let wrong = written.take(&member);
        let found = if wrong.is_some() {
            None
        } else {
            contents
                .take(&member, &mut reader)
                .map_err(TarError::Read)?
        };
        if let Some(problem) = wrong.or(found)
            && problems.len() < MAX_PROBLEMS
        {
            let path = String::from_utf8_lossy(&member.path);
            problems.push(format!("entry `{path}` {problem}"));
        }
    }
    reader.finish()
}
