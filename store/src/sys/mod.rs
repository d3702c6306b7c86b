//! Files below directory descriptors, locks, and the point of each operation where tests make it fail.
//!
//! Invariant: nothing here follows a symlink, and nothing but the store's own fixed directories is opened by an absolute path.

pub(crate) mod change;
pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod lock;

use std::{io, path::PathBuf};

/// A file operation that failed, and on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} `{}`", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}
