//! The pool's directory: links from it, links into it, and what is taken out.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use rayon::prelude::*;

use super::PoolKey;
use crate::{
    id::BlobId,
    sys::{
        FileError,
        change::{link_at, make_directory_at, unlink_at},
        files::{
            at, create_directory_at, inspect_at, is_sealed_file, list, list_entries,
            open_directory_at, open_file_at, os,
        },
    },
};

/// The hard-link pool of a store.
#[derive(Debug)]
pub struct Pool {
    directory: OwnedFd,
    path: PathBuf,
}

/// What became of a try to link to known content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The name is a link now.
    Linked,
    /// The content is not known, or could not be linked to.
    Absent,
    /// The content is known, but its inode cannot have more names.
    Full,
}

/// A content in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PoolEntry {
    /// What it holds, by its name.
    pub key: PoolKey,
    /// The number of its inode, which is also that of all files of objects that are linked to it.
    pub inode: u64,
}

/// What [`Pool::collect`] removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Entries that no object used.
    pub entries: u64,
    /// Bytes of the disk that they took.
    pub disk_bytes: u64,
}

impl Pool {
    /// Opens the pool in the store directory, making it if it does not exist.
    pub(crate) fn open(store: BorrowedFd<'_>, store_path: &Path) -> Result<Self, FileError> {
        let name = OsStr::new(".pool");
        let path = store_path.join(name);
        let opened = match open_directory_at(store, name) {
            Err(Errno::ENOENT) => match create_directory_at(store, name) {
                Err(Errno::EEXIST) => open_directory_at(store, name),
                made => made,
            },
            opened => opened,
        };
        let directory = opened.map_err(at("open", &path))?;
        Ok(Self::at(directory, path))
    }

    /// Takes a directory that is open already.
    pub(crate) const fn at(directory: OwnedFd, path: PathBuf) -> Self {
        Self { directory, path }
    }

    /// Makes a name that must be free a link to the entry of a content, if there is one that looks as it was sealed.
    ///
    /// Size, mode and time are compared on each link; an entry that somebody has written to shows it there, and is taken out.
    pub(crate) fn link(
        &self,
        key: &PoolKey,
        size: u64,
        parent: BorrowedFd<'_>,
        name: &OsStr,
    ) -> Found {
        let entry = key.to_string();
        match link_at(self.directory.as_fd(), os(entry.as_bytes()), parent, name) {
            Ok(()) => {}
            Err(Errno::EMLINK) => return Found::Full,
            Err(_) => return Found::Absent,
        }
        let unchanged = inspect_at(parent, name).is_ok_and(|stat| {
            is_sealed_file(&stat, key.executable) && u64::try_from(stat.st_size) == Ok(size)
        });
        if unchanged {
            return Found::Linked;
        }
        // The name is free again for the one who writes the file; if it is not, creating the file says so.
        let _freed: nix::Result<()> = unlink_at(parent, name);
        let _discarded: Result<bool, FileError> = self.discard(key.blob, key.executable);
        Found::Absent
    }

    /// Enters a file of a valid object. What cannot be entered stays out.
    pub(crate) fn insert(&self, key: &PoolKey, parent: BorrowedFd<'_>, name: &OsStr) {
        let entry = key.to_string();
        let link = || link_at(parent, name, self.directory.as_fd(), os(entry.as_bytes()));
        if link() == Err(Errno::ENOENT)
            && let Ok(()) | Err(Errno::EEXIST) =
                make_directory_at(&self.directory, os(&entry.as_bytes()[..2]))
        {
            let _entered: nix::Result<()> = link();
        }
    }

    /// Opens the entry of a content, to read it; `None` if there is none that can be opened.
    pub(crate) fn open_entry(&self, key: &PoolKey) -> Option<File> {
        open_file_at(&self.directory, os(key.to_string().as_bytes())).ok()
    }

