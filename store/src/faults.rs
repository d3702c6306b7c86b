//! Makes operations fail or the process die at named points (feature `faults`; for tests only).
//!
//! The points of [`LocalStore::add`](crate::LocalStore::add), in order, are in [`ADD_POINTS`].

use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// The points of an add, in the order in which it passes them.
pub const ADD_POINTS: &[&str] = &[
    "add.leased",
    "add.staged",
    "add.copied",
    "add.rewritten",
    "add.recorded",
    "commit.synced",
    "commit.record_renamed",
    "commit.object_renamed",
    "commit.renames_synced",
    "commit.inserted",
    "commit.committed",
];

/// What happens at an armed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails as if the disk were full.
    Fail,
    /// The process ends at once, without destructors.
    Die,
}

static ARMED: Mutex<Option<(String, Fault)>> = Mutex::new(None);

/// Arms one point of this process, or none.
pub fn set(fault: Option<(&str, Fault)>) {
    *ARMED.lock().unwrap_or_else(PoisonError::into_inner) =
        fault.map(|(name, fault)| (name.to_owned(), fault));
}

/// Reaches a point.
pub(crate) fn point(name: &'static str) -> io::Result<()> {
    let armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    match armed.as_ref() {
        Some((point, Fault::Fail)) if point == name => Err(io::Error::from_raw_os_error(
            nix::errno::Errno::ENOSPC as i32,
        )),
        Some((point, Fault::Die)) if point == name => std::process::abort(),
        _ => Ok(()),
    }
}
