//! What running processes use.
//!
//! A lease is a file under `var/leases`, locked by its owner and listing digests, 40 characters and a newline each. The lock ends with
//! the process, however that ends; then the lease means nothing, and whoever meets it removes it.
//!
//! Who uses a path must lease it *before* asking whether it is valid. Who takes validity away reads all leases *inside* the transaction that does it, and holds
//! `var/lock/leases` from before the reading until after the commit, as everybody does (shared) who writes into a lease. So a digest is in its lease before
//! the collector reads, and stays valid, or it comes after the commit, and its user sees that it is not valid any more. Without the lock there would be a
//! third case: leased after the reading and found valid before the commit, because readers of the database do not wait for writers.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl::FlockArg};

use super::{LeaseError, record};
use crate::{
    id::PathDigest,
    sys::{
        FileError,
        change::{remove_file, touch, write_all},
        fault,
        files::{at, os},
        lock::{Lock, lock_file, try_lock},
    },
};

/// Digests that nobody may delete while this value lives.
///
/// Of a store that cannot be written it is none: nothing can be deleted from here, and others cannot be kept from it.
#[derive(Debug)]
pub struct Lease(Option<Held>);

#[derive(Debug)]
struct Held {
    file: Lock,
    path: PathBuf,
    /// See the module.
    turn: PathBuf,
    meta: OwnedFd,
}

/// Where leases lie and what guards them.
#[derive(Debug)]
pub(super) struct LeaseDirectory<'a> {
    /// The directory.
    pub(super) path: &'a Path,
    /// The lock that keeps writing into leases apart from deciding by them.
    pub(super) turn: PathBuf,
    /// The records of objects, whose times say when an object was last used.
    pub(super) meta: OwnedFd,
}

impl Lease {
    /// Makes a lease that protects nothing.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Creates the lease's file; `stem` and a running number make its name.
    pub(super) fn create(directory: LeaseDirectory<'_>, stem: &str) -> Result<Self, LeaseError> {
        let path = directory.path.join(stem);
        loop {
            fault::point("create").map_err(at("create", &path))?;
            let file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o644)
                .open(&path)
                .map_err(at("create", &path))?;
            // A collector may have seen the file before it was locked, and removed it as stale.
            if let Some(file) = try_lock(OwnedFd::from(file)).map_err(at("lock", &path))?
                && file.metadata().map_err(at("inspect", &path))?.nlink() > 0
            {
                return Ok(Self(Some(Held {
                    file,
                    path,
                    turn: directory.turn,
                    meta: directory.meta,
                })));
            }
        }
    }

    /// Protects the objects with these digests, whether they are valid yet or not, until the lease is dropped; and records that they were used now.
    ///
    /// Protects what they refer to as well if they are valid: a collector follows references itself.
    pub fn protect(&self, digests: &[PathDigest]) -> Result<(), LeaseError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let lines: Vec<u8> = digests
            .iter()
            .flat_map(|digest| digest.to_digits().into_iter().chain([b'\n']))
            .collect();
        let turn = lock_file(&held.turn, FlockArg::LockShared)?;
        // One write in append mode: a reader sees whole lines.
        write_all(&held.file, &lines).map_err(at("write", &held.path))?;
        drop(turn);
        for digest in digests {
            let name = record::name(digest);
            match touch(held.meta.as_fd(), os(name.as_bytes())) {
                // Not valid yet, of another user, or a store that cannot be written: then the time is only less exact.
                Ok(()) | Err(Errno::ENOENT | Errno::EACCES | Errno::EPERM | Errno::EROFS) => {}
                Err(error) => return Err(at("change", &held.path)(error).into()),
            }
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What stays behind is unlocked, so it protects nothing and is removed by the next who reads leases.
        let _removed: Result<(), FileError> = remove_file(&self.path);
    }
}

/// What one living process uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leased {
    /// The process, as the lease's file is named for it; 0 if it is not.
    pub(crate) process: u32,
    /// What it uses.
    pub(crate) digests: BTreeSet<PathDigest>,
}

/// Returns what living processes lease, a value for each lease, and removes the leases of dead ones.
pub(super) fn read_leases(directory: &Path) -> Result<Vec<Leased>, FileError> {
    let mut leases = Vec::new();
    fault::point("list").map_err(at("list", directory))?;
    for entry in std::fs::read_dir(directory).map_err(at("list", directory))? {
        let entry = entry.map_err(at("list", directory))?;
        let path = entry.path();
        fault::point("open").map_err(at("open", &path))?;
        let file = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at("open", &path)(error)),
        };
        if let Some(_stale) = try_lock(OwnedFd::from(file)).map_err(at("lock", &path))? {
            let _removed: Result<(), FileError> = remove_file(&path);
            continue;
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at("read", &path)(error)),
        };
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.split('.').nth(1));
        leases.push(Leased {
            process: process.and_then(|id| id.parse().ok()).unwrap_or_default(),
            digests: text
                .lines()
                .filter_map(|line| line.parse::<PathDigest>().ok())
                .collect(),
        });
    }
    leases.sort_by_key(|lease| lease.process);
    Ok(leases)
}
