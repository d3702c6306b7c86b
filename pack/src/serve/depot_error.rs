//! Why what clients pushed cannot be kept or found.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the directory of what was pushed cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    /// A file cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another server has the directory.
    #[error("another server has `{}`", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
}

impl DepotError {
    /// Returns the HTTP status.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::File { source, .. }
                if matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                507
            }
            _ => 500,
        }
    }
}

/// Says what was tried with which file.
pub(super) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> DepotError + 'a {
    move |source| DepotError::File {
        action,
        path: path.to_path_buf(),
        source,
    }
}
