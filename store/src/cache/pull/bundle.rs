//! The records and manifests of a closure, out of its bundle in one cache.

use std::{collections::BTreeMap, io::Read, ops::Range};

use super::CacheError;
use crate::{
    PathDigest,
    cache::{
        format::{CacheName, ClosureIndex, FormatError, ObjectRecord, Prefix},
        source::{Source, SourceReader},
    },
};

/// Bytes before the lengths of the manifests: they say how long everything is.
const HEADER: u64 = 24;
/// Bytes of manifests that nobody wants, but which are read and not skipped: asking again would take longer.
const GAP: u64 = 64 << 10;

/// A bundle of which the beginning was read. What follows is on its way already.
pub(super) struct Bundle<'a> {
    source: &'a Source,
    name: CacheName,
    index: ClosureIndex,
    /// Where the manifests begin.
    head: u64,
    rest: Option<SourceReader<'a>>,
}

impl<'a> Bundle<'a> {
    /// Reads the records of the bundle that is named for `root`: two requests, the second of which may also give the manifests.
    pub(super) fn open(source: &'a Source, root: &PathDigest) -> Result<Self, CacheError> {
        let name = CacheName::Closure(*root);
        let damaged = |error: FormatError| {
            source.quarantine(&name);
            CacheError::damaged(&name, error)
        };
        let mut prefix = read_part(source, &name, 0..HEADER)?;
        let mut needed = match ClosureIndex::parse(&prefix, root).map_err(damaged)? {
            Prefix::Short { needed } => needed,
            Prefix::Whole(_) => HEADER,
        };
        let length = prefix
            .get(16..24)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_le_bytes);
        if length < needed || length > name.max_bytes() {
            return Err(damaged(FormatError::Malformed {
                what: "closure bundle",
                rule: "its sections add up to its length",
            }));
        }
        let mut rest = source
            .open_range(&name, HEADER..length)
            .map_err(|error| CacheError::of(&name, error))?;
        let index = loop {
            let count = needed.saturating_sub(prefix.len() as u64);
            (&mut rest)
                .take(count)
                .read_to_end(&mut prefix)
                .map_err(|error| CacheError::of_read(&name, error))?;
            match ClosureIndex::parse(&prefix, root).map_err(damaged)? {
                Prefix::Whole(index) => break index,
                Prefix::Short { needed: more } if more > needed => needed = more,
                Prefix::Short { .. } => {
                    return Err(damaged(FormatError::Malformed {
                        what: "closure bundle",
                        rule: "it is as long as it says",
                    }));
                }
            }
        };
        Ok(Self {
            source,
            name,
            index,
            head: prefix.len() as u64,
            rest: Some(rest),
        })
    }

    /// Returns the records, references first.
    pub(super) fn records(&self) -> &[ObjectRecord] {
        self.index.records()
    }

    /// Reads the manifests of the objects that are wanted, as they are.
    pub(super) fn read_manifests(
        &mut self,
        is_wanted: impl Fn(&PathDigest) -> bool,
    ) -> Result<BTreeMap<PathDigest, Vec<u8>>, CacheError> {
        let digests = self
            .index
            .records()
            .iter()
            .map(|one| *one.info().path.digest());
        let wanted: Vec<(PathDigest, Range<u64>)> = digests
            .zip(self.index.manifests().iter().cloned())
            .filter(|(digest, _)| is_wanted(digest))
            .collect();
        let bytes: u64 = wanted
            .iter()
            .map(|(_, range)| range.end - range.start)
            .sum();
        let all = self.index.length() - self.head;
        let mut found = BTreeMap::new();
        match self.rest.take() {
            // What is not wanted comes along faster than a request would take.
            Some(mut rest) if bytes > 0 && (all <= GAP * 4 || bytes >= all / 2) => {
                let mut at = self.head;
                for (digest, range) in wanted {
                    found.insert(digest, self.read_next(&mut rest, &mut at, range)?);
                }
            }
            _ => {
                for run in join(&wanted) {
                    let span = run.first().map_or(0, |first| first.1.start)
                        ..run.last().map_or(0, |last| last.1.end);
                    let mut at = span.start;
                    let mut reader = self
                        .source
                        .open_range(&self.name, span)
                        .map_err(|error| CacheError::of(&self.name, error))?;
                    for (digest, range) in run {
                        let manifest = self.read_next(&mut reader, &mut at, range.clone())?;
                        found.insert(*digest, manifest);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Reads a range from a reader that is at `at`, before it.
    fn read_next(
        &self,
        reader: &mut impl Read,
        at: &mut u64,
        range: Range<u64>,
    ) -> Result<Vec<u8>, CacheError> {
        let failed = |error| CacheError::of_read(&self.name, error);
        skip(reader, range.start - *at).map_err(failed)?;
        *at = range.end;
        read_exactly(reader, range.end - range.start).map_err(failed)
    }
}

/// Groups neighbours.
fn join(wanted: &[(PathDigest, Range<u64>)]) -> impl Iterator<Item = &[(PathDigest, Range<u64>)]> {
    wanted.chunk_by(|one, next| next.1.start - one.1.end <= GAP)
}

fn read_part(source: &Source, name: &CacheName, range: Range<u64>) -> Result<Vec<u8>, CacheError> {
    let length = range.end - range.start;
    let mut reader = source
        .open_range(name, range)
        .map_err(|error| CacheError::of(name, error))?;
    read_exactly(&mut reader, length).map_err(|error| CacheError::of_read(name, error))
}

/// Reads so many bytes; memory is taken as they come.
pub(super) fn read_exactly(reader: &mut impl Read, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// Puts so many bytes in the place of what a buffer holds. Memory is taken for all of them before they come.
pub(super) fn read_into(
    reader: &mut impl Read,
    length: usize,
    bytes: &mut Vec<u8>,
) -> std::io::Result<()> {
    bytes.resize(length, 0);
    reader.read_exact(bytes)
}

/// Reads past so many bytes.
pub(super) fn skip(reader: &mut impl Read, count: u64) -> std::io::Result<()> {
    let skipped = std::io::copy(&mut reader.take(count), &mut std::io::sink())?;
    if skipped == count {
        Ok(())
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}
