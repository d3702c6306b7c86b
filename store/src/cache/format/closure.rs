//! `c/…`: the records and manifests of a whole closure, of which a prefix tells what of the rest is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    FormatError, MAX_MANIFEST, MAX_OBJECTS, MAX_RECORD, MAX_RECORDS, ObjectRecord, bytes::Reader,
    bytes::to_u32, compress, decompress, zstd_frame::FrameError,
};
use crate::id::{ObjectId, PathDigest};

const WHAT: &str = "closure bundle";
const MAGIC: &[u8; 8] = b"PTHCLO01";
/// Bytes before the lengths of the manifests.
const FIXED: usize = 8 + 4 + 4 + 8;
/// Bytes of a whole bundle at most. Readers that want less of it ask for ranges.
pub(super) const MAX_CLOSURE: u64 = 1 << 32;

/// What the beginning of a file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix<T> {
    /// All that was asked for.
    Whole(T),
    /// Nothing yet: the file must be read up to here, in bytes from its start. Always more than was given, and bounded.
    Short {
        /// How many bytes to come back with.
        needed: u64,
    },
}

/// The records of a closure bundle, and where its manifests lie.
///
/// Invariant: references come before what refers to them, each is there with the id that the reference names, and each object is needed by the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureIndex {
    records: Vec<ObjectRecord>,
    manifests: Vec<Range<u64>>,
    length: u64,
}

impl ClosureIndex {
    /// Parses the header and the records of the bundle that is named for `root`, from any prefix of the file.
    ///
    /// The first 64 KiB suffice for closures of about two hundred objects. Memory is bounded by
    /// [`MAX_RECORDS`] and four bytes for each of [`MAX_OBJECTS`] objects.
    pub fn parse(prefix: &[u8], root: &PathDigest) -> Result<Prefix<Self>, FormatError> {
        let Some(fixed) = prefix.get(..FIXED) else {
            let is_start = MAGIC.starts_with(&prefix[..prefix.len().min(MAGIC.len())]);
            return if is_start || prefix.starts_with(MAGIC) {
                Ok(Prefix::Short {
                    needed: FIXED as u64,
                })
            } else {
                Err(malformed("it begins with `PTHCLO01`"))
            };
        };
        let header = Header::parse(fixed)?;
        let Some(sections) = prefix.get(FIXED..header.records.end) else {
            return Ok(Prefix::Short {
                needed: header.records.end as u64,
            });
        };
        let (lengths, records) = sections.split_at(header.records.start - FIXED);
        let manifests = header.manifest_ranges(lengths)?;
        let records = parse_records(records, header.objects)?;
        check_closure(&records, root)?;
        Ok(Prefix::Whole(Self {
            records,
            manifests,
            length: header.length,
        }))
    }

    /// Returns the records, references first, the bundle's own object last.
    #[must_use]
    pub fn records(&self) -> &[ObjectRecord] {
        &self.records
    }

    /// Returns the records, references first, the bundle's own object last.
    #[must_use]
    pub fn into_records(self) -> Vec<ObjectRecord> {
        self.records
    }

    /// Returns where the manifests lie in the file, in the order of the records; each follows the one before.
    #[must_use]
    pub fn manifests(&self) -> &[Range<u64>] {
        &self.manifests
    }

    /// Returns the ranges of the file that have the manifests of the wanted objects: ascending, those that touch as one.
    pub fn manifest_ranges(
        &self,
        mut is_wanted: impl FnMut(&ObjectRecord) -> bool,
    ) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (record, manifest) in self.records.iter().zip(&self.manifests) {
            if !is_wanted(record) {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == manifest.start => last.end = manifest.end,
                _ => ranges.push(manifest.clone()),
            }
        }
        ranges
    }

    /// Returns how many bytes the whole file has.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }
}

/// The fixed part of the header, with the place of the records that follows from it.
struct Header {
    objects: usize,
    records: Range<usize>,
    length: u64,
}

impl Header {
    fn parse(fixed: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(WHAT, fixed);
        if reader.array::<8>()? != *MAGIC {
            return Err(malformed("it begins with `PTHCLO01`"));
        }
        let objects = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let records = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
        let length = reader.u64()?;
        reader.finish()?;
        if objects == 0 || objects > MAX_OBJECTS {
            return Err(malformed("it has 1 to 65536 objects"));
        }
        if records > MAX_RECORDS || length > MAX_CLOSURE {
            return Err(FormatError::TooLarge {
                what: WHAT,
                limit: if records > MAX_RECORDS {
                    MAX_RECORDS as u64
                } else {
                    MAX_CLOSURE
                },
            });
        }
        let start = FIXED + objects * 4;
        Ok(Self {
            objects,
            records: start..start + records,
            length,
        })
    }

