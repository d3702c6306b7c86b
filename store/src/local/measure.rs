//! How large a source is, before anything of it is written.

use std::{
    ffi::OsStr,
    os::fd::{AsFd, BorrowedFd},
};

use nix::dir::Type;

use super::{AddBatch, AddSource, Limits};
use crate::{
    sys::files::{file_type, inspect_at, list, open_directory_at},
    tree::{MAX_DEPTH, MemoryNode},
};

/// Whether the files of directories are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directories {
    /// Each of them.
    Measured,
    /// None: what lies in a directory counts nothing.
    PassedOver,
}

/// What a source takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Measure {
    /// Bytes in whole blocks.
    pub(super) disk_bytes: u64,
    /// Files, symlinks and directories.
    pub(super) nodes: u64,
}

impl Measure {
    /// Measures what a batch is about to write, streams by what was declared.
    ///
    /// Looks at each file of a directory, but reads none. What cannot be looked at counts nothing, and so does an object that exceeds its limits: reading
    /// it will say why it cannot be added.
    pub(super) fn of(
        batch: &AddBatch<'_>,
        block: u64,
        limits: Limits,
        directories: Directories,
    ) -> Self {
        let mut sum = Self::default();
        sum.add_file(batch.declared_bytes, block);
        for object in &batch.objects {
            let mut measure = Self::default();
            match &object.source {
                AddSource::Entry { parent, name } => {
                    if directories == Directories::Measured {
                        measure.add_entry(*parent, name, block, 0);
                    }
                }
                AddSource::Bytes { bytes, .. } => measure.add_file(length(bytes), block),
                AddSource::Reader { .. } | AddSource::Symlink { .. } => measure.add_file(0, block),
                AddSource::Tree(node) => measure.add_memory(node, block),
            }
            if measure.disk_bytes <= limits.object_bytes && measure.nodes <= limits.object_nodes {
                sum.disk_bytes = sum.disk_bytes.saturating_add(measure.disk_bytes);
                sum.nodes = sum.nodes.saturating_add(measure.nodes);
            }
        }
        sum
    }

    fn add_file(&mut self, bytes: u64, block: u64) {
        self.nodes = self.nodes.saturating_add(1);
        self.disk_bytes = self
            .disk_bytes
            .saturating_add(bytes.div_ceil(block).saturating_mul(block));
    }

    fn add_memory(&mut self, node: &MemoryNode, block: u64) {
        match node {
            MemoryNode::File { bytes, .. } => self.add_file(length(bytes), block),
            MemoryNode::Symlink { .. } => self.add_file(0, block),
            MemoryNode::Directory { entries } => {
                self.add_file(1, block);
                for node in entries.values() {
                    self.add_memory(node, block);
                }
            }
        }
    }

    fn add_entry(&mut self, parent: BorrowedFd<'_>, name: &OsStr, block: u64, depth: usize) {
        let Ok(stat) = inspect_at(parent, name) else {
            return;
        };
        match file_type(stat.st_mode) {
            Some(Type::File) => self.add_file(u64::try_from(stat.st_size).unwrap_or(0), block),
            Some(Type::Directory) => {
                self.add_file(1, block);
                if let Ok(directory) = open_directory_at(parent, name)
                    && let Ok(entries) = list(&directory)
                    && depth < MAX_DEPTH
                {
                    for (entry, _) in entries {
                        self.add_entry(directory.as_fd(), &entry, block, depth + 1);
                    }
                }
            }
            _ => self.add_file(0, block),
        }
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
