//! What running processes use without a lease: their program, their directories, what they have mapped and open, and what their environment names.
//!
//! A store path counts by its logical name (`/pith/store/…`, which is what a process in a namespace sees) and by its place on this disk. What other users' processes
//! hide is left out: whoever may not look into a process cannot have made it use this store. Any other failure is an error, because an object that
//! is in use may be behind it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use memchr::memmem::Finder;
use nix::errno::Errno;

use crate::{
    id::{PathDigest, STORE_DIR},
    sys::{FileError, fault, files::at},
};

/// The digits of a digest.
const DIGITS: usize = 40;

/// Finds store paths in bytes.
#[derive(Debug)]
pub(super) struct PathFinder {
    directories: Vec<Finder<'static>>,
}

impl PathFinder {
    /// Finds paths below the logical store directory and below these.
    pub(super) fn new(directories: &BTreeSet<PathBuf>) -> Self {
        let logical = STORE_DIR.as_bytes();
        let real = directories.iter().map(|path| path.as_os_str().as_bytes());
        let with_slash = |path: &[u8]| Finder::new(&[path, b"/"].concat()).into_owned();
        Self {
            directories: std::iter::once(logical)
                .chain(real)
                .map(with_slash)
                .collect(),
        }
    }

    /// Adds the digests of all store paths that occur in `bytes`.
    pub(super) fn find(&self, bytes: &[u8], found: &mut BTreeSet<PathDigest>) {
        for directory in &self.directories {
            for start in directory.find_iter(bytes) {
                let digits = start + directory.needle().len();
                let digest: Option<PathDigest> = bytes
                    .get(digits..digits + DIGITS)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| digits.parse().ok());
                found.extend(digest);
            }
        }
    }
}

/// A process and the store paths that it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pub(super) id: u32,
    /// The name of its program, as the kernel knows it.
    pub(super) name: String,
    /// What it uses.
    pub(super) digests: BTreeSet<PathDigest>,
}

/// Returns the processes below `proc` that use store paths, by id.
pub(super) fn find_processes(proc: &Path, finder: &PathFinder) -> Result<Vec<Process>, FileError> {
    let mut processes = Vec::new();
    fault::point("list").map_err(at("list", proc))?;
    for entry in fs::read_dir(proc).map_err(at("list", proc))? {
        let entry = entry.map_err(at("list", proc))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let directory = entry.path();
        let mut digests = BTreeSet::new();
        for link in ["exe", "cwd", "root"] {
            let path = directory.join(link);
            let target = unless_hidden(fs::read_link(&path)).map_err(at("read", &path))?;
            if let Some(target) = target {
                finder.find(target.as_os_str().as_bytes(), &mut digests);
            }
        }
        for file in ["maps", "environ"] {
            let path = directory.join(file);
            let text = unless_hidden(fs::read(&path)).map_err(at("read", &path))?;
            finder.find(&text.unwrap_or_default(), &mut digests);
        }
        find_open(&directory.join("fd"), finder, &mut digests)?;
        if !digests.is_empty() {
            let name = fs::read_to_string(directory.join("comm")).unwrap_or_default();
            processes.push(Process {
                id,
                name: name.trim_end().to_owned(),
                digests,
            });
        }
    }
    processes.sort_by_key(|process| process.id);
    Ok(processes)
}

fn find_open(
    directory: &Path,
    finder: &PathFinder,
    digests: &mut BTreeSet<PathDigest>,
) -> Result<(), FileError> {
    let Some(entries) = unless_hidden(fs::read_dir(directory)).map_err(at("list", directory))?
    else {
        return Ok(());
    };
    for entry in entries {
        let entry = unless_hidden(entry).map_err(at("list", directory))?;
        let Some(path) = entry.map(|entry| entry.path()) else {
            continue;
        };
        if let Some(target) = unless_hidden(fs::read_link(&path)).map_err(at("read", &path))? {
            finder.find(target.as_os_str().as_bytes(), digests);
        }
    }
    Ok(())
}

