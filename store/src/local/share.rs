//! Files of one add that have their bytes in common with each other or with the pool.
//!
//! Within the add, the first file of a content is the one that others link to; they are synced together. Contents that were written anew
//! enter the pool when their objects are valid, see [`crate::pool`].

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::{dir::Type, errno::Errno};
use rayon::prelude::*;

use super::{LocalStore, draft::FileDraft};
use crate::{
    StorePath,
    pool::{Found, Pool, PoolKey},
    sys::{
        FileError,
        change::{link_at, rename_over, unlink_at},
        files::{at, file_type, inspect_at, join, list, open_directory_at, os},
    },
};

/// What the files of one add can be linked to. Used by several threads at once.
#[derive(Debug)]
pub(super) struct Sharing<'a> {
    pool: &'a Pool,
    staging: OwnedFd,
    written: Mutex<HashMap<PoolKey, Written>>,
    numbers: AtomicU64,
}

/// The file in staging that is the first of its content.
#[derive(Debug, Clone)]
struct Written {
    /// Where it is, from the staging directory.
    path: Vec<u8>,
    /// Whether it is to take the place of an entry of the pool that cannot have more names.
    replace: bool,
    /// Whether other objects can have this content.
    common: bool,
}

/// Contents for the pool, ascending.
#[derive(Debug, Default)]
pub(super) struct NewContents(Vec<(PoolKey, Written)>);

impl<'a> Sharing<'a> {
    pub(super) fn new(pool: &'a Pool, staging: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            pool,
            staging: staging.try_clone_to_owned()?,
            written: Mutex::default(),
            numbers: AtomicU64::new(0),
        })
    }

    /// Makes a free name a link to a file of the same content, if one is known.
    pub(super) fn link(&self, file: &FileDraft, parent: BorrowedFd<'_>, name: &OsStr) -> Found {
        let Some(key) = key(file) else {
            return Found::Absent;
        };
        let written = self.first_of(&key);
        match written {
            Some(written) => match link_at(self.staging.as_fd(), os(&written.path), parent, name) {
                Ok(()) => Found::Linked,
                Err(Errno::EMLINK) => Found::Full,
                Err(_) => Found::Absent,
            },
            None => self.pool.link(&key, file.digest.size, parent, name),
        }
    }

    /// Replaces a file that is written by a link to one of the same content, or else makes it the one that others link to. `path` is
    /// where it is from the staging directory.
    pub(super) fn settle(&self, file: &FileDraft, path: &[u8]) {
        let link = os(path);
        let found = self.replace(file, link);
        if found != Found::Linked && !self.remember(file, path, found) {
            // Another thread was faster with the same content.
            self.replace(file, link);
        }
    }

    fn replace(&self, file: &FileDraft, path: &OsStr) -> Found {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let temporary = OsString::from(format!("link.{number}"));
        let found = self.link(file, self.staging.as_fd(), &temporary);
        if found != Found::Linked {
            return found;
        }
        match rename_over(self.staging.as_fd(), &temporary, self.staging.as_fd(), path) {
            Ok(()) => Found::Linked,
            Err(_) => {
                // What stays is removed with the staging directory.
                let _removed: nix::Result<()> = unlink_at(&self.staging, &temporary);
                Found::Absent
            }
        }
    }

    /// Makes a file the one that others of its content link to. Tells whether it is that now; `found` is why it was written.
    pub(super) fn remember(&self, file: &FileDraft, path: &[u8], found: Found) -> bool {
        let Some(key) = key(file) else { return true };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let known = written.get(&key);
        if known.is_some() && found != Found::Full {
            return false;
        }
        let replace = found == Found::Full && known.is_none_or(|known| known.replace);
        let first = Written {
            path: path.to_vec(),
            replace,
            common: file.modulo.is_none(),
        };
        written.insert(key, first);
        true
    }

    fn first_of(&self, key: &PoolKey) -> Option<Written> {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    /// Returns what was written and may be shared with other objects.
    pub(super) fn into_new_contents(self) -> NewContents {
        let written = self
            .written
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut contents: Vec<_> = written
            .into_iter()
            .filter(|(_, written)| written.common)
            .collect();
        contents.sort_by_key(|(key, _)| *key);
        NewContents(contents)
    }
}

impl LocalStore {
    /// Takes all files that lie at an object's path out of the pool, whether the object is valid or not.
    ///
    /// For whoever finds that it is damaged: *before* it is marked so, because from then on it may be added again, and an add links to what is in the
    /// pool. Other objects keep their files; those that share the damaged one are damaged as well.
    pub fn unpool(&self, path: &StorePath) -> Result<(), FileError> {
        let mut inodes = BTreeSet::new();
        let name = path.to_string();
        collect_inodes(self.store_fd(), os(name.as_bytes()), &mut inodes)
            .map_err(at("list", self.real_path(path)))?;
        self.pool().discard_inodes(&inodes)?;
        Ok(())
    }

    /// Enters contents into the pool from the objects that have become valid, given by their names in staging.
    pub(super) fn enter(&self, contents: &NewContents, objects: &BTreeMap<OsString, StorePath>) {
        contents.0.par_iter().for_each(|(key, written)| {
            let split = written.path.iter().position(|byte| *byte == b'/');
            let (object, below) = written.path.split_at(split.unwrap_or(written.path.len()));
            let Some(path) = objects.get(os(object)) else {
                return;
            };
            if written.replace {
                // Whoever links to the entry right now has its link already or writes the file.
                let _discarded = self.pool().discard(key.blob, key.executable);
            }
            let below = below.strip_prefix(b"/").unwrap_or(below);
            let file = if below.is_empty() {
                path.to_string().into_bytes()
            } else {
                join(path.to_string().as_bytes(), below)
            };
            self.pool().insert(key, self.store_fd(), os(&file));
        });
    }
}

/// The inodes of files with several names below a name, what has been removed meanwhile left out.
fn collect_inodes(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    inodes: &mut BTreeSet<u64>,
) -> nix::Result<()> {
    let stat = match inspect_at(parent, name) {
        Err(Errno::ENOENT) => return Ok(()),
        stat => stat?,
    };
    match file_type(stat.st_mode) {
        Some(Type::File) if stat.st_nlink > 1 => {
            inodes.insert(stat.st_ino);
        }
        Some(Type::Directory) => {
            let directory = open_directory_at(parent, name)?;
            for (entry, _) in list(&directory)? {
                collect_inodes(directory.as_fd(), &entry, inodes)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn key(file: &FileDraft) -> Option<PoolKey> {
    PoolKey::of(file.digest.blob, file.digest.size, file.executable)
}
