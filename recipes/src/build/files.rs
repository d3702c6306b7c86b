//! Failures of pith's own files, always with the file's name.

use std::io;
use std::path::{Path, PathBuf};

/// A file of pith's own could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use `{}`", .path.display())]
pub struct FileFailure {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Puts a path around an error; for `map_err`.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> FileFailure + use<> {
    let path = path.to_owned();
    move |source| FileFailure {
        path: path.clone(),
        source,
    }
}
