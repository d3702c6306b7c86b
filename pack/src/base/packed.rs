//! A base's tree in one piece: as it is remembered, and as it is looked at. Its layers need not be unpacked again to know what is in them, and of what is remembered
//! only what is looked for is ever taken apart.
//!
//! ```text
//! file    = mark entries texts digest     digest: BLAKE3 of everything before it
//! entries = u32 count, then each: u8 kind, bytes path, and of its kind
//!             0 directory: u32 mode, u64 uid, u64 gid, u64 mtime
//!             1 link:      bytes target
//!             2 file       3 file that may be executed
//! texts   = u32 count, then each: bytes path, bytes contents
//! bytes   = u32 length, then as many                       all numbers little-endian
//! ```
//!
//! Paths are strictly ascending. What was cut off or changed is no tree.

use std::{borrow::Cow, collections::BTreeMap};

use super::BaseEntry;
use crate::{existing::Files, layer::Stamp};

/// Changes whenever a reader would understand something else.
const MARK: &[u8] = b"pith base tree v2\n";
/// What an entry takes at least.
const LEAST_ENTRY_BYTES: usize = 5;

/// Contents of files by their paths.
pub(super) type Texts = BTreeMap<Vec<u8>, Vec<u8>>;

/// The entries of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where each entry begins, in the order of their paths.
    entries: Vec<usize>,
    texts: Texts,
}

impl Packed {
    /// Packs a tree: the same bytes for the same tree. `None` for one with a path that is longer than its number can be.
    pub(super) fn new(entries: &Files<BaseEntry<'_>>, texts: &Texts) -> Option<Self> {
        let mut out = MARK.to_vec();
        put_length(&mut out, entries.len())?;
        for (path, entry) in entries {
            put_entry(&mut out, path, entry)?;
        }
        put_length(&mut out, texts.len())?;
        for (path, text) in texts {
            put_bytes(&mut out, path)?;
            put_bytes(&mut out, text)?;
        }
        let digest = blake3::hash(&out);
        out.extend_from_slice(digest.as_bytes());
        Self::parse(out)
    }

    /// Takes the bytes of a tree, unless they are anything else than what [`as_bytes`](Self::as_bytes) returns.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        let (body, digest) = bytes.split_last_chunk::<{ blake3::OUT_LEN }>()?;
        if blake3::hash(body) != *digest {
            return None;
        }
        let mut reader = Reader(body.strip_prefix(MARK)?);
        let count = usize::try_from(reader.u32()?).ok()?;
        let mut entries = Vec::with_capacity(count.min(body.len() / LEAST_ENTRY_BYTES));
        let mut last: Option<&[u8]> = None;
        for _ in 0..count {
            entries.push(body.len() - reader.0.len());
            let (path, _) = reader.entry()?;
            if last.replace(path).is_some_and(|last| last >= path) {
                return None;
            }
        }
        let mut texts = Texts::new();
        for _ in 0..reader.u32()? {
            let path = reader.bytes()?;
            if (texts.last_key_value()).is_some_and(|(last, _)| last.as_slice() >= path) {
                return None;
            }
            texts.insert(path.to_vec(), reader.bytes()?.to_vec());
        }
        reader.0.is_empty().then_some(Self {
            entries,
            texts,
            bytes,
        })
    }

    /// Returns all of it, to be remembered.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns what is at a path.
    pub(super) fn find(&self, path: &[u8]) -> Option<BaseEntry<'_>> {
        let entry = |begin: usize| Reader(self.bytes.get(begin..)?).entry();
        let path_at = |begin: &usize| entry(*begin).map(|(path, _)| path);
        let found = (self.entries).binary_search_by(|begin| path_at(begin).cmp(&Some(path)));
        entry(self.entries[found.ok()?]).map(|(_, entry)| entry)
    }

    /// Returns the contents that are kept of the file at a path.
    pub(super) fn text(&self, path: &[u8]) -> Option<&[u8]> {
        self.texts.get(path).map(Vec::as_slice)
    }
}

