//! What caches were found not to have, remembered between commands for a short time.
//!
//! `var/misses/<16 digits of the BLAKE3 of the cache's address>`: a line for each file, `<seconds since 1970> <name>`, appended in one write each. Nothing depends on it:
//! what cannot be read or written is not remembered.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    cache::format::CacheName,
    sys::{
        FileError,
        change::{make_directories, remove_file, write_all, write_file},
        files::{at, read_file},
    },
};

/// How long a miss is remembered: shorter than it takes to wonder why something that was pushed elsewhere is not found.
const SECONDS: u64 = 600;
/// Beyond this, what is out of date is left out when the file is read.
const COMPACT_BYTES: usize = 256 << 10;

/// The misses of all caches.
#[derive(Debug)]
pub(super) struct Misses {
    directory: PathBuf,
    now: u64,
    is_writable: bool,
    known: Mutex<BTreeMap<String, BTreeMap<String, u64>>>,
}

impl Misses {
    pub(super) fn new(root: &Path, now: u64, is_writable: bool) -> Self {
        Self {
            directory: directory(root),
            now,
            is_writable,
            known: Mutex::default(),
        }
    }

    /// Returns how many seconds ago a cache did not have a file, if that is not too long ago.
    pub(super) fn find(&self, cache: &str, name: &CacheName) -> Option<u64> {
        let mut known = self.known();
        let of_cache = known
            .entry(cache.to_owned())
            .or_insert_with(|| self.load(cache));
        let time = of_cache.get(&name.to_string())?;
        Some(self.now.saturating_sub(*time))
    }

    /// Remembers that a cache does not have a file.
    pub(super) fn add(&self, cache: &str, name: &CacheName) {
        let mut known = self.known();
        let of_cache = known
            .entry(cache.to_owned())
            .or_insert_with(|| self.load(cache));
        of_cache.insert(name.to_string(), self.now);
        if self.is_writable {
            let line = format!("{} {name}\n", self.now);
            let _remembered: Result<(), FileError> = self.append(cache, line.as_bytes());
        }
    }

    fn append(&self, cache: &str, line: &[u8]) -> Result<(), FileError> {
        make_directories(&self.directory, 0o755)?;
        let path = self.directory.join(file_name(cache));
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o644)
            .open(&path)
            .map_err(at("create", &path))?;
        write_all(&file, line).map_err(at("write", path))
    }

    fn load(&self, cache: &str) -> BTreeMap<String, u64> {
        let path = self.directory.join(file_name(cache));
        let bytes = read_file(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let fresh: BTreeMap<String, u64> = text
            .lines()
            .filter_map(|line| {
                let (time, name) = line.split_once(' ')?;
                let time: u64 = time.parse().ok()?;
                let is_fresh = time <= self.now && self.now - time < SECONDS;
                is_fresh.then(|| (name.to_owned(), time))
            })
            .collect();
        if self.is_writable && bytes.len() > COMPACT_BYTES {
            let lines: String = fresh
                .iter()
                .map(|(name, time)| format!("{time} {name}\n"))
                .collect();
            let _compacted: Result<(), FileError> = write_file(&path, lines.as_bytes());
        }
        fresh
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, u64>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what a cache was found not to have.
pub(super) fn forget(root: &Path, cache: &str) -> Result<(), FileError> {
    let path = directory(root).join(file_name(cache));
    match remove_file(&path) {
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn directory(root: &Path) -> PathBuf {
    root.join("var/misses")
}

fn file_name(cache: &str) -> String {
    blake3::hash(cache.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PathDigest;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn name(byte: u8) -> CacheName {
        CacheName::Closure(PathDigest::from_bytes([byte; 25]))
    }

    #[test]
    fn a_miss_is_remembered_for_a_while_and_for_its_cache_alone() -> TestResult {
        let root = tempfile::tempdir()?;
        Misses::new(root.path(), 1000, true).add("a", &name(1));
        let at = |now| Misses::new(root.path(), now, true);
        assert_eq!(at(1000).find("a", &name(1)), Some(0));
        assert_eq!(at(1599).find("a", &name(1)), Some(599));
        assert_eq!(at(1600).find("a", &name(1)), None);
        // A clock that was set back makes no miss last longer.
        assert_eq!(at(999).find("a", &name(1)), None);
        assert_eq!(at(1000).find("a", &name(2)), None);
        assert_eq!(at(1000).find("b", &name(1)), None);
        Ok(())
    }

    #[test]
    fn misses_are_forgotten_by_cache() -> TestResult {
        let root = tempfile::tempdir()?;
        let misses = Misses::new(root.path(), 1000, true);
        misses.add("a", &name(1));
        misses.add("b", &name(1));
        forget(root.path(), "a")?;
        forget(root.path(), "a")?;
        let misses = Misses::new(root.path(), 1000, true);
        assert_eq!(misses.find("a", &name(1)), None);
        assert_eq!(misses.find("b", &name(1)), Some(0));
        Ok(())
    }

    #[test]
    fn a_store_that_cannot_be_written_is_not_written() -> TestResult {
        let root = tempfile::tempdir()?;
        let misses = Misses::new(root.path(), 1000, false);
        misses.add("a", &name(1));
        assert_eq!(misses.find("a", &name(1)), Some(0));
        assert!(!directory(root.path()).exists());
        Ok(())
    }

    #[test]
    fn a_damaged_file_is_no_obstacle_and_does_not_grow_without_end() -> TestResult {
        let root = tempfile::tempdir()?;
        std::fs::create_dir_all(directory(root.path()))?;
        let path = directory(root.path()).join(file_name("a"));
        let mut text = format!("x y\n\n1\n900 {}\n", name(1)).into_bytes();
        text.extend(std::iter::repeat_n(b"1 old\n", 100_000).flatten());
        text.extend([0xff, b'\n']);
        std::fs::write(&path, text)?;
        let misses = Misses::new(root.path(), 1000, true);
        assert_eq!(misses.find("a", &name(1)), Some(100));
        assert_eq!(
            std::fs::read_to_string(&path)?,
            format!("900 {}\n", name(1))
        );
        Ok(())
    }
}
