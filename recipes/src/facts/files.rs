//! The regular files of an output with their digests.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use store::facts::FileFacts;

use super::ObserveError;
use super::digests::Digests;
use super::error::at;

/// Reads all files of an object that is valid, on all cores; sorted by path.
pub(super) fn files(root: &Path) -> Result<Vec<FileFacts>, ObserveError> {
    let mut found = Vec::new();
    find(root, Vec::new(), &mut found)?;
    let mut files = found
        .into_par_iter()
        .map(|(path, real)| {
            let failed = at(&real);
            let file = File::open(&real).map_err(&failed)?;
            let mode = file.metadata().map_err(&failed)?.permissions().mode();
            let digests = Digests::of(file).map_err(&failed)?;
            Ok(FileFacts {
                path: String::from_utf8_lossy(&path).into_owned(),
                size: digests.size,
                executable: mode & 0o100 != 0,
                sha256: digests.sha256,
                sha1: digests.sha1,
                sha512: digests.sha512,
            })
        })
        .collect::<Result<Vec<FileFacts>, ObserveError>>()?;
    files.sort_unstable_by(|a, b| (&a.path, &a.sha256).cmp(&(&b.path, &b.sha256)));
    Ok(files)
}

/// Lists the regular files of a store object, whose depth the store has bounded.
fn find(
    real: &Path,
    path: Vec<u8>,
    found: &mut Vec<(Vec<u8>, PathBuf)>,
) -> Result<(), ObserveError> {
    let failed = at(real);
    let kind = fs::symlink_metadata(real).map_err(&failed)?.file_type();
    if kind.is_file() {
        found.push((path, real.to_owned()));
        return Ok(());
    }
    if !kind.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(real).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let name = entry.file_name();
        let mut below = path.clone();
        if !below.is_empty() {
            below.push(b'/');
        }
        below.extend_from_slice(name.as_bytes());
        find(&entry.path(), below, found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_regular_file_is_there_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("bin")).unwrap();
        fs::write(directory.path().join("bin/tool"), "abc").unwrap();
        fs::set_permissions(
            directory.path().join("bin/tool"),
            fs::Permissions::from_mode(0o555),
        )
        .unwrap();
        fs::write(directory.path().join("a"), "").unwrap();
        symlink("a", directory.path().join("link")).unwrap();
        let found = files(directory.path()).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|file| (file.path.as_str(), file.size, file.executable))
            .collect();
        assert_eq!(seen, [("a", 0, false), ("bin/tool", 3, true)]);
        let single = files(&directory.path().join("bin/tool")).unwrap();
        assert_eq!(single.len(), 1);
        assert_eq!(single.first().map(|file| file.path.as_str()), Some(""));
    }
}
