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
    fault::point("lock").map_err(at("lock", path))?;
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .read(true)
        .open(path)
        .map_err(at("open", path))?;
    loop {
        match Flock::lock(file, kind) {
            Ok(lock) => return Ok(lock),
            Err((again, Errno::EINTR)) => file = again,
            Err((_, error)) => return Err(at("lock", path)(error)),
        }
    }
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
