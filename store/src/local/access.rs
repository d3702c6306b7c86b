//! Whether a store can be written by this process, and what it does when it cannot.
//!
//! A store that cannot be written is read as it is: nothing is put right, no lease is taken, no lock is held. Where nobody can write, nothing can go
//! wrong by that. Where somebody else can, objects may go while they are used, as from any directory of somebody else's.

use std::path::Path;

use nix::errno::Errno;

use super::LocalStore;
use crate::{
    db::{DbError, ReadOnlyReason},
    sys::files::may_write,
};

/// What every command that writes needs to write to.
const WRITTEN: &[&str] = &["var/db.sqlite", "var", "store"];

/// Returns why the store at `root` cannot be written; `None` if it can, or if it cannot be told, so that the first write says why.
pub(super) fn read_only_reason(root: &Path) -> Option<ReadOnlyReason> {
    WRITTEN
        .iter()
        .map(|name| root.join(name))
        .find_map(|path| match may_write(&path) {
            Err(Errno::EROFS) => Some(ReadOnlyReason::Mount { path }),
            Err(Errno::EACCES | Errno::EPERM) => Some(ReadOnlyReason::Permission { path }),
            _ => None,
        })
}

impl LocalStore {
    /// Tells whether this process can only read the store. Decided when it was opened.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only().is_some()
    }

    /// Fails if this process can only read the store; for whoever would otherwise find it out late.
    pub fn check_writable(&self) -> Result<(), DbError> {
        match self.read_only() {
            None => Ok(()),
            Some(reason) => Err(DbError::ReadOnly {
                root: self.root().to_owned(),
                reason: reason.clone(),
            }),
        }
    }
}