    fn manifest_ranges(&self, lengths: &[u8]) -> Result<Vec<Range<u64>>, FormatError> {
        let mut reader = Reader::new(WHAT, lengths);
        let mut start = self.records.end as u64;
        let mut ranges = Vec::with_capacity(self.objects);
        for _ in 0..self.objects {
            let length = reader.u32()?;
            if length == 0 || u64::from(length) > MAX_MANIFEST as u64 {
                return Err(malformed("each manifest has 1 byte to 1 GiB"));
            }
            let end = start + u64::from(length);
            ranges.push(start..end);
            start = end;
        }
        if start != self.length {
            return Err(malformed("its sections add up to its length"));
        }
        Ok(ranges)
    }
}

fn parse_records(section: &[u8], objects: usize) -> Result<Vec<ObjectRecord>, FormatError> {
    let lines = decompress(section, MAX_RECORDS as u64)
        .map_err(|source| FormatError::Frame { what: WHAT, source })?;
    let mut rest = &lines[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest)
            .ok_or_else(|| malformed("each of its records is a line that ends"))?;
        let (line, after) = rest.split_at(end + 1);
        if records.len() == objects {
            return Err(malformed("it has a record for each object"));
        }
        records.push(ObjectRecord::decode(line)?);
        rest = after;
    }
    if records.len() != objects {
        return Err(malformed("it has a record for each object"));
    }
    Ok(records)
}

/// Checks that records are exactly one closure, in order. Linear in objects and references.
fn check_closure(records: &[ObjectRecord], root: &PathDigest) -> Result<(), FormatError> {
    let mut places: BTreeMap<&PathDigest, (usize, &ObjectId)> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        let info = record.info();
        for reference in &info.references {
            match places.get(reference.path.digest()) {
                Some((place, id))
                    if **id == reference.id && records[*place].info().path == reference.path => {}
                _ => return Err(malformed("references come before what refers to them")),
            }
        }
        if places
            .insert(info.path.digest(), (place, &info.id))
            .is_some()
        {
            return Err(malformed("it has each object once"));
        }
    }
    let last = records.last().map(|record| *record.info().path.digest());
    if last != Some(*root) {
        return Err(FormatError::Other {
            what: WHAT,
            expected: root.to_string(),
            found: last.map(|last| last.to_string()).unwrap_or_default(),
        });
    }
    let mut needed = BTreeSet::from([root]);
    for record in records.iter().rev() {
        if !needed.contains(record.info().path.digest()) {
            return Err(malformed("its last object needs all others"));
        }
        needed.extend(record.info().references.iter().map(|one| one.path.digest()));
    }
    Ok(())
}

/// Returns what comes before the manifests in the bundle of a closure, the object it is named for last and references first.
///
/// The manifests of those lengths, in that order, each as it is at `t/…`, complete the file.
pub fn encode_closure_head(
    records: &[ObjectRecord],
    manifest_lengths: &[u32],
) -> Result<Vec<u8>, FormatError> {
    if records.is_empty() || records.len() > MAX_OBJECTS {
        return Err(malformed("it has 1 to 65536 objects"));
    }
    if records.len() != manifest_lengths.len() || manifest_lengths.contains(&0) {
        return Err(malformed("each manifest has 1 byte to 1 GiB"));
    }
    if let Some(last) = records.last() {
        check_closure(records, last.info().path.digest())?;
    }
    let mut lines = Vec::new();
    for record in records {
        let line = record.encode()?;
        if line.len() > MAX_RECORD || lines.len() + line.len() > MAX_RECORDS {
            return Err(FormatError::TooLarge {
                what: WHAT,
                limit: MAX_RECORDS as u64,
            });
        }
        lines.extend_from_slice(&line);
    }
    let section = compress(&lines).map_err(|error| FormatError::Frame {
        what: WHAT,
        source: FrameError::Damaged(error),
    })?;
    let manifests: u64 = manifest_lengths
        .iter()
        .map(|length| u64::from(*length))
        .sum();
    let head = FIXED + records.len() * 4 + section.len();
    let length = head as u64 + manifests;
    if length > MAX_CLOSURE {
        return Err(FormatError::TooLarge {
            what: WHAT,
            limit: MAX_CLOSURE,
        });
    }
    let mut bytes = Vec::with_capacity(head);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&to_u32(WHAT, records.len())?.to_le_bytes());
    bytes.extend_from_slice(&to_u32(WHAT, section.len())?.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    for length in manifest_lengths {
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend_from_slice(&section);
    Ok(bytes)
}

/// Returns the whole bundle of a closure: records with the bytes of their manifests, references first.
pub fn encode_closure(objects: &[(ObjectRecord, Vec<u8>)]) -> Result<Vec<u8>, FormatError> {
    let records: Vec<_> = objects.iter().map(|(record, _)| record.clone()).collect();
    let lengths = objects
        .iter()
        .map(|(_, manifest)| to_u32(WHAT, manifest.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut bytes = encode_closure_head(&records, &lengths)?;
    for (_, manifest) in objects {
        bytes.extend_from_slice(manifest);
    }
    Ok(bytes)
}

const fn malformed(rule: &'static str) -> FormatError {
    FormatError::Malformed { what: WHAT, rule }
}

#[cfg(test)]
#[path = "closure_tests.rs"]
mod tests;
