//! The generated entries of an image, in memory.

use std::collections::BTreeMap;

use super::{RootFsError, RootPath, is_bill};
use crate::layer::{Entry, EntryKind, append_entry, padding};

/// Who owns what an image would have anyway.
pub(crate) const GENERATED: &str = "the generated files";

/// The mode of generated directories.
const DIRECTORY_MODE: u32 = 0o755;

/// One generated entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootEntry {
    /// A directory with its permission bits.
    Directory {
        /// The permission bits.
        mode: u32,
    },
    /// A file.
    File {
        /// Its contents.
        contents: Vec<u8>,
        /// The permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: Vec<u8>,
    },
}

/// A set of generated entries in which every directory above an entry is an entry, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RootTree {
    /// Each with who wants it, for the message about a conflict.
    entries: BTreeMap<RootPath, (RootEntry, String)>,
}

impl RootTree {
    /// Adds an entry and the directories above it. The same entry twice is fine; two different ones at one path are an error that names both owners.
    pub fn insert(
        &mut self,
        path: RootPath,
        entry: RootEntry,
        owner: &str,
    ) -> Result<(), RootFsError> {
        for parent in path.parents() {
            let directory = RootEntry::Directory {
                mode: DIRECTORY_MODE,
            };
            match self.entries.get(&parent) {
                Some((RootEntry::Directory { .. }, _)) => {}
                _ => self.insert_one(parent, directory, owner)?,
            }
        }
        self.insert_one(path, entry, owner)
    }

    fn insert_one(
        &mut self,
        path: RootPath,
        entry: RootEntry,
        owner: &str,
    ) -> Result<(), RootFsError> {
        match self.entries.get(&path) {
            Some((present, _)) if *present == entry => Ok(()),
            Some((_, first)) => Err(RootFsError::Conflict {
                path,
                first: first.clone(),
                second: owner.to_owned(),
            }),
            None => {
                self.entries.insert(path, (entry, owner.to_owned()));
                Ok(())
            }
        }
    }

    /// Returns whether there is an entry at `path`.
    pub fn contains(&self, path: &RootPath) -> bool {
        self.entries.contains_key(path)
    }

    /// Returns the entry at `path`.
    pub(crate) fn get(&self, path: &RootPath) -> Option<&RootEntry> {
        self.entries.get(path).map(|(entry, _)| entry)
    }

    /// Returns the entries, each directory before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&RootPath, &RootEntry)> {
        self.entries.iter().map(|(path, (entry, _))| (path, entry))
    }

    /// Returns the entries with who wants each, each directory before what is in it.
    pub(crate) fn owned(&self) -> impl Iterator<Item = (&RootPath, &RootEntry, &str)> {
        let entries = self.entries.iter();
        entries.map(|(path, (entry, owner))| (path, entry, owner.as_str()))
    }

    /// Changes the contents of files and the targets of links, bills of materials excepted: they say where things come from.
    pub(crate) fn change<E>(
        &mut self,
        mut change: impl FnMut(&RootPath, &mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (path, (entry, _)) in &mut self.entries {
            match entry {
                RootEntry::File { contents, .. } if !is_bill(path.as_bytes()) => {
                    change(path, contents)?;
                }
                RootEntry::Symlink { target } => change(path, target)?,
                RootEntry::File { .. } | RootEntry::Directory { .. } => {}
            }
        }
        Ok(())
    }

    /// Returns the sum of the sizes of the files.
    pub fn size_bytes(&self) -> u64 {
        self.iter()
            .map(|(_, entry)| match entry {
                RootEntry::File { contents, .. } => contents.len() as u64,
                _ => 0,
            })
            .sum()
    }

    /// Returns the entries as tar, without the end of an archive and without the directories that `known` has.
    pub(crate) fn to_tar_without(&self, known: &BTreeMap<Vec<u8>, u32>) -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, entry) in self.iter() {
            if matches!(entry, RootEntry::Directory { .. }) && known.contains_key(path.as_bytes()) {
                continue;
            }
            let (mode, kind) = match entry {
                RootEntry::Directory { mode } => (*mode, EntryKind::Directory),
                RootEntry::File { contents, mode } => {
                    let size_bytes = contents.len() as u64;
                    (*mode, EntryKind::File { size_bytes })
                }
                RootEntry::Symlink { target } => (0o777, EntryKind::Symlink { target }),
            };
            let path = path.as_bytes();
            append_entry(&mut tar, &Entry { path, mode, kind });
            if let RootEntry::File { contents, .. } = entry {
                tar.extend_from_slice(contents);
                tar.resize(tar.len() + padding(contents.len() as u64), 0);
            }
        }
        tar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(target: &str) -> RootEntry {
        RootEntry::Symlink {
            target: target.into(),
        }
    }

    #[test]
    fn two_owners_of_one_path_are_named() {
        let mut tree = RootTree::default();
        let path = RootPath::parse("/bin/sh").unwrap();
        tree.insert(path.clone(), link("/pith/store/a"), "`bash`")
            .unwrap();
        tree.insert(path.clone(), link("/pith/store/a"), "`again`")
            .unwrap();
        let error = tree
            .insert(path, link("/pith/store/b"), "`dash`")
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`/bin/sh` of the image has two owners: `bash` and `dash`"
        );
    }

    #[test]
    fn nothing_can_be_below_a_link() {
        let mut tree = RootTree::default();
        tree.insert(RootPath::parse("/etc").unwrap(), link("/x"), "`a`")
            .unwrap();
        let below = RootPath::parse("/etc/passwd").unwrap();
        assert!(tree.insert(below, link("/y"), "`b`").is_err());
    }

    #[test]
    fn a_directory_keeps_the_mode_it_was_given_first() {
        let mut tree = RootTree::default();
        let tmp = RootPath::parse("/tmp").unwrap();
        let sticky = RootEntry::Directory { mode: 0o1777 };
        tree.insert(tmp.clone(), sticky.clone(), "pith").unwrap();
        tree.insert(RootPath::parse("/tmp/x").unwrap(), link("y"), "`a`")
            .unwrap();
        assert_eq!(tree.iter().next(), Some((&tmp, &sticky)));
    }
}
