//! A file that is not yet complete, kept between tries and between processes.
//!
//! It is named by the digest that it shall have, so whoever needs the same bytes goes on where the last one stopped, and
//! locked while somebody writes. Its content is worth nothing until its digest has been compared.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use sha2::Digest as _;

use super::FetchError;
use super::local::KNOWN_PREFIX;
use crate::model::ContentDigest;

/// How often a waiting process looks whether the file is free.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Begin of the names of partial files.
const PREFIX: &str = "fetch-";
/// A partial file that nobody continued for so long is not going to be.
const EXPIRY_SECONDS: i64 = 7 * 24 * 3600;

/// Removes partial files, and what is known of a project's files, that nobody has written to for a week. `now` is in seconds
/// since 1970.
///
/// Never fails: what cannot be removed is tried again by the next command.
pub(crate) fn remove_expired(directory: &Path, now: u64) {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_partial = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) || name.starts_with(KNOWN_PREFIX));
        let expired = || {
            entry
                .metadata()
                .is_ok_and(|metadata| metadata.mtime().saturating_add(EXPIRY_SECONDS) < now)
        };
        if is_partial
            && expired()
            && let Ok(file) = File::open(entry.path())
            && let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Hashes by the algorithm of an expected digest.
pub(super) enum Hasher {
    Sha256(Box<sha2::Sha256>),
    Sha512(Box<sha2::Sha512>),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    fn new(expected: &ContentDigest) -> Self {
        match expected {
            ContentDigest::Sha256(_) => Self::Sha256(Box::default()),
            ContentDigest::Sha512(_) => Self::Sha512(Box::default()),
            ContentDigest::Blake3(_) => Self::Blake3(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    fn digest(&self) -> ContentDigest {
        match self {
            Self::Sha256(hasher) => ContentDigest::Sha256(hasher.clone().finalize().into()),
            Self::Sha512(hasher) => ContentDigest::Sha512(hasher.clone().finalize().into()),
            Self::Blake3(hasher) => ContentDigest::Blake3(*hasher.finalize().as_bytes()),
        }
    }
}

/// The partial file of one digest, locked for this process.
pub(super) struct Partial {
    path: PathBuf,
    file: Flock<File>,
    expected: ContentDigest,
    hasher: Hasher,
    len: u64,
}

impl Partial {
    /// Opens or creates the partial file for `expected` in `directory` and hashes what it has.
    ///
    /// Returns `None` when `cancel` was set while another process had the lock; `waiting` is called once if there is one.
    pub(super) fn open(
        directory: &Path,
        expected: &ContentDigest,
        waiting: &dyn Fn(),
        cancel: &AtomicBool,
    ) -> Result<Option<Self>, FetchError> {
        let path = directory.join(format!(
            "{PREFIX}{}",
            expected.to_string().replace(':', "-")
        ));
        let failed = |source| FetchError::Partial {
            path: path.clone(),
            source,
        };
        let Some(file) = lock(&path, waiting, cancel).map_err(failed)? else {
            return Ok(None);
        };
        let mut partial = Self {
            hasher: Hasher::new(expected),
            expected: *expected,
            len: 0,
            file,
            path: path.clone(),
        };
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = (&*partial.file).read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            let bytes = buffer.get(..count).unwrap_or_default();
            partial.hasher.update(bytes);
            partial.len += bytes.len() as u64;
        }
        Ok(Some(partial))
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        (&*self.file)
            .write_all(bytes)
            .map_err(|source| FetchError::Partial {
                path: self.path.clone(),
                source,
            })?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Drops the content, because it cannot be continued or was found to be wrong.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        let failed = |source| FetchError::Partial {
            path: self.path.clone(),
            source,
        };
        self.file.set_len(0).map_err(failed)?;
        (&*self.file).seek(SeekFrom::Start(0)).map_err(failed)?;
        self.hasher = Hasher::new(&self.expected);
        self.len = 0;
        Ok(())
    }

    /// Returns the digest of what has come so far.
    pub(super) fn digest(&self) -> ContentDigest {
        self.hasher.digest()
    }

    /// Returns whether what has come is what was promised.
    pub(super) fn is_complete(&self) -> bool {
        self.digest() == self.expected
    }

    /// Removes the file from disk; for a file whose content lies in the store now.
    pub(super) fn remove(self) -> Result<(), FetchError> {
        fs::remove_file(&self.path).map_err(|source| FetchError::Partial {
            path: self.path.clone(),
            source,
        })
    }
}

/// Opens and locks the file at `path`, making sure that it is still the one of that name once it is locked.
fn lock(path: &Path, waiting: &dyn Fn(), cancel: &AtomicBool) -> io::Result<Option<Flock<File>>> {
    let mut told = false;
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(path)?;
        let locked = loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => break locked,
                Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
                Err((_, errno)) => return Err(errno.into()),
            }
            if !std::mem::replace(&mut told, true) {
                waiting();
            }
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            std::thread::sleep(LOCK_POLL);
        };
        let held = locked.metadata()?;
        let named = match fs::symlink_metadata(path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if (held.dev(), held.ino()) == (named.dev(), named.ino()) {
            return Ok(Some(locked));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_continued_for_a_week_is_removed_unless_somebody_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["fetch-old", "fetch-held", "other"] {
            fs::write(path(name), "x").unwrap();
        }
        let written = u64::try_from(fs::metadata(path("other")).unwrap().mtime()).unwrap();
        let _held = lock(&path("fetch-held"), &|| (), &AtomicBool::new(false))
            .unwrap()
            .unwrap();
        remove_expired(directory.path(), written + 6 * 24 * 3600);
        assert!(path("fetch-old").exists());
        remove_expired(directory.path(), written + 8 * 24 * 3600);
        assert_eq!(
            ["fetch-old", "fetch-held", "other"].map(|name| path(name).exists()),
            [false, true, true]
        );
    }
}
