//! What files were when they were read last, so that they need not be read again.
//!
//! Written as `version:32 (length:u32 path size:u64 inode:u64 times:4×i64 blob:32)* digest:32`, little-endian; the digest is
//! BLAKE3 of all before it. It is only a saving: what is torn, foreign or of another version knows nothing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process;

use store::BlobId;

use super::stat::Stat;

/// Changes with the format, and with what is recognised as a secret: what is known is not looked at again.
const VERSION: &[u8; 32] = b"pith 2026-11 files of sources v1";

/// Begin of the names of files that hold this, in a directory for temporary files: unused for long, they go.
pub(crate) const KNOWN_PREFIX: &str = "source-";

/// Digests of files that were no secrets when they were read, or allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFiles {
    files: HashMap<Box<[u8]>, (Stat, BlobId)>,
}

impl KnownFiles {
    /// Reads what [`Self::save`] wrote. Knows nothing if that is not there or not whole.
    pub fn load(file: &Path) -> Self {
        let bytes = fs::read(file).unwrap_or_default();
        Self::decode(&bytes).unwrap_or_default()
    }

    /// Writes it to `file`, whole or not at all. Who cannot write it reads files again, and so nothing is lost.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        let unfinished = file.with_extension(process::id().to_string());
        fs::write(&unfinished, self.encode()).and_then(|()| fs::rename(&unfinished, file))
    }

    pub(super) fn insert(&mut self, path: &Path, stat: Stat, blob: BlobId) {
        let path = path.as_os_str().as_bytes().into();
        self.files.insert(path, (stat, blob));
    }

    /// Returns what the file at `path` is, if it is the one that is known.
    pub(super) fn find(&self, path: &Path, stat: &Stat) -> Option<BlobId> {
        let (known, blob) = self.files.get(path.as_os_str().as_bytes())?;
        (known == stat).then_some(*blob)
    }

    fn encode(&self) -> Vec<u8> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_unstable_by_key(|(path, _)| *path);
        let mut bytes = VERSION.to_vec();
        for (path, (stat, blob)) in files {
            // Paths are shorter than 4 GiB, or the file system would not have taken them.
            let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(path);
            for number in stat.numbers {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            for time in stat.times {
                bytes.extend_from_slice(&time.to_le_bytes());
            }
            bytes.extend_from_slice(blob.as_bytes());
        }
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, digest) = bytes.split_last_chunk::<32>()?;
        let mut rest = body.strip_prefix(VERSION)?;
        if blake3::hash(body).as_bytes() != digest {
            return None;
        }
        let mut files = HashMap::new();
        while !rest.is_empty() {
            let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
            let (path, after) = rest.split_at_checked(length)?;
            rest = after;
            let stat = Stat {
                numbers: [
                    u64::from_le_bytes(take(&mut rest)?),
                    u64::from_le_bytes(take(&mut rest)?),
                ],
                times: [
                    i64::from_le_bytes(take(&mut rest)?),
                    i64::from_le_bytes(take(&mut rest)?),
                    i64::from_le_bytes(take(&mut rest)?),
                    i64::from_le_bytes(take(&mut rest)?),
                ],
            };
            let blob = BlobId::from_bytes(take(&mut rest)?);
            files.insert(path.into(), (stat, blob));
        }
        Some(Self { files })
    }
}

fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> KnownFiles {
        let mut known = KnownFiles::default();
        for (number, path) in [(1, "a"), (2, "b/ä")] {
            let stat = Stat {
                numbers: [number; 2],
                times: [-1, 2, 3, 4],
            };
            known.insert(Path::new(path), stat, BlobId::from_bytes([7; 32]));
        }
        known
    }

    #[test]
    fn what_is_known_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("source-0");
        known().save(&file).unwrap();
        assert_eq!(KnownFiles::load(&file), known());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_torn_or_changed_anywhere_knows_nothing() {
        let bytes = known().encode();
        for length in 0..bytes.len() {
            assert_eq!(KnownFiles::decode(&bytes[..length]), None, "{length}");
        }
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_eq!(KnownFiles::decode(&changed), None, "{place}");
        }
    }
}
