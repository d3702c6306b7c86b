//! The files of a project, as far as recognising it needs them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ProjectError;

/// A file larger than this is no manifest, and is not read.
const MAX_BYTES: u64 = 16 << 20;

/// Files by their path below a directory, with slashes.
pub trait ProjectFiles {
    /// Returns the text of a file; `None` when there is none, when it is no text, or when it is larger than 16 MiB.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn text(&self, path: &str) -> Result<Option<String>, ProjectError>;

    /// Returns the names in a directory, sorted; empty when it is not there. `""` is the directory itself.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn names(&self, directory: &str) -> Result<Vec<String>, ProjectError>;
}

/// Files on disk.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Returns the files below `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

/// Whether an error only says that nothing is there.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

impl ProjectFiles for Directory {
    fn text(&self, path: &str) -> Result<Option<String>, ProjectError> {
        let path = self.path.join(path);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) if !metadata.is_file() || metadata.len() > MAX_BYTES => return Ok(None),
            Ok(_) => fs::read(&path),
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
            Err(error) if is_absent(&error) => Ok(None),
            Err(source) => Err(ProjectError::Read { path, source }),
        }
    }

    fn names(&self, directory: &str) -> Result<Vec<String>, ProjectError> {
        let path = self.path.join(directory);
        let failed = |source| ProjectError::Read {
            path: path.clone(),
            source,
        };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }
}

impl ProjectFiles for BTreeMap<String, String> {
    fn text(&self, path: &str) -> Result<Option<String>, ProjectError> {
        Ok(self.get(path).cloned())
    }

    fn names(&self, directory: &str) -> Result<Vec<String>, ProjectError> {
        let below = |path: &String| {
            let rest = match directory {
                "" => path.as_str(),
                _ => path.strip_prefix(directory)?.strip_prefix('/')?,
            };
            rest.split('/').next().map(str::to_owned)
        };
        let mut names: Vec<String> = self.keys().filter_map(below).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }
}