fn put_entry(out: &mut Vec<u8>, path: &[u8], entry: &BaseEntry<'_>) -> Option<()> {
    out.push(match entry {
        BaseEntry::Directory { .. } => 0,
        BaseEntry::Symlink { .. } => 1,
        BaseEntry::File { executable: false } => 2,
        BaseEntry::File { executable: true } => 3,
    });
    put_bytes(out, path)?;
    match entry {
        BaseEntry::Directory { mode, stamp } => {
            out.extend_from_slice(&mode.to_le_bytes());
            for number in [stamp.uid, stamp.gid, stamp.mtime] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        BaseEntry::Symlink { target } => put_bytes(out, target)?,
        BaseEntry::File { .. } => {}
    }
    Some(())
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

    fn entry(&mut self) -> Option<(&'a [u8], BaseEntry<'a>)> {
        let kind = self.take(1)?[0];
        let path = self.bytes()?;
        let entry = match kind {
            0 => BaseEntry::Directory {
                mode: self.u32()?,
                stamp: Stamp {
                    uid: self.u64()?,
                    gid: self.u64()?,
                    mtime: self.u64()?,
                },
            },
            1 => BaseEntry::Symlink {
                target: Cow::Borrowed(self.bytes()?),
            },
            2 | 3 => BaseEntry::File {
                executable: kind == 3,
            },
            _ => return None,
        };
        Some((path, entry))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Entries = Files<BaseEntry<'static>>;

    fn tree() -> (Entries, Texts) {
        let stamp = Stamp {
            uid: 1,
            gid: 2,
            mtime: u64::MAX,
        };
        let directory = |mode, stamp| BaseEntry::Directory { mode, stamp };
        let link = |target: &'static [u8]| BaseEntry::Symlink {
            target: target.into(),
        };
        let entries = [
            (&b"bin"[..], link(b"usr/bin")),
            (b"not \xff UTF-8", BaseEntry::File { executable: false }),
            (b"tmp", directory(0o1777, stamp)),
            (b"usr", directory(0o755, Stamp::OURS)),
            (b"usr/bin", directory(0o755, Stamp::OURS)),
            (b"usr/bin/dash", BaseEntry::File { executable: true }),
            (b"usr/bin/sh", link(b"dash")),
        ];
        let entries = entries.into_iter().map(|(path, one)| (path.to_vec(), one));
        let texts = [(b"etc/passwd".to_vec(), b"root".to_vec())];
        (entries.collect(), texts.into())
    }

    #[test]
    fn the_bytes_of_this_version_stay() {
        let (entries, texts) = tree();
        let packed = Packed::new(&entries, &texts).unwrap();
        let golden = "93e648a53947f6d280a2264465468fac68c559d37b9b64ab9309cf5bb55013cd";
        let digest = crate::oci::Digest::of(packed.as_bytes());
        assert_eq!(digest.to_hex(), golden);
    }

    fn entry() -> impl Strategy<Value = BaseEntry<'static>> {
        prop_oneof![
            (any::<u32>(), any::<[u64; 3]>()).prop_map(|(mode, [uid, gid, mtime])| {
                let stamp = Stamp { uid, gid, mtime };
                BaseEntry::Directory { mode, stamp }
            }),
            any::<Vec<u8>>().prop_map(|target| BaseEntry::Symlink {
                target: target.into()
            }),
            any::<bool>().prop_map(|executable| BaseEntry::File { executable }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_was_packed(
            entries in proptest::collection::btree_map(any::<Vec<u8>>(), entry(), 0..40),
            texts in proptest::collection::btree_map(any::<Vec<u8>>(), any::<Vec<u8>>(), 0..4),
            others in proptest::collection::vec(any::<Vec<u8>>(), 0..20),
        ) {
            let packed = Packed::new(&entries, &texts).unwrap();
            for path in entries.keys().chain(texts.keys()).chain(&others) {
                prop_assert_eq!(packed.find(path), entries.get(path).cloned());
                prop_assert_eq!(packed.text(path), texts.get(path).map(Vec::as_slice));
            }
            let again = Packed::parse(packed.as_bytes().to_vec());
            prop_assert_eq!(again, Some(packed));
        }
    }

    #[test]
    fn what_is_cut_off_or_changed_or_longer_is_no_tree() {
        let (entries, texts) = tree();
        let bytes = Packed::new(&entries, &texts).unwrap().bytes;
        for length in 0..bytes.len() {
            assert_eq!(Packed::parse(bytes[..length].to_vec()), None, "{length}");
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert_eq!(Packed::parse(bad), None, "{at}");
        }
        assert_eq!(Packed::parse([&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn a_right_digest_makes_no_tree_of_what_is_none() {
        let seal = |body: &[u8]| [body, blake3::hash(body).as_bytes()].concat();
        let file = |path: &[u8]| {
            let mut entry = vec![2];
            put_bytes(&mut entry, path).unwrap();
            entry
        };
        let text = |path: &[u8]| [file(path)[1..].to_vec(), vec![0; 4]].concat();
        let (one, two, none) = (1_u32.to_le_bytes(), 2_u32.to_le_bytes(), [0; 4]);
        let huge = u32::MAX.to_le_bytes();
        for body in [
            b"".to_vec(),
            b"pith base tree v1\n\0\0\0\0\0\0\0\0".to_vec(),
            [MARK, &huge, &none].concat(),
            [MARK, &one, &[9, 0, 0, 0, 0], &none].concat(),
            [MARK, &one, &[2], &huge, &none].concat(),
            [MARK, &two, &file(b"b"), &file(b"a"), &none].concat(),
            [MARK, &two, &file(b"a"), &file(b"a"), &none].concat(),
            [MARK, &none, &two, &text(b"b"), &text(b"a")].concat(),
            [MARK, &none, &none, b"x"].concat(),
        ] {
            assert_eq!(Packed::parse(seal(&body)), None, "{body:?}");
        }
        let right = [MARK, &two, &file(b"a"), &file(b"b"), &one, &text(b"a")].concat();
        assert!(Packed::parse(seal(&right)).is_some());
    }
}
