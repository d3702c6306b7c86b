//! How a caller follows a long operation, and ends it.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

/// How far a long operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// What there is to do is known.
    Started {
        /// How many objects.
        objects: u64,
        /// How many bytes in them.
        bytes: u64,
    },
    /// Some of the bytes are done.
    Advanced {
        /// How many since the last time.
        bytes: u64,
    },
}

/// Told of progress, from several threads, and asked whether to go on.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Called with each step.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Becomes true when the operation shall end early.
    pub cancel: &'a AtomicBool,
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl Watch<'static> {
    /// Nobody looks, and nobody interrupts.
    #[must_use]
    pub const fn nobody() -> Self {
        Self {
            progress: &|_| {},
            cancel: &NEVER,
        }
    }
}

impl Watch<'_> {
    /// Tells whether the operation shall end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    pub(super) fn started(&self, objects: u64, bytes: u64) {
        (self.progress)(Progress::Started { objects, bytes });
    }

    pub(super) fn advanced(&self, bytes: u64) {
        if bytes > 0 {
            (self.progress)(Progress::Advanced { bytes });
        }
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("cancel", &self.cancel)
            .finish_non_exhaustive()
    }
}
