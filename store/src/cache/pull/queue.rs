//! Frames between those who read them and those who take them apart, bounded in bytes.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
};

use super::{caches::lock, plan::Job};
use crate::cache::format::Frame;

/// Bytes in flight at most, compressed and not.
const IN_FLIGHT: usize = 32 << 20;

/// A frame as it came.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) job: Job,
    /// The frame, with the length that it has where it came from.
    pub(super) frame: Frame,
    pub(super) bytes: Vec<u8>,
}

impl Item {
    /// Bytes that it takes until it is done.
    fn cost(&self) -> usize {
        self.bytes.len() + self.frame.length as usize
    }
}

/// Frames on their way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// The memory of frames that are done: as many as were in flight at once.
    spare: Vec<Vec<u8>>,
    in_flight: usize,
    is_closed: bool,
}

impl Queue {
    /// Gives a frame; waits while there are too many.
    pub(super) fn push(&self, item: Item) {
        let mut state = lock(&self.state);
        while state.in_flight > IN_FLIGHT {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.in_flight += item.cost();
        state.items.push_back(item);
        drop(state);
        self.changed.notify_all();
    }

    /// Returns memory for a frame, with anything in it.
    pub(super) fn buffer(&self) -> Vec<u8> {
        lock(&self.state).spare.pop().unwrap_or_default()
    }

    /// Does something with each frame until the queue is closed and empty. What that leaves of a frame's bytes is memory for others.
    pub(super) fn work(&self, mut work: impl FnMut(Item) -> Vec<u8>) {
        loop {
            let mut state = lock(&self.state);
            let item = loop {
                if let Some(item) = state.items.pop_front() {
                    break item;
                }
                if state.is_closed {
                    return;
                }
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            let cost = item.cost();
            let spare = work(item);
            let mut state = lock(&self.state);
            state.in_flight -= cost;
            state.spare.push(spare);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Says that no more frames come.
    pub(super) fn close(&self) {
        lock(&self.state).is_closed = true;
        self.changed.notify_all();
    }
}
