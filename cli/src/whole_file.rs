//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::CommandError;

/// A file could not be written.
#[derive(Debug, Error)]
#[error("cannot write `{}`", path.display())]
struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes a file, such as a lock file, in one step.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), CommandError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| {
        let path = path.to_path_buf();
        CommandError::failed(WriteError { path, source })
    })
}
