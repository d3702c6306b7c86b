//! The files of a store object whose facts are not recorded: read now.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    num::NonZero,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use sha1::Digest as _;
use sha2::Digest as _;
use store::facts::FileFacts;

use super::super::AttestError;

/// How much of a file is in memory.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is found but not read.
struct Found {
    real: PathBuf,
    path: String,
    is_executable: bool,
}

/// Hashes every regular file of an object, on all processors; ascending by path. The path of a file that is the object itself is empty.
pub(super) fn read_files(object: &Path) -> Result<Vec<FileFacts>, AttestError> {
    let mut found = Vec::new();
    find(object, String::new(), &mut found)?;
    found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(found.len()));
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = found.get(index) else { return };
            let result = read(file);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((index, result));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 1..threads.min(found.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The depth of an object is bounded, and so is the recursion.
fn find(real: &Path, path: String, found: &mut Vec<Found>) -> Result<(), AttestError> {
    let metadata = fs::symlink_metadata(real).map_err(at(real))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(real).map_err(at(real))? {
            let entry = entry.map_err(at(real))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let below = if path.is_empty() {
                name
            } else {
                format!("{path}/{name}")
            };
            find(&entry.path(), below, found)?;
        }
    } else if metadata.is_file() {
        found.push(Found {
            real: real.to_path_buf(),
            path,
            is_executable: metadata.permissions().mode() & 0o111 != 0,
        });
    }
    Ok(())
}

fn read(file: &Found) -> Result<FileFacts, AttestError> {
    let mut reader = File::open(&file.real).map_err(at(&file.real))?;
    let mut sha1 = sha1::Sha1::new();
    let mut sha256 = sha2::Sha256::new();
    let mut sha512 = sha2::Sha512::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut size = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(at(&file.real))?;
        if count == 0 {
            break;
        }
        let bytes = &buffer[..count];
        sha1.update(bytes);
        sha256.update(bytes);
        sha512.update(bytes);
        size += count as u64;
    }
    Ok(FileFacts {
        path: file.path.clone(),
        size,
        executable: file.is_executable,
        sha256: hex(&sha256.finalize()),
        sha1: hex(&sha1.finalize()),
        sha512: hex(&sha512.finalize()),
    })
}

/// Returns what is recorded of a file whose bytes are at hand.
pub(super) fn facts_of(path: &str, bytes: &[u8], executable: bool) -> FileFacts {
    FileFacts {
        path: path.to_owned(),
        size: bytes.len() as u64,
        executable,
        sha256: hex(&sha2::Sha256::digest(bytes)),
        sha1: hex(&sha1::Sha1::digest(bytes)),
        sha512: hex(&sha2::Sha512::digest(bytes)),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> AttestError {
    let path = path.to_path_buf();
    |source| AttestError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn regular_files_are_hashed_and_nothing_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("b")).unwrap();
        fs::write(root.join("b/x"), "abc").unwrap();
        fs::write(root.join("a"), "").unwrap();
        fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o555)).unwrap();
        symlink("/etc/passwd", root.join("link")).unwrap();
        let files = read_files(root).unwrap();
        let paths: Vec<_> = files
            .iter()
            .map(|file| (file.path.as_str(), file.executable, file.size))
            .collect();
        assert_eq!(paths, [("a", true, 0), ("b/x", false, 3)]);
        assert_eq!(files[1], facts_of("b/x", b"abc", false));
        assert_eq!(files[1].sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        let alone = read_files(&root.join("b/x")).unwrap();
        assert_eq!(alone, [facts_of("", b"abc", false)]);
    }
}
