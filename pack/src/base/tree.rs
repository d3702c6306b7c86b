//! What a base has where.

use std::{borrow::Cow, collections::BTreeMap};

use super::packed::{Packed, Texts};
use crate::{
    existing::{Entry, ExistingError, ExistingImage, Files, clean, join, put_on, split},
    layer::{Member, Memo, Stamp},
    oci::{Digest, to_canonical_json},
    rootfs::{ETC_FILES, GROUP_FILE, PASSWD_FILE, is_bill},
};

/// How many links Linux follows on one way (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// A longer list of accounts is not read.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// What a directory is that no layer has an entry for, although there is something in it.
const IMPLIED: BaseEntry<'_> = BaseEntry::Directory {
    mode: 0o755,
    stamp: Stamp::OURS,
};

/// What is at a path of a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BaseEntry<'a> {
    Directory {
        mode: u32,
        stamp: Stamp,
    },
    Symlink {
        target: Cow<'a, [u8]>,
    },
    /// A file, or anything else that has no names in it.
    File {
        executable: bool,
    },
}

/// All paths of a base, its layers put together; relative, without slashes at their ends.
#[derive(Debug)]
pub(crate) struct BaseTree {
    /// With the lists of accounts that are plain files.
    packed: Packed,
}

/// One entry of a layer, before it is known what lower layers have.
struct Found {
    entry: BaseEntry<'static>,
    text: Option<Vec<u8>>,
}

impl BaseTree {
    /// Reads the entries of layers, the lowest first.
    pub(crate) fn read(image: &ExistingImage<'_>, layers: &[Entry]) -> Result<Self, ExistingError> {
        let mut files = Files::new();
        for layer in layers {
            let found = read_layer(image, layer)?;
            put_on(&mut files, found, |found: &Found| {
                matches!(found.entry, BaseEntry::Directory { .. })
            });
        }
        let mut texts = Texts::new();
        let mut entries = Files::new();
        for (path, found) in files {
            if let Some(text) = found.text {
                texts.insert(path.clone(), text);
            }
            entries.insert(path, found.entry);
        }
        add_implied(&mut entries);
        match Packed::new(&entries, &texts) {
            Some(packed) => Ok(Self { packed }),
            None => Err(ExistingError::TooLarge {
                image: image.name().to_owned(),
                problem: "it has too many files",
            }),
        }
    }

    /// As [`read`](Self::read), unless `memo` knows what was found in the same layers before.
    pub(crate) fn recall(
        image: &ExistingImage<'_>,
        layers: &[Entry],
        memo: &Memo,
    ) -> Result<Self, ExistingError> {
        let record = record_name(layers);
        if let Some(packed) = memo.read_bytes(&record).and_then(Packed::parse) {
            return Ok(Self { packed });
        }
        let tree = Self::read(image, layers)?;
        memo.write_bytes(&record, tree.packed.as_bytes());
        Ok(tree)
    }

    /// Returns what is at a path, as it stands there.
    pub(crate) fn get(&self, path: &[u8]) -> Option<BaseEntry<'_>> {
        self.packed.find(path)
    }

    /// Returns the contents of a list of accounts, where it is a plain file.
    pub(crate) fn text(&self, path: &[u8]) -> Option<&[u8]> {
        self.packed.text(path)
    }

    /// Returns where a path leads once the links above its last name are followed; `None` where that is below something that is no directory.
    pub(crate) fn place(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.walk(path, false)
    }

    /// Returns which of the files that an image has by itself lies at `place`, with the links of this base above its name.
    pub(crate) fn generated_at<'p>(&self, place: &'p [u8]) -> Option<&'p [u8]> {
        if is_bill(place) {
            return Some(place);
        }
        let mut files = ETC_FILES.into_iter();
        files.find(|file| self.place(file).as_deref() == Some(place))
    }

    /// Puts paths of files to where they lie on this base. One that lies nowhere keeps its path.
    pub(crate) fn placed<T>(&self, files: BTreeMap<Vec<u8>, T>) -> BTreeMap<Vec<u8>, T> {
        let files = files.into_iter();
        files
            .map(|(path, file)| (self.place(&path).unwrap_or(path), file))
            .collect()
    }

    /// Returns where a path leads once all links are followed, the last one too.
    pub(crate) fn resolve(&self, path: &[u8]) -> Option<Vec<u8>> {
        self.walk(path, true)
    }

    fn walk(&self, path: &[u8], last_is_followed: bool) -> Option<Vec<u8>> {
        let names = |path: &[u8]| -> Vec<Vec<u8>> {
            let names = path.split(|byte| *byte == b'/').rev();
            let names = names.filter(|name| !name.is_empty() && *name != b".");
            names.map(<[u8]>::to_vec).collect()
        };
        let mut rest = names(path);
        let mut at = Vec::new();
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == b".." {
                at = split(&at).0.to_vec();
                continue;
            }
            let next = join(&at, &name);
            let is_last = rest.is_empty();
            match self.get(&next) {
                Some(BaseEntry::Symlink { target }) if !is_last || last_is_followed => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    rest.extend(names(&target));
                }
                Some(BaseEntry::File { .. }) if !is_last => return None,
                _ => at = next,
            }
        }
        Some(at)
    }
}

/// Adds the directories that something is in and that no layer has an entry for.
fn add_implied(entries: &mut Files<BaseEntry<'_>>) {
    let mut implied = Vec::new();
    for path in entries.keys() {
        let mut directory = split(path).0;
        while !directory.is_empty() && !entries.contains_key(directory) {
            implied.push(directory.to_vec());
            directory = split(directory).0;
        }
    }
    entries.extend(implied.into_iter().map(|path| (path, IMPLIED)));
}

