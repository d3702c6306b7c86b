//! File locks (`flock`): they end with the process that holds them, however it ends.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::OwnedFd,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{FileError, fault, files::at};

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
    fault::point("open").map_err(at("open", path))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .map_err(at("open", path))?;
    try_lock(file.into()).map_err(at("lock", path))
}

/// Locks an open file or directory for this process alone if nobody has it locked.
pub(crate) fn try_lock(fd: OwnedFd) -> io::Result<Option<Lock>> {
    fault::point("lock")?;
    match Flock::lock(File::from(fd), FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}
