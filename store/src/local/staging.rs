//! A private directory in which objects are written before they have a name.
//!
//! Named `<boot id>.<pid>.<number>` and locked for its whole life, which ends after the objects are committed. So a staging directory that
//! nobody has locked belongs to a process that died in the middle of an add, and its file `publish` says which objects that process may have put in place
//! without registering them.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl::FlockArg};

use crate::{
    id::StorePath,
    sys::{
        FileError,
        change::write_all,
        files::{
            at, create_directory_at, create_file_at, list, open_directory_at, open_file_at,
            remove_at,
        },
        lock::{Lock, try_lock, try_lock_as},
    },
};

/// The list of objects about to be renamed into place, or to get another component.
const PUBLISH: &str = "publish";

/// A locked staging directory; removed with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct Staging<'a> {
    parent: BorrowedFd<'a>,
    name: OsString,
    path: PathBuf,
    directory: Lock,
    abandoned: bool,
}

impl<'a> Staging<'a> {
    pub(super) fn create(
        parent: BorrowedFd<'a>,
        parent_path: &Path,
        next_name: &dyn Fn() -> String,
    ) -> Result<Self, FileError> {
        loop {
            // A new name for each try: whoever takes the last one for stale may not have removed it yet.
            let name = next_name();
            let path = parent_path.join(&name);
            let directory = match create_directory_at(parent, OsStr::new(&name)) {
                Ok(directory) => directory,
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(at("create", path)(error)),
            };
            // Between creation and lock the directory looks stale, and another process may have removed it.
            if let Some(directory) = try_lock(directory).map_err(at("lock", &path))?
                && directory.metadata().map_err(at("inspect", &path))?.nlink() > 0
            {
                return Ok(Self {
                    parent,
                    name: name.into(),
                    path,
                    directory,
                    abandoned: false,
                });
            }
        }
    }

    /// The directory's path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory for the next who opens the store, which is then sure to look at what it names.
    pub(crate) fn abandon(mut self) {
        self.abandoned = true;
    }

    /// Writes which objects will be renamed out of here, in that order, and which get another component.
    pub(super) fn write_publish(&self, paths: &[&StorePath]) -> Result<(), FileError> {
        let path = self.path.join(PUBLISH);
        let text: String = paths.iter().map(|path| format!("{path}\n")).collect();
        let file = create_file_at(self, OsStr::new(PUBLISH), false).map_err(at("create", &path))?;
        write_all(&file, text.as_bytes()).map_err(at("write", path))
    }
}

impl AsFd for Staging<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if self.abandoned {
            return;
        }
        // What cannot be removed now is removed by the next process that opens the store.
        let _removed: nix::Result<()> = remove_at(self.parent, &self.name);
    }
}

/// A staging directory whose process is gone, or that is so new that it has no owner yet: nobody becomes that while this value lives.
#[derive(Debug)]
pub(super) struct Stale {
    pub(super) name: OsString,
    /// What may lie in the store without being registered, references first, and what may have a newer component in its record than in its row.
    pub(super) publish: Vec<StorePath>,
    _directory: Lock,
}

/// Returns the staging directories of dead processes.
///
/// The lock that tells is shared, so nobody who only looks hides a dead process from another; who puts things right holds the publish lock as well.
pub(super) fn find_stale(
    parent: BorrowedFd<'_>,
    parent_path: &Path,
) -> Result<Vec<Stale>, FileError> {
    let mut stale = Vec::new();
    for (name, _) in list(parent).map_err(at("list", parent_path))? {
        let path = parent_path.join(&name);
        let directory: OwnedFd = match open_directory_at(parent, &name) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) => continue,
            Err(error) => return Err(at("open", path)(error)),
        };
        let lock =
            try_lock_as(directory, FlockArg::LockSharedNonblock).map_err(at("lock", &path))?;
        if let Some(lock) = lock {
            stale.push(Stale {
                publish: read_publish(&lock),
                name,
                _directory: lock,
            });
        }
    }
    stale.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(stale)
}

/// Reads the list as far as it was written. It is complete before the first rename, so a torn one means that nothing was renamed.
fn read_publish(directory: &Lock) -> Vec<StorePath> {
    let text = open_file_at(directory.as_fd(), OsStr::new(PUBLISH))
        .ok()
        .and_then(|file| std::io::read_to_string(file).ok());
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}
