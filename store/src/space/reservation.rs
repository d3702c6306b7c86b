//! What living processes are about to write.
//!
//! A reservation is a file under `var/space`, locked by its owner, that holds the bytes which are still to be written, as 20 decimal digits. The lock ends
//! with the process; then the reservation means nothing, and whoever meets it removes it.

use std::{
    fs::{self, File, OpenOptions},
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::sys::{
    FileError,
    change::{remove_file, write_all_at},
    fault,
    files::at,
    lock::{Lock, try_lock},
};

/// How exactly others see what is left to write.
const STEP: u64 = 16 << 20;
/// Digits of the largest number.
const DIGITS: usize = 20;

/// The reservations of a store.
#[derive(Debug)]
pub(crate) struct Reservations {
    directory: PathBuf,
}

/// Bytes that others leave to this process while the value lives.
#[derive(Debug)]
pub(crate) struct Reservation {
    file: Lock,
    path: PathBuf,
    bytes: u64,
    written: AtomicU64,
}

impl Reservations {
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Returns the sum of what living processes are about to write, and removes the reservations of dead ones.
    pub(crate) fn sum(&self) -> Result<u64, FileError> {
        let mut sum = 0u64;
        fault::point("list").map_err(at("list", &self.directory))?;
        for entry in fs::read_dir(&self.directory).map_err(at("list", &self.directory))? {
            let path = entry.map_err(at("list", &self.directory))?.path();
            fault::point("open").map_err(at("open", &path))?;
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(at("open", &path)(error)),
            };
            let mut digits = [0; DIGITS];
            let bytes = file
                .read_exact_at(&mut digits, 0)
                .ok()
                .and_then(|()| std::str::from_utf8(&digits).ok()?.parse::<u64>().ok());
            if let Some(_stale) = try_lock(OwnedFd::from(file)).map_err(at("lock", &path))? {
                let _removed: Result<(), FileError> = remove_file(&path);
                continue;
            }
            sum = sum.saturating_add(bytes.unwrap_or(0));
        }
        Ok(sum)
    }

    /// Makes a reservation; `stem` is its name.
    pub(crate) fn reserve(&self, stem: &str, bytes: u64) -> Result<Reservation, FileError> {
        let path = self.directory.join(stem);
        loop {
            fault::point("create").map_err(at("create", &path))?;
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(&path)
                .map_err(at("create", &path))?;
            // Somebody may have seen the file before it was locked, and removed it as stale.
            if let Some(file) = try_lock(OwnedFd::from(file)).map_err(at("lock", &path))?
                && file.metadata().map_err(at("inspect", &path))?.nlink() > 0
            {
                let reservation = Reservation {
                    file,
                    path,
                    bytes,
                    written: AtomicU64::new(0),
                };
                reservation
                    .publish(bytes)
                    .map_err(at("write", &reservation.path))?;
                return Ok(reservation);
            }
        }
    }
}

impl Reservation {
    /// Tells others that so many bytes more are written, or will be at once: they count as taken from now on. Called by several threads.
    pub(crate) fn note_written(&self, bytes: u64) {
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        let written = before.saturating_add(bytes);
        if before / STEP != written / STEP {
            // What is not told makes others more careful than they need to be.
            let _told = self.publish(self.bytes.saturating_sub(written));
        }
    }

    fn publish(&self, left: u64) -> std::io::Result<()> {
        let digits = format!("{left:0DIGITS$}\n");
        write_all_at(&self.file, digits.as_bytes(), 0)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // What stays behind is unlocked, so it reserves nothing and is removed by the next who looks.
        let _removed: Result<(), FileError> = remove_file(&self.path);
    }
}

/// Returns where reservations of a store lie.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join("var/space")
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn reservations_count_until_they_are_written_or_dropped() -> TestResult {
        let directory = tempfile::tempdir()?;
        let reservations = Reservations::new(directory.path().to_owned());
        assert_eq!(reservations.sum()?, 0);
        let one = reservations.reserve("one", 100 << 20)?;
        let two = reservations.reserve("two", 1)?;
        assert_eq!(reservations.sum()?, (100 << 20) + 1);
        one.note_written(20 << 20);
        assert_eq!(reservations.sum()?, (80 << 20) + 1);
        // More than was thought, and then nothing is left to write.
        one.note_written(200 << 20);
        assert_eq!(reservations.sum()?, 1);
        drop(one);
        drop(two);
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn a_reservation_of_a_dead_process_counts_nothing_and_goes() -> TestResult {
        let directory = tempfile::tempdir()?;
        fs::write(
            directory.path().join("dead"),
            format!("{:020}\n", 1u64 << 40),
        )?;
        let reservations = Reservations::new(directory.path().to_owned());
        assert_eq!(reservations.sum()?, 0);
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }
}
