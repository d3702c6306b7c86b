//! What one object may take, counted before a byte of it is written.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{AddError, Limits, room::Room};
use crate::id::StoreName;

/// The nodes and bytes of one object so far, and their bounds. Counted by several threads at once.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    name: &'a StoreName,
    limits: Limits,
    room: &'a Room,
    bytes: AtomicU64,
    nodes: AtomicU64,
}

impl<'a> Budget<'a> {
    pub(super) fn new(name: &'a StoreName, limits: Limits, room: &'a Room) -> Self {
        Self {
            name,
            limits,
            room,
            bytes: AtomicU64::new(0),
            nodes: AtomicU64::new(0),
        }
    }

    /// The largest sum of file sizes.
    pub(super) fn object_bytes(&self) -> u64 {
        self.limits.object_bytes
    }

    pub(super) fn count_nodes(&self, count: u64) -> Result<(), AddError> {
        let nodes = self
            .nodes
            .fetch_add(count, Ordering::Relaxed)
            .saturating_add(count);
        let limit = self.limits.object_nodes;
        if nodes > limit {
            Err(AddError::TooManyNodes {
                name: self.name.clone(),
                limit,
            })
        } else {
            Ok(())
        }
    }

    /// Takes a file's size into account before a byte of it is written.
    pub(super) fn count_bytes(&self, count: u64) -> Result<(), AddError> {
        let needed = self
            .bytes
            .fetch_add(count, Ordering::Relaxed)
            .saturating_add(count);
        let limit = self.limits.object_bytes;
        if needed > limit {
            return Err(AddError::TooLarge {
                name: self.name.clone(),
                limit,
            });
        }
        self.room.take(count)
    }
}
