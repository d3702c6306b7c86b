//! What is to stay, and what a collection came to.

use std::{collections::BTreeSet, time::Duration};

use crate::{StorePath, cache::format::CacheName};

/// What is to stay in a cache, and for how long nothing goes at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectRequest {
    /// Paths whose closures stay, as those of the pins do.
    pub keep: BTreeSet<StorePath>,
    /// Closures of objects that were written or claimed in this time stay as well. Without it, and without anything that is kept or pinned, nothing is collected.
    pub older_than: Option<Duration>,
    /// How old a file is before it is condemned, and how long it then stays: longer than any push takes for one batch.
    pub grace: Duration,
    /// Write and remove nothing, and tell what would be.
    pub dry_run: bool,
}

/// Some files of a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many records of objects are among them.
    pub objects: usize,
    /// How many packs are.
    pub packs: usize,
    /// How many they are.
    pub files: usize,
    /// The sum of their sizes.
    pub size_bytes: u64,
}

impl Amount {
    /// Counts one more file.
    pub(super) fn add(&mut self, name: &CacheName, size_bytes: u64) {
        self.objects += usize::from(matches!(name, CacheName::Object(_)));
        self.packs += usize::from(matches!(name, CacheName::Pack(_)));
        self.files += 1;
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
    }

    /// Adds other files.
    pub(super) fn merge(&mut self, other: Self) {
        self.objects += other.objects;
        self.packs += other.packs;
        self.files += other.files;
        self.size_bytes = self.size_bytes.saturating_add(other.size_bytes);
    }
}

/// What a collection came to; with [`CollectRequest::dry_run`], what it would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectReport {
    /// Objects that stay, of those that are whole.
    pub kept_objects: usize,
    /// Paths that are kept or pinned and not in the cache.
    pub absent: BTreeSet<StorePath>,
    /// What was removed.
    pub removed: Amount,
    /// What is condemned and still there.
    pub condemned: Amount,
    /// How long that stays at least; `None` if nothing is condemned.
    pub due_in: Option<Duration>,
    /// Packs whose live frames were copied elsewhere, and which are condemned for it.
    pub repacked: usize,
    /// Bytes of the packs that were written for that.
    pub repacked_bytes: u64,
}