    /// Takes the entry of a content out of the pool; objects keep their files. Tells whether there was one.
    ///
    /// For whoever finds that its bytes are not what its name says, *before* anything is added in place of a damaged object: an add
    /// links to what is in the pool. May be called at any time, by any process.
    pub fn discard(&self, blob: BlobId, executable: bool) -> Result<bool, FileError> {
        let entry = PoolKey { blob, executable }.to_string();
        match unlink_at(&self.directory, os(entry.as_bytes())) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(error) => Err(at("remove", self.path.join(entry))(error)),
        }
    }

    /// Takes all entries out that are one of these inodes, and returns what they were, ascending.
    ///
    /// For whoever finds a damaged file without knowing what it should have been. Lists the whole pool.
    pub fn discard_inodes(&self, inodes: &BTreeSet<u64>) -> Result<Vec<PoolKey>, FileError> {
        let mut found = Vec::new();
        if inodes.is_empty() {
            return Ok(found);
        }
        for entry in self.entries()? {
            if inodes.contains(&entry.inode)
                && self.discard(entry.key.blob, entry.key.executable)?
            {
                found.push(entry.key);
            }
        }
        Ok(found)
    }

    /// Lists all entries, ascending. What has another name than an entry is left out.
    pub fn entries(&self) -> Result<Vec<PoolEntry>, FileError> {
        let shards = self.shards()?;
        let listed: Vec<Vec<PoolEntry>> = shards
            .par_iter()
            .map(|shard| {
                let directory = self.open_shard(shard)?;
                let names = list_entries(&directory).map_err(at("list", self.path.join(shard)))?;
                let entries = names.iter().filter_map(|listed| {
                    let key = format!("{shard}/{}", listed.name.to_str()?).parse().ok()?;
                    Some(PoolEntry {
                        key,
                        inode: listed.inode,
                    })
                });
                Ok(entries.collect())
            })
            .collect::<Result<_, FileError>>()?;
        let mut entries: Vec<PoolEntry> = listed.into_iter().flatten().collect();
        entries.sort();
        Ok(entries)
    }

    /// Removes the entries that no object uses: those whose only name is the one in the pool.
    ///
    /// Needs no lock. Between the look at the number of names and the removal somebody may link to the entry; then the inode lives
    /// on in the new object, and only later adds of the content do not share it. Costs a look at each entry, on all cores; call it after the
    /// files of deleted objects are gone.
    pub fn collect(&self) -> Result<Collected, FileError> {
        let shards = self.shards()?;
        let collected = shards.par_iter().map(|shard| self.collect_shard(shard));
        collected.try_reduce(Collected::default, |a, b| {
            Ok(Collected {
                entries: a.entries + b.entries,
                disk_bytes: a.disk_bytes + b.disk_bytes,
            })
        })
    }

    fn collect_shard(&self, shard: &str) -> Result<Collected, FileError> {
        let path = self.path.join(shard);
        let directory = self.open_shard(shard)?;
        let mut collected = Collected::default();
        for (name, _) in list(&directory).map_err(at("list", &path))? {
            let stat = match inspect_at(&directory, &name) {
                Ok(stat) => stat,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(at("inspect", path.join(&name))(error)),
            };
            if stat.st_nlink > 1 {
                continue;
            }
            match unlink_at(&directory, &name) {
                Ok(()) => {}
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(at("remove", path.join(&name))(error)),
            }
            collected.entries += 1;
            collected.disk_bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        Ok(collected)
    }

    /// The names of the directories in the pool, ascending.
    fn shards(&self) -> Result<Vec<String>, FileError> {
        let listed = list(&self.directory).map_err(at("list", &self.path))?;
        let mut shards: Vec<String> = listed
            .into_iter()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.len() == 2)
            .collect();
        shards.sort();
        Ok(shards)
    }

    fn open_shard(&self, shard: &str) -> Result<OwnedFd, FileError> {
        open_directory_at(&self.directory, os(shard.as_bytes()))
            .map_err(at("open", self.path.join(shard)))
    }
}
