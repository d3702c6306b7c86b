//! Places for outputs: made beside the target, renamed when complete, removed when not.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

use super::SinkError;

/// What unfinished outputs are called, should the machine lose power.
const PREFIX: &str = ".pith-pack-";
/// What any program gives to new files; the umask takes from it.
const FILE_MODE: u32 = 0o666;

/// A file that is not in its place yet.
pub(crate) struct NewFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// Starts a file that is to be at `target`, which may be a regular file already, or a link to one.
    pub(crate) fn beside(target: &Path) -> Result<Self, SinkError> {
        let target = resolve_file(target)?;
        let temporary = Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(FILE_MODE))
            .tempfile_in(parent_of(&target))
            .map_err(SinkError::writing(&target))?;
        Ok(Self { temporary, target })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Where the file will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// As [`finish`](Self::finish), but at another place of the same directory.
    pub(crate) fn finish_as(mut self, target: &Path) -> Result<(), SinkError> {
        self.target = target.to_path_buf();
        self.finish()
    }

    /// Makes the bytes durable and puts the file into its place, at once.
    pub(crate) fn finish(self) -> Result<(), SinkError> {
        self.temporary
            .as_file()
            .sync_data()
            .map_err(SinkError::writing(&self.target))?;
        self.temporary
            .persist(&self.target)
            .map_err(|error| SinkError::writing(&self.target)(error.error))?;
        Ok(())
    }
}

/// Writes a small file, which appears complete or not at all; a regular file that is there is replaced.
pub fn write_file(target: &Path, bytes: &[u8]) -> Result<(), SinkError> {
    let mut new = NewFile::beside(target)?;
    io::Write::write_all(new.file(), bytes).map_err(SinkError::writing(target))?;
    new.finish()
}

/// Follows a link to the file that is to be replaced, and refuses to replace what is not a regular file.
fn resolve_file(target: &Path) -> Result<PathBuf, SinkError> {
    let real = match fs::canonicalize(target) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_path_buf(),
        Err(source) => return Err(SinkError::writing(target)(source)),
    };
    match fs::symlink_metadata(&real) {
        Ok(found) if !found.is_file() => Err(SinkError::Occupied {
            path: target.to_path_buf(),
            found: if found.is_dir() {
                "a directory"
            } else {
                "not a regular file"
            },
            wanted: "a file",
        }),
        _ => Ok(real),
    }
}

/// A directory that is not in its place yet.
#[derive(Debug)]
pub(crate) struct NewDirectory {
    temporary: PathBuf,
    target: PathBuf,
}

impl NewDirectory {
    /// Starts a directory that is to be at `target`, where nothing or an empty directory is.
    pub(crate) fn beside(target: &Path) -> Result<Self, SinkError> {
        let temporary = Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(parent_of(target))
            .map_err(SinkError::writing(target))?
            .keep();
        Ok(Self {
            temporary,
            target: target.to_path_buf(),
        })
    }

    /// Where the directory is now.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Puts the directory into its place, at once.
    pub(crate) fn finish(self) -> Result<(), SinkError> {
        fs::rename(&self.temporary, &self.target).map_err(SinkError::writing(&self.target))?;
        // There is nothing left to remove.
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        // A failure here would hide the one that led here.
        remove_tree(&self.temporary).ok();
    }
}

/// Removes a tree with directories that are not writable.
fn remove_tree(directory: &Path) -> io::Result<()> {
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(directory)
}

/// What is at the place of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing, or an empty directory.
    Free,
    /// A directory with something in it.
    Directory,
}

/// Looks at the place of a directory.
pub(crate) fn look_at(target: &Path) -> Result<Place, SinkError> {
    match fs::metadata(target) {
        Ok(found) if found.is_dir() => {
            let mut entries = fs::read_dir(target).map_err(SinkError::reading(target))?;
            Ok(if entries.next().is_none() {
                Place::Free
            } else {
                Place::Directory
            })
        }
        Ok(_) => Err(SinkError::Occupied {
            path: target.to_path_buf(),
            found: "a file",
            wanted: "a directory",
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Place::Free),
        Err(source) => Err(SinkError::reading(target)(source)),
    }
}

/// Returns the directory in which `target` is.
fn parent_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => target,
    }
}
