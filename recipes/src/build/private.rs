//! Directories that belong to one build: made private, locked while it lasts, removed afterwards.
//!
//! The lock is on the directory itself and dies with the process, so a directory whose lock is free is left over and the
//! next command removes it ([`sweep`]).

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{Flock, FlockArg};

use super::files::{FileFailure, at};

/// Begin of the names of directories that [`sweep`] may remove.
pub(super) const BUILD_PREFIX: &str = "build-";
/// Begin of the names of directories that were kept for a look at a failure.
pub(super) const FAILED_PREFIX: &str = "failed-";
/// Held while a directory is made, until it is locked itself; so a sweep never takes a new one for a left-over.
const SWEEP_LOCK: &str = ".sweep.lock";

/// A directory for one build, readable by this user alone.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: PathBuf,
    lock: Flock<File>,
}

impl PrivateDirectory {
    pub(super) fn create(temporary: &Path, name: &str) -> Result<Self, FileFailure> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let _making = sweep_lock(temporary, FlockArg::LockShared).map_err(at(temporary))?;
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = temporary.join(format!("{BUILD_PREFIX}{}-{number}-{name}", process::id()));
            let failed = at(&path);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                // Left over from a process that had our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(error)),
            }
            let lock = File::open(&path)
                .and_then(|file| {
                    Flock::lock(file, FlockArg::LockExclusiveNonblock)
                        .map_err(|(_, errno)| errno.into())
                })
                .map_err(failed)?;
            return Ok(Self { path, lock });
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Makes a directory in it.
    pub(super) fn add(&self, name: &str, mode: u32) -> Result<PathBuf, FileFailure> {
        let path = self.path.join(name);
        // The mode of a new directory is cut by the umask, which is the user's.
        fs::create_dir(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(at(&path))?;
        Ok(path)
    }

    /// Keeps it for the user to look at, and returns where it is from now on.
    pub(super) fn keep(self) -> Result<PathBuf, FileFailure> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let kept = self
            .path
            .with_file_name(name.replacen(BUILD_PREFIX, FAILED_PREFIX, 1));
        fs::rename(&self.path, &kept).map_err(at(&kept))?;
        Ok(kept)
    }

    pub(super) fn remove(self) -> Result<(), FileFailure> {
        remove_tree(&self.path).map_err(at(&self.path))
    }
}

/// Removes the directories of builds that nobody works on any more. Returns how many there were.
///
/// Does nothing while another process makes a directory; the next command comes soon enough.
pub(super) fn sweep(temporary: &Path) -> Result<usize, FileFailure> {
    let left_over = |name: &std::ffi::OsStr| {
        name.to_str()
            .is_some_and(|name| name.starts_with(BUILD_PREFIX))
    };
    let failed = at(temporary);
    let entries = fs::read_dir(temporary)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(failed)?;
    let found: Vec<PathBuf> = entries
        .iter()
        .filter(|entry| left_over(&entry.file_name()))
        .map(fs::DirEntry::path)
        .collect();
    if found.is_empty() {
        return Ok(0);
    }
    let Ok(_sweeping) = sweep_lock(temporary, FlockArg::LockExclusiveNonblock) else {
        return Ok(0);
    };
    let mut removed = 0;
    for path in found {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        removed += usize::from(remove_unlocked(&path, file).map_err(at(&path))?);
    }
    Ok(removed)
}

/// Removes a directory that was opened at `path` unless somebody works on it. Tells whether it did.
fn remove_unlocked(path: &Path, directory: File) -> io::Result<bool> {
    let Ok(_lock) = Flock::lock(directory, FlockArg::LockExclusiveNonblock) else {
        return Ok(false);
    };
    match remove_tree(path) {
        Ok(()) => Ok(true),
        // Its own process was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn sweep_lock(temporary: &Path, how: FlockArg) -> io::Result<Flock<File>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(temporary.join(SWEEP_LOCK))?;
    Flock::lock(file, how).map_err(|(_, errno)| errno.into())
}

/// Removes a tree that a builder may have made unreadable or read-only. Never follows a symbolic link.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

/// Gives the user all rights on every directory of the tree. Nobody else may be able to change the tree meanwhile.
fn open_up(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        open_up(&entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_what_nobody_holds_and_nothing_else() {
        let temporary = tempfile::tempdir().unwrap();
        let held = PrivateDirectory::create(temporary.path(), "held").unwrap();
        let dropped = PrivateDirectory::create(temporary.path(), "dropped").unwrap();
        let (kept, gone) = (held.path().to_owned(), dropped.path().to_owned());
        fs::create_dir(gone.join("sub")).unwrap();
        fs::write(gone.join("sub/file"), "x").unwrap();
        fs::set_permissions(gone.join("sub"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::write(temporary.path().join("fetch-x"), "partial").unwrap();
        drop(dropped);
        assert_eq!(sweep(temporary.path()).unwrap(), 1);
        assert!(kept.exists() && !gone.exists() && temporary.path().join("fetch-x").exists());
        held.remove().unwrap();
        assert_eq!(sweep(temporary.path()).unwrap(), 0);
    }

    #[test]
    fn a_sweep_may_meet_a_build_that_just_ends() {
        let temporary = tempfile::tempdir().unwrap();
        let ending = PrivateDirectory::create(temporary.path(), "x").unwrap();
        let path = ending.path().to_owned();
        let opened = File::open(&path).unwrap();
        assert!(!remove_unlocked(&path, opened.try_clone().unwrap()).unwrap());
        ending.remove().unwrap();
        assert!(!remove_unlocked(&path, opened).unwrap());
    }

    #[test]
    fn a_kept_directory_is_not_swept() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = PrivateDirectory::create(temporary.path(), "x")
            .unwrap()
            .keep()
            .unwrap();
        assert_eq!(sweep(temporary.path()).unwrap(), 0);
        assert!(kept.exists());
    }

    #[test]
    fn removing_does_not_follow_links_out_of_the_tree() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("precious"), "x").unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let directory = PrivateDirectory::create(temporary.path(), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join("link")).unwrap();
        directory.remove().unwrap();
        assert!(outside.path().join("precious").exists());
    }
}
