//! A base's tree as bytes, so that its layers need not be unpacked again to know what is in them.
//!
//! ```text
//! file    = mark entries texts sha256     sha256 of everything before it
//! entries = u32 count, then each: u8 kind, bytes path, and of its kind
//!             0 directory: u32 mode, u64 uid, u64 gid, u64 mtime
//!             1 link:      bytes target
//!             2 file       3 file that may be executed
//! texts   = u32 count, then each: bytes path, bytes contents
//! bytes   = u32 length, then as many                       all numbers little-endian
//! ```
//!
//! Paths are strictly ascending. What was cut off or changed is no tree.

use sha2::{Digest as _, Sha256};

use super::{BaseEntry, BaseTree};
use crate::layer::Stamp;

/// Changes whenever a reader would understand something else.
const MARK: &[u8] = b"pith base tree v1\n";
const DIGEST_BYTES: usize = 32;

/// Returns the bytes of a tree: the same for the same tree. `None` for one that is too large to be kept.
pub(super) fn encode(tree: &BaseTree) -> Option<Vec<u8>> {
    let mut out = MARK.to_vec();
    put_length(&mut out, tree.entries.len())?;
    for (path, entry) in &tree.entries {
        out.push(match entry {
            BaseEntry::Directory { .. } => 0,
            BaseEntry::Symlink { .. } => 1,
            BaseEntry::File { executable: false } => 2,
            BaseEntry::File { executable: true } => 3,
        });
        put_bytes(&mut out, path)?;
        match entry {
            BaseEntry::Directory { mode, stamp } => {
                out.extend_from_slice(&mode.to_le_bytes());
                for number in [stamp.uid, stamp.gid, stamp.mtime] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            BaseEntry::Symlink { target } => put_bytes(&mut out, target)?,
            BaseEntry::File { .. } => {}
        }
    }
    put_length(&mut out, tree.texts.len())?;
    for (path, text) in &tree.texts {
        put_bytes(&mut out, path)?;
        put_bytes(&mut out, text)?;
    }
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    Some(out)
}

/// Returns the tree of these bytes, unless they are anything else than what [`encode`] writes.
pub(super) fn decode(bytes: &[u8]) -> Option<BaseTree> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
    if Sha256::digest(body).as_slice() != digest {
        return None;
    }
    let mut reader = Reader(body.strip_prefix(MARK)?);
    let mut entries = Vec::new();
    for _ in 0..reader.u32()? {
        let kind = reader.take(1)?[0];
        let path = reader.bytes()?.to_vec();
        let entry = match kind {
            0 => BaseEntry::Directory {
                mode: reader.u32()?,
                stamp: Stamp {
                    uid: reader.u64()?,
                    gid: reader.u64()?,
                    mtime: reader.u64()?,
                },
            },
            1 => BaseEntry::Symlink {
                target: reader.bytes()?.to_vec(),
            },
            2 | 3 => BaseEntry::File {
                executable: kind == 3,
            },
            _ => return None,
        };
        entries.push((path, entry));
    }
    let mut texts = Vec::new();
    for _ in 0..reader.u32()? {
        texts.push((reader.bytes()?.to_vec(), reader.bytes()?.to_vec()));
    }
    let is_sorted = entries.is_sorted_by(|a, b| a.0 < b.0) && texts.is_sorted_by(|a, b| a.0 < b.0);
    (is_sorted && reader.0.is_empty()).then(|| BaseTree {
        // Of what is sorted, a map is made in one pass.
        entries: entries.into_iter().collect(),
        texts: texts.into_iter().collect(),
    })
}

fn put_length(out: &mut Vec<u8>, length: usize) -> Option<()> {
    out.extend_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    Some(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    put_length(out, bytes.len())?;
    out.extend_from_slice(bytes);
    Some(())
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> BaseTree {
        let mut tree = BaseTree::of(&["bin -> usr/bin", "usr/bin/sh -> dash", "usr/bin/dash"]);
        let stamp = Stamp {
            uid: 1,
            gid: 2,
            mtime: u64::MAX,
        };
        let own = BaseEntry::Directory {
            mode: 0o1777,
            stamp,
        };
        tree.entries.insert(b"tmp".to_vec(), own);
        let plain = BaseEntry::File { executable: false };
        tree.entries.insert(b"not \xff UTF-8".to_vec(), plain);
        tree.texts.insert(b"etc/passwd".to_vec(), b"root".to_vec());
        tree
    }

    #[test]
    fn a_tree_is_what_was_written() {
        for tree in [tree(), BaseTree::default()] {
            let bytes = encode(&tree).unwrap();
            assert_eq!(decode(&bytes), Some(tree));
        }
    }

    #[test]
    fn the_bytes_of_this_version_stay() {
        let golden = "1c4c859ec96e37bf102683979a3a677a114982104dc4d95a630932df2c223564";
        let digest = crate::oci::Digest::of(&encode(&tree()).unwrap());
        assert_eq!(digest.to_hex(), golden);
    }

    #[test]
    fn what_is_cut_off_or_changed_or_longer_is_no_tree() {
        let bytes = encode(&tree()).unwrap();
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad), None, "{at}");
        }
        assert_eq!(decode(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn a_right_digest_makes_no_tree_of_what_is_none() {
        let seal = |body: &[u8]| [body, Sha256::digest(body).as_slice()].concat();
        let file = |path: &[u8]| {
            let mut entry = vec![2];
            put_bytes(&mut entry, path).unwrap();
            entry
        };
        let (one, two, none) = (1_u32.to_le_bytes(), 2_u32.to_le_bytes(), [0; 4]);
        let huge = u32::MAX.to_le_bytes();
        for body in [
            b"".to_vec(),
            b"pith base tree v2\n\0\0\0\0\0\0\0\0".to_vec(),
            [MARK, &huge, &none].concat(),
            [MARK, &one, &[9, 0, 0, 0, 0], &none].concat(),
            [MARK, &one, &[2], &huge, &none].concat(),
            [MARK, &two, &file(b"b"), &file(b"a"), &none].concat(),
            [MARK, &two, &file(b"a"), &file(b"a"), &none].concat(),
            [MARK, &none, &none, b"x"].concat(),
        ] {
            assert_eq!(decode(&seal(&body)), None, "{body:?}");
        }
        let right = [MARK, &two, &file(b"a"), &file(b"b"), &none].concat();
        assert!(decode(&seal(&right)).is_some());
    }
}
