//! What running processes use.
//!
//! A lease is a file under `var/leases`, locked by its owner and listing digests, 40 characters and a newline each. The lock ends with
//! the process, however that ends; then the lease means nothing, and whoever meets it removes it.
//!
//! Who deletes must read all leases *inside* the transaction that takes validity away, and who uses a path must lease it *before* asking whether
//! it is valid. Then either the deleter sees the lease, or the user sees that the path is not valid any more.

use std::{
    collections::BTreeSet,
    fs::OpenOptions,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use super::LeaseError;
use crate::{
    id::PathDigest,
    sys::{
        FileError,
        change::{remove_file, write_all},
        fault,
        files::at,
        lock::{Lock, try_lock},
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
}

impl Lease {
    /// Makes a lease that protects nothing.
    pub(super) const fn none() -> Self {
        Self(None)
    }

    /// Creates the lease's file; `stem` and a running number make its name.
    pub(super) fn create(directory: &Path, stem: &str) -> Result<Self, LeaseError> {
        let path = directory.join(stem);
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
                return Ok(Self(Some(Held { file, path })));
            }
        }
    }

    /// Protects the objects with these digests, whether they are valid yet or not, until the lease is dropped.
    ///
    /// Does not protect what they refer to: a collector follows references itself.
    pub fn protect(&self, digests: &[PathDigest]) -> Result<(), LeaseError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let lines: Vec<u8> = digests
            .iter()
            .flat_map(|digest| digest.to_digits().into_iter().chain([b'\n']))
            .collect();
        // One write in append mode: a reader sees whole lines.
        write_all(&held.file, &lines).map_err(at("write", &held.path))?;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What stays behind is unlocked, so it protects nothing and is removed by the next who reads leases.
        let _removed: Result<(), FileError> = remove_file(&self.path);
    }
}

/// Returns the digests that living processes lease, and removes the leases of dead ones.
pub(super) fn leased(directory: &Path) -> Result<BTreeSet<PathDigest>, FileError> {
    let mut digests = BTreeSet::new();
    fault::point("list").map_err(at("list", directory))?;
    for entry in std::fs::read_dir(directory).map_err(at("list", directory))? {
        let path = entry.map_err(at("list", directory))?.path();
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
        digests.extend(
            text.lines()
                .filter_map(|line| line.parse::<PathDigest>().ok()),
        );
    }
    Ok(digests)
}
