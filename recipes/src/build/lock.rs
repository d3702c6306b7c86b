//! One build of a resolved digest at a time, across all processes that share the store.
//!
//! The lock is a file that exists while somebody works or waits. It is removed by the last one with the lock held, so a
//! process that had opened it before finds another file, or none, of that name once it gets its lock, and starts again.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::files::{FileFailure, at};
use store::ResolvedDigest;

/// How often a waiting process looks whether the lock is free.
const POLL: Duration = Duration::from_millis(20);

/// The right to build one resolved digest; given back when dropped, or by the death of the process.
#[derive(Debug)]
pub(super) struct BuildLock {
    path: PathBuf,
    _file: Flock<File>,
}

impl BuildLock {
    /// Waits for the lock. `waiting` is called once, when somebody else has it; `None` when `cancel` was set meanwhile.
    pub(super) fn acquire(
        locks: &Path,
        resolved: &ResolvedDigest,
        waiting: &dyn Fn(),
        cancel: &AtomicBool,
    ) -> Result<Option<Self>, FileFailure> {
        let path = locks.join(resolved.to_hex());
        let failed = at(&path);
        let mut told = false;
        loop {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(&failed)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => {
                    if is_named(&file, &path).map_err(&failed)? {
                        return Ok(Some(Self { path, _file: file }));
                    }
                }
                Err((_, Errno::EWOULDBLOCK)) => {
                    if !std::mem::replace(&mut told, true) {
                        waiting();
                    }
                    if cancel.load(Ordering::Relaxed) {
                        return Ok(None);
                    }
                    thread::sleep(POLL);
                }
                Err((_, errno)) => return Err(failed(errno.into())),
            }
        }
    }
}

impl Drop for BuildLock {
    fn drop(&mut self) {
        // A file that stays is harmless: the next one locks it again.
        drop(fs::remove_file(&self.path));
    }
}

/// Removes the locks of processes that died. Returns how many there were.
pub(super) fn sweep(locks: &Path) -> Result<usize, FileFailure> {
    let mut removed = 0;
    for entry in fs::read_dir(locks).map_err(at(locks))? {
        let path = entry.map_err(at(locks))?.path();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            && is_named(&file, &path).map_err(at(&path))?
        {
            fs::remove_file(&path).map_err(at(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn never_two_hold_one_lock() {
        let locks = tempfile::tempdir().unwrap();
        let resolved = ResolvedDigest::from_bytes([1; 32]);
        let (inside, never) = (AtomicUsize::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _lock = BuildLock::acquire(locks.path(), &resolved, &|| (), &never)
                            .unwrap()
                            .unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(locks.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_lock_of_a_dead_process_is_removed_and_that_of_a_living_one_stays() {
        let locks = tempfile::tempdir().unwrap();
        let resolved = ResolvedDigest::from_bytes([1; 32]);
        let never = AtomicBool::new(false);
        let _held = BuildLock::acquire(locks.path(), &resolved, &|| (), &never)
            .unwrap()
            .unwrap();
        fs::write(locks.path().join("dead"), "").unwrap();
        assert_eq!(sweep(locks.path()).unwrap(), 1);
        assert_eq!(fs::read_dir(locks.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_waiting_one_can_be_interrupted() {
        let locks = tempfile::tempdir().unwrap();
        let resolved = ResolvedDigest::from_bytes([1; 32]);
        let cancel = AtomicBool::new(false);
        let _held = BuildLock::acquire(locks.path(), &resolved, &|| (), &cancel)
            .unwrap()
            .unwrap();
        let waiting = || cancel.store(true, Ordering::Relaxed);
        assert!(
            BuildLock::acquire(locks.path(), &resolved, &waiting, &cancel)
                .unwrap()
                .is_none()
        );
    }
}
