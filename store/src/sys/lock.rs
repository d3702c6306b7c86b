//! File locks (`flock`): they end with the process that holds them, however it ends.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{
    FileError, fault,
    files::{at, open_directory},
};

/// A held lock on an open file or directory.
pub(crate) type Lock = Flock<File>;

/// Opens a lock file, creating it if needed, and waits for the lock.
pub(crate) fn lock_file(path: &Path, kind: FlockArg) -> Result<Lock, FileError> {
    let file = open_lock(path)?;
    wait(file, path, kind)
}

/// Opens a lock file, creating it if needed, and takes the lock for this process alone; calls `on_wait` if it has to wait for that.
pub(crate) fn lock_file_telling(path: &Path, on_wait: &dyn Fn()) -> Result<Lock, FileError> {
    match Flock::lock(open_lock(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((file, Errno::EWOULDBLOCK)) => {
            on_wait();
            wait(file, path, FlockArg::LockExclusive)
        }
        Err((_, error)) => Err(at("lock", path)(error)),
    }
}

/// Waits for the lock of a directory, for this process alone.
pub(crate) fn lock_directory(path: &Path) -> Result<Lock, FileError> {
    let directory = open_directory(path)?;
    wait(directory.into(), path, FlockArg::LockExclusive)
}

fn open_lock(path: &Path) -> Result<File, FileError> {
    fault::point("lock").map_err(at("lock", path))?;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .map_err(at("open", path))
}

fn wait(mut file: File, path: &Path, kind: FlockArg) -> Result<Lock, FileError> {
    loop {
        match Flock::lock(file, kind) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, error)) => return Err(at("lock", path)(error)),
        }
    }
}

/// Opens a lock file, creating it if needed, and takes the lock for this process alone if nobody has it.
pub(crate) fn try_lock_file(path: &Path) -> Result<Option<Lock>, FileError> {
    try_lock(open_lock(path)?.into()).map_err(at("lock", path))
}

/// Returns who holds a lock on a file, as `name (process id)`, ascending; nobody is named whom `/proc` does not show.
pub(crate) fn find_holders(path: &Path) -> Vec<String> {
    let Ok(metadata) = path.metadata() else {
        return Vec::new();
    };
    let inode = format!(":{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut holders: Vec<u32> = locks
        .lines()
        .filter_map(|line| {
            // `1: FLOCK  ADVISORY  READ 4711 fe:00:1234 0 EOF`, and `1: ->` for one who waits.
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [_, "FLOCK", _, _, pid, file, ..] if file.ends_with(&inode) => pid.parse().ok(),
                _ => None,
            }
        })
        .collect();
    holders.sort_unstable();
    holders.dedup();
    let name = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} ({pid})", name.trim())
    };
    holders.iter().map(name).collect()
}

/// Locks an open file or directory for this process alone if nobody has it locked.
pub(crate) fn try_lock(fd: OwnedFd) -> io::Result<Option<Lock>> {
    try_lock_as(fd, FlockArg::LockExclusiveNonblock)
}

/// Locks an open file or directory if nobody has it locked in a way that forbids it. The kind is one that does not wait.
pub(crate) fn try_lock_as(fd: OwnedFd, kind: FlockArg) -> io::Result<Option<Lock>> {
    fault::point("lock")?;
    match Flock::lock(File::from(fd), kind) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}