/// What is in layers follows from their digests, and from how they are read.
fn record_name(layers: &[Entry]) -> String {
    let layers = layers.iter();
    let layers: Vec<_> = layers.map(|one| (&one.media_type, one.digest)).collect();
    format!("{}.tree", Digest::of(&to_canonical_json(&layers)).to_hex())
}

fn read_layer(
    image: &ExistingImage<'_>,
    layer: &Entry,
) -> Result<Vec<(Vec<u8>, Found)>, ExistingError> {
    let mut reader = image.open_layer(layer)?;
    let mut found = Vec::new();
    while let Some(member) = reader.next_member()? {
        let path = clean(&member.path);
        if path.is_empty() {
            continue;
        }
        let is_text = [PASSWD_FILE, GROUP_FILE]
            .iter()
            .any(|one| one.as_bytes() == path)
            && member.flag == b'0'
            && member.size_bytes <= MAX_TEXT_BYTES;
        let text = if is_text {
            Some(reader.read_contents(MAX_TEXT_BYTES)?)
        } else {
            None
        };
        let entry = entry(member);
        found.push((path, Found { entry, text }));
    }
    Ok(found)
}

fn entry(member: Member) -> BaseEntry<'static> {
    // Twelve bits, so nothing is lost.
    let mode = u32::try_from(member.mode & 0o7777).unwrap_or_default();
    match member.flag {
        b'5' => BaseEntry::Directory {
            mode,
            stamp: Stamp {
                uid: member.uid,
                gid: member.gid,
                mtime: member.mtime,
            },
        },
        b'2' => BaseEntry::Symlink {
            target: member.target.into(),
        },
        _ => BaseEntry::File {
            executable: mode & 0o111 != 0,
        },
    }
}

#[cfg(test)]
impl BaseTree {
    /// A tree with these two lists.
    pub(crate) fn with_accounts(passwd: &str, group: &str) -> Self {
        let lists = [(PASSWD_FILE, passwd), (GROUP_FILE, group)];
        let mut entries = Files::new();
        let mut texts = Texts::new();
        for (path, text) in lists {
            let path = path.as_bytes().to_vec();
            entries.insert(path.clone(), BaseEntry::File { executable: false });
            texts.insert(path, text.as_bytes().to_vec());
        }
        let packed = Packed::new(&entries, &texts);
        let packed = packed.expect("so few paths are not too many");
        Self { packed }
    }

    /// A tree of paths that end in a slash, have a target behind ` -> `, or are files.
    pub(crate) fn of(paths: &[&str]) -> Self {
        let mut entries = Files::new();
        for path in paths {
            let (path, entry) = match path.split_once(" -> ") {
                Some((path, target)) => (
                    path,
                    BaseEntry::Symlink {
                        target: target.as_bytes().into(),
                    },
                ),
                None if path.ends_with('/') => (*path, IMPLIED),
                None => (*path, BaseEntry::File { executable: true }),
            };
            entries.insert(clean(path.as_bytes()), entry);
        }
        add_implied(&mut entries);
        let packed = Packed::new(&entries, &Texts::new());
        let packed = packed.expect("so few paths are not too many");
        Self { packed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_has_by_itself_is_known_through_the_links_of_the_base() {
        let tree = BaseTree::of(&["etc -> usr/etc", "usr/etc/"]);
        let found = |place: &'static str| tree.generated_at(place.as_bytes());
        assert_eq!(found("usr/etc/hosts"), Some(&b"etc/hosts"[..]));
        assert_eq!(found("etc/hosts"), None);
        assert_eq!(found("usr/etc/shadow"), None);
        assert!(found("usr/share/sbom/a.spdx.json").is_some());
    }

    #[test]
    fn links_are_followed_as_far_as_is_asked() {
        let tree = BaseTree::of(&[
            "bin -> usr/bin",
            "usr/bin/sh -> dash",
            "usr/bin/dash",
            "opt -> /srv/../usr",
            "loop -> loop",
            "gone -> nowhere/at/all",
        ]);
        let text =
            |path: Option<Vec<u8>>| path.map(|path| String::from_utf8_lossy(&path).into_owned());
        for (path, place, end) in [
            ("bin/sh", Some("usr/bin/sh"), Some("usr/bin/dash")),
            ("bin", Some("bin"), Some("usr/bin")),
            ("bin/new/x", Some("usr/bin/new/x"), Some("usr/bin/new/x")),
            ("opt/bin/dash", Some("usr/bin/dash"), Some("usr/bin/dash")),
            ("usr/bin/dash/x", None, None),
            ("loop/x", None, None),
            ("loop", Some("loop"), None),
            ("gone/x", Some("nowhere/at/all/x"), Some("nowhere/at/all/x")),
        ] {
            assert_eq!(
                text(tree.place(path.as_bytes())).as_deref(),
                place,
                "{path}"
            );
            assert_eq!(
                text(tree.resolve(path.as_bytes())).as_deref(),
                end,
                "{path}"
            );
        }
    }

    #[test]
    fn what_lies_in_no_directory_implies_one() {
        let tree = BaseTree::of(&["a/b/c"]);
        assert_eq!(tree.get(b"a/b"), Some(IMPLIED));
        assert_eq!(tree.get(b"a"), Some(IMPLIED));
        assert_eq!(tree.get(b""), None);
    }
}
