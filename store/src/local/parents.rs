//! The directories of a staging directory into which files are being written, held open.
//!
//! Files come in the order of their trees, mostly, so that the directory of one is that of the next. Opening it anew for each costs as much as hashing a small file.

use std::{
    collections::VecDeque,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use crate::sys::files::{open_directory_at, os};

/// Directories that are held at most: one for each thread and some more. There may be many batches, each with its own.
const HELD: usize = 8;

/// Open directories. Used by several threads at once.
#[derive(Debug, Default)]
pub(super) struct Parents(Mutex<VecDeque<(Vec<u8>, Arc<OwnedFd>)>>);

impl Parents {
    /// Returns the directory of this path below another, as it was when it was first asked for. Opened name by name: the path may be longer than a system call takes.
    pub(super) fn open(&self, below: BorrowedFd<'_>, path: &[u8]) -> nix::Result<Arc<OwnedFd>> {
        if let Some((_, found)) = self.held().iter().find(|(held, _)| held == path) {
            return Ok(Arc::clone(found));
        }
        let mut names = path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty());
        let first = names.next().unwrap_or(b".");
        let mut directory = open_directory_at(below, os(first))?;
        for name in names {
            directory = open_directory_at(&directory, os(name))?;
        }
        let directory = Arc::new(directory);
        let mut held = self.held();
        if held.len() >= HELD {
            held.pop_front();
        }
        held.push_back((path.to_vec(), Arc::clone(&directory)));
        Ok(directory)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, VecDeque<(Vec<u8>, Arc<OwnedFd>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd, os::unix::fs::MetadataExt};

    use super::*;
    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn inode(directory: &Arc<OwnedFd>) -> std::io::Result<u64> {
        Ok(fs::File::from(directory.try_clone()?).metadata()?.ino())
    }

    #[test]
    fn each_path_gives_its_directory_however_many_there_are() -> TestResult {
        let place = tempfile::tempdir()?;
        let names: Vec<String> = (0..3 * HELD).map(|number| format!("a/{number}")).collect();
        for name in &names {
            fs::create_dir_all(place.path().join(name))?;
        }
        let below = fs::File::open(place.path())?;
        let parents = Parents::default();
        for name in names.iter().chain(names.iter().rev()) {
            let expected = fs::metadata(place.path().join(name))?.ino();
            for _ in 0..2 {
                let opened = parents.open(below.as_fd(), name.as_bytes())?;
                assert_eq!(inode(&opened)?, expected, "{name}");
            }
            assert!(parents.held().len() <= HELD);
        }
        assert!(parents.open(below.as_fd(), b"a/absent").is_err());
        Ok(())
    }

    #[test]
    fn a_symlink_is_no_directory() -> TestResult {
        let place = tempfile::tempdir()?;
        fs::create_dir(place.path().join("a"))?;
        std::os::unix::fs::symlink("a", place.path().join("link"))?;
        let below = fs::File::open(place.path())?;
        assert!(Parents::default().open(below.as_fd(), b"link").is_err());
        Ok(())
    }
}
