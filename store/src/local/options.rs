//! What a caller decides about a store.

use std::{fmt, sync::Arc};

/// Something worth telling a user who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEvent {
    /// Another process has been writing to the database for more than a second.
    WaitingForDatabase,
    /// The store was not closed properly, and what was interrupted is being put right.
    Recovering,
    /// The database is gone, and is made again from the records; all objects are hashed for that.
    Rebuilding,
    /// An object was found damaged after a crash of the machine and is no longer valid.
    Damaged {
        /// Its path.
        path: crate::StorePath,
    },
}

/// Bounds on one object. What exceeds them is refused before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The sum of the sizes of its files.
    pub object_bytes: u64,
    /// The number of its files, symlinks and directories.
    pub object_nodes: u64,
}

impl Default for Limits {
    /// 256 GiB in 16 million nodes: more than any package, less than a disk.
    fn default() -> Self {
        Self {
            object_bytes: 256 << 30,
            object_nodes: 16 << 20,
        }
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct StoreOptions {
    /// Returns the time in seconds since 1970. Recorded with each object and used for nothing else.
    pub clock: fn() -> u64,
    /// Called when something takes time or went wrong outside the caller's own request.
    pub on_event: Option<Arc<dyn Fn(StoreEvent) + Send + Sync>>,
    /// Bounds on one object.
    pub limits: Limits,
}

impl StoreOptions {
    /// Makes options with default limits and nobody to listen.
    #[must_use]
    pub fn new(clock: fn() -> u64) -> Self {
        Self {
            clock,
            on_event: None,
            limits: Limits::default(),
        }
    }

    pub(super) fn tell(&self, event: StoreEvent) {
        if let Some(on_event) = &self.on_event {
            on_event(event);
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
