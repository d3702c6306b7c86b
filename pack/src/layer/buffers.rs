//! Buffers that go from layer to layer.
//!
//! Layers that are made one by one, as a push makes them, would each leave behind what the allocator keeps beside the buffers of the next one: half as much
//! memory again.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// A tar piece, and what it is compressed to.
type Pair = (Vec<u8>, Packed);

/// Buffers that nobody uses now. Clones are the same pool; what is in it is given back to the system with the last of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct BufferPool {
    free: Arc<Mutex<Vec<Pair>>>,
}

impl BufferPool {
    /// Lends a pair with any contents: a used one, or a new one where all are lent.
    pub(super) fn lend(&self) -> Buffers {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (plain, packed) = free.pop().unwrap_or_default();
        Buffers {
            plain,
            packed,
            home: Arc::downgrade(&self.free),
        }
    }
}

/// A pair of buffers that goes round: reader → compressor → receiver → reader. It goes back to its pool when it is dropped.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) plain: Vec<u8>,
    pub(super) packed: Packed,
    home: Weak<Mutex<Vec<Pair>>>,
}

impl Drop for Buffers {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let pair = (
            std::mem::take(&mut self.plain),
            std::mem::take(&mut self.packed),
        );
        home.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pair);
    }
}

/// What a piece is compressed to.
///
/// There is room for the longest result. Zeros that nobody has written over take no memory, so it is not what the longest result would take that is used, but what
/// the longest one so far did.
#[derive(Debug, Default)]
pub(super) struct Packed {
    room: Vec<u8>,
    size: usize,
}

impl Packed {
    /// Replaces the contents: `write` is given room for `most` bytes and says how many it has used.
    pub(super) fn fill<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        if self.room.len() < most {
            self.room = vec![0; most];
        }
        self.size = 0;
        self.size = write(&mut self.room)?;
        Ok(())
    }
}

impl Deref for Packed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_lent_again() {
        let pool = BufferPool::default();
        let mut first = pool.lend();
        let second = pool.lend();
        first.plain.reserve_exact(1000);
        first
            .packed
            .fill(3, |room| {
                room[0] = 1;
                Ok::<_, ()>(1)
            })
            .unwrap();
        let place = first.plain.as_ptr();
        drop(first);
        let again = pool.clone().lend();
        assert_eq!(again.plain.as_ptr(), place);
        assert_eq!(*again.packed, [1]);
        drop((second, again));
        assert_eq!(pool.free.lock().unwrap().len(), 2);
    }
}
