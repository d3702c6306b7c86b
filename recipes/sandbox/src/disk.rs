//! How much a builder has written: the blocks of its read-write mounts, counted from inside.
//!
//! File system quotas need root and are rarely on, so process 1 walks the directories now and then, more rarely the longer a
//! walk takes. It has the capabilities of the sandbox's user namespace, so a directory without permissions hides nothing.
//! Between two walks one file is bounded by `RLIMIT_FSIZE`. A walk after the death of all builders gives the last word.
//!
//! The tree changes under the walk. It goes by descriptors, follows no symlink and enters no other mount; what appears or
//! vanishes meanwhile is counted or not.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// The shortest time between two walks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// A walk may take this part of the time.
const PAUSE_PER_WALK: u32 = 25;

/// `st_blocks` counts these.
const BLOCK_BYTES: u64 = 512;

/// What an empty file costs, so that millions of them are not free.
const FILE_BYTES: u64 = 512;

/// Watches over the read-write mounts of one run.
#[derive(Debug)]
pub(crate) struct DiskWatch {
    roots: Vec<OwnedFd>,
    limit_bytes: u64,
    next: Instant,
}

impl DiskWatch {
    /// Watches `roots`, each the root of a read-write mount.
    pub(crate) fn new(roots: Vec<OwnedFd>, limit_bytes: u64) -> Self {
        Self {
            roots,
            limit_bytes,
            next: Instant::now() + SHORTEST_PAUSE,
        }
    }

    /// Returns how long to wait before the next walk.
    pub(crate) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Walks when it is time; returns true when the limit is passed.
    pub(crate) fn is_exceeded_now(&mut self) -> bool {
        if !self.pause().is_zero() {
            return false;
        }
        let started = Instant::now();
        let exceeded = self.is_exceeded();
        let took = started.elapsed();
        self.next = started + took + (took * PAUSE_PER_WALK).max(SHORTEST_PAUSE);
        exceeded
    }

    /// Walks and returns true when the limit is passed.
    pub(crate) fn is_exceeded(&self) -> bool {
        let mut usage = Usage {
            limit_bytes: self.limit_bytes,
            ..Usage::default()
        };
        self.roots.iter().any(|root| usage.add_tree(root))
    }
}

/// What has been counted so far.
#[derive(Debug, Default)]
struct Usage {
    limit_bytes: u64,
    bytes: u64,
    /// Files with several names, which are counted once: device and inode.
    linked: BTreeSet<(u64, u64)>,
}

impl Usage {
    /// Adds everything below `root`; returns true, and stops, when the limit is passed.
    fn add_tree(&mut self, root: &OwnedFd) -> bool {
        let Ok(Some(first)) = open_directory(root, c".") else {
            // A mount of a single file.
            rustix::fs::fstat(root).map(|stat| self.add(&stat)).ok();
            return self.is_exceeded();
        };
        let mut waiting = vec![first];
        while let Some(directory) = waiting.pop() {
            let Ok(entries) = Dir::read_from(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                if name == c".." {
                    continue;
                }
                let Ok(stat) = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                else {
                    continue;
                };
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                // A directory is counted when its own "." comes.
                if is_directory && name != c"." {
                    waiting.extend(open_directory(&directory, name).ok().flatten());
                } else {
                    self.add(&stat);
                }
                if self.is_exceeded() {
                    return true;
                }
            }
        }
        false
    }

    fn add(&mut self, stat: &Stat) {
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_nlink > 1 && !is_directory && !self.linked.insert((stat.st_dev, stat.st_ino)) {
            return;
        }
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        self.bytes = self
            .bytes
            .saturating_add(blocks.saturating_mul(BLOCK_BYTES))
            .saturating_add(FILE_BYTES);
    }

    fn is_exceeded(&self) -> bool {
        self.bytes > self.limit_bytes
    }
}

/// Opens a directory for reading; `None` when another mount lies there.
fn open_directory(at: impl AsFd, name: &std::ffi::CStr) -> rustix::io::Result<Option<OwnedFd>> {
    let flags =
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    match rustix::fs::openat2(&at, name, flags, Mode::empty(), resolve) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::XDEV) => Ok(None),
        // Another owner's directory, of which NOATIME may not be asked.
        Err(Errno::PERM) => {
            rustix::fs::openat2(&at, name, flags - OFlags::NOATIME, Mode::empty(), resolve)
                .map(Some)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs::{self, File};

    use super::*;

    type TestResult = Result<(), Box<dyn Error>>;

    fn is_exceeded(directory: &std::path::Path, limit_bytes: u64) -> Result<bool, Box<dyn Error>> {
        let root = OwnedFd::from(File::open(directory)?);
        Ok(DiskWatch::new(vec![root], limit_bytes).is_exceeded())
    }

    #[test]
    fn a_file_counts_its_blocks_however_deep_it_lies() -> TestResult {
        let temporary = tempfile::tempdir()?;
        let deep = temporary.path().join("a/b/c/d");
        fs::create_dir_all(&deep)?;
        fs::write(deep.join("file"), vec![1; 1 << 20])?;
        assert!(is_exceeded(temporary.path(), 1 << 20)?);
        assert!(!is_exceeded(temporary.path(), 2 << 20)?);
        Ok(())
    }

    #[test]
    fn a_file_with_two_names_counts_once() -> TestResult {
        let temporary = tempfile::tempdir()?;
        let file = temporary.path().join("one");
        fs::write(&file, vec![1; 1 << 20])?;
        fs::hard_link(&file, temporary.path().join("two"))?;
        assert!(!is_exceeded(temporary.path(), (1 << 20) + 100_000)?);
        Ok(())
    }

    #[test]
    fn a_symlink_to_elsewhere_is_not_followed() -> TestResult {
        let temporary = tempfile::tempdir()?;
        let elsewhere = tempfile::tempdir()?;
        fs::write(elsewhere.path().join("file"), vec![1; 1 << 20])?;
        std::os::unix::fs::symlink(elsewhere.path(), temporary.path().join("link"))?;
        assert!(!is_exceeded(temporary.path(), 100_000)?);
        Ok(())
    }

    #[test]
    fn empty_files_are_not_free() -> TestResult {
        let temporary = tempfile::tempdir()?;
        for number in 0..100 {
            File::create(temporary.path().join(number.to_string()))?;
        }
        assert!(is_exceeded(temporary.path(), 50_000)?);
        Ok(())
    }
}