/// `None` for what is not ours to see, and for processes that have ended.
fn unless_hidden<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match Errno::try_from(error) {
            Ok(Errno::EACCES | Errno::EPERM | Errno::ENOENT | Errno::ESRCH) => Ok(None),
            Ok(errno) => Err(errno.into()),
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, slice::from_ref};

    use super::*;
    use crate::id::{ObjectId, StorePath};

    fn path(byte: u8) -> StorePath {
        let digest = ObjectId::from_bytes([byte; 32]).path_digest();
        StorePath::new(digest, "tool".parse().unwrap())
    }

    fn find(bytes: &[u8]) -> BTreeSet<PathDigest> {
        let finder = PathFinder::new(&BTreeSet::from([PathBuf::from("/srv/pith/store")]));
        let mut found = BTreeSet::new();
        finder.find(bytes, &mut found);
        found
    }

    #[test]
    fn paths_are_found_by_both_names_and_nowhere_else() {
        let (a, b) = (path(1), path(2));
        let text = format!(
            "PATH={}/bin:/srv/pith/store/{b}/bin\0OTHER=/nix/store/{}",
            a.to_logical(),
            path(3)
        );
        assert_eq!(
            find(text.as_bytes()),
            BTreeSet::from([*a.digest(), *b.digest()])
        );
    }

    #[test]
    fn cut_off_and_foreign_names_are_not_paths() {
        let logical = path(1).to_logical();
        for length in 0..STORE_DIR.len() + 1 + DIGITS {
            assert_eq!(find(&logical.as_bytes()[..length]), BTreeSet::new());
        }
        assert_eq!(find(b"/pith/store/.staging/x"), BTreeSet::new());
        assert_eq!(
            find(&[b"/pith/store/", [0xff; 60].as_slice()].concat()),
            BTreeSet::new()
        );
    }

    #[test]
    fn every_way_to_use_a_path_is_seen() {
        let proc = tempfile::tempdir().unwrap();
        let finder = PathFinder::new(&BTreeSet::new());
        let inside = path(1).to_logical() + "/bin/tool";
        let used = |name: &str, make: &dyn Fn(&Path)| {
            let directory = proc.path().join("7");
            fs::create_dir_all(directory.join("fd")).unwrap();
            fs::write(directory.join("comm"), "tool\n").unwrap();
            make(&directory.join(name));
            let found = find_processes(proc.path(), &finder).unwrap();
            fs::remove_dir_all(&directory).unwrap();
            found
        };
        let expected = Process {
            id: 7,
            name: "tool".into(),
            digests: BTreeSet::from([*path(1).digest()]),
        };
        for link in ["exe", "cwd", "root", "fd/3"] {
            let found = used(link, &|path| symlink(&inside, path).unwrap());
            assert_eq!(found, from_ref(&expected), "{link}");
        }
        for file in ["maps", "environ"] {
            let text = format!("x 00 {inside}\n");
            let found = used(file, &|path| fs::write(path, &text).unwrap());
            assert_eq!(found, from_ref(&expected), "{file}");
        }
        assert_eq!(
            used("status", &|path| fs::write(path, &inside).unwrap()),
            []
        );
    }

    #[test]
    fn a_proc_that_cannot_be_read_is_an_error() {
        let finder = PathFinder::new(&BTreeSet::new());
        assert!(find_processes(Path::new("/nowhere"), &finder).is_err());
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("7/maps")).unwrap();
        assert!(
            find_processes(proc.path(), &finder).is_err(),
            "a directory is no list of maps"
        );
    }

    #[test]
    fn this_process_is_seen_while_it_has_a_file_open() {
        let directory = tempfile::tempdir().unwrap();
        let object = directory.path().join(path(1).to_string());
        let _file = fs::File::create(&object).unwrap();
        let finder = PathFinder::new(&BTreeSet::from([directory.path().to_owned()]));
        let found = find_processes(Path::new("/proc"), &finder).unwrap();
        assert!(found.iter().any(|process| process.id == std::process::id()
            && process.digests.contains(path(1).digest())));
    }
}
