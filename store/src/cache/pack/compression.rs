//! Frames that are being compressed on all cores, given and taken in one order.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, RecvError, TryRecvError, sync_channel},
    },
};

use super::{PackError, write::KnownFrames};
use crate::{cache::format::compress, id::BlobId};

/// Bytes of frames in flight at most, uncompressed; what they are compressed to comes on top.
const IN_FLIGHT: usize = 8 << 20;

/// What will be one frame.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its number, by which the writer knows it.
    pub(super) number: usize,
    pub(super) content: Vec<u8>,
    /// The blobs that lie whole in it; each is compared with its digest.
    pub(super) blobs: Vec<(BlobId, Range<usize>)>,
}

/// One frame, compressed.
#[derive(Debug)]
pub(super) struct Compressed {
    pub(super) number: usize,
    /// The digest of what it holds.
    pub(super) content: BlobId,
    /// How many bytes it holds.
    pub(super) length: usize,
    /// The frame; `None` where the cache has it.
    pub(super) bytes: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Job {
    length: usize,
    result: Receiver<Result<Compressed, PackError>>,
}

/// Frames in flight.
#[derive(Debug)]
pub(super) struct Compression {
    known: Arc<KnownFrames>,
    jobs: VecDeque<Job>,
    in_flight: usize,
}

impl Compression {
    pub(super) const fn new(known: Arc<KnownFrames>) -> Self {
        Self {
            known,
            jobs: VecDeque::new(),
            in_flight: 0,
        }
    }

    /// Returns where the cache has a frame with this content.
    pub(super) fn known(&self, content: &BlobId) -> Option<&crate::cache::format::Frame> {
        self.known.get(content)
    }

    /// Tells whether a result must be taken before another frame is given.
    pub(super) const fn is_full(&self) -> bool {
        self.in_flight >= IN_FLIGHT
    }

    pub(super) fn push(&mut self, draft: Draft) {
        let (sender, result) = sync_channel(1);
        let known = Arc::clone(&self.known);
        let length = draft.content.len();
        rayon::spawn(move || {
            // Nobody waits any more if the writer was dropped.
            let _unread = sender.send(draft.compress(&known));
        });
        self.in_flight += length;
        self.jobs.push_back(Job { length, result });
    }

    /// Waits for the frame that was given first; `None` when there is none.
    pub(super) fn pop(&mut self) -> Option<Result<Compressed, PackError>> {
        let job = self.jobs.pop_front()?;
        self.in_flight -= job.length;
        let result = wait(&job.result).unwrap_or_else(|gone| {
            let gone = std::io::Error::other(gone);
            Err(PackError::Compress(gone))
        });
        Some(result)
    }
}

/// Waits for a result; on a thread of the pool by doing other work meanwhile, since it might wait for itself otherwise.
fn wait<T>(result: &Receiver<T>) -> Result<T, RecvError> {
    loop {
        match result.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Disconnected) => return Err(RecvError),
            Err(TryRecvError::Empty) => {}
        }
        // A job that no thread is left to begin is done here; one that another thread has begun ends without this one.
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            return result.recv();
        }
    }
}

impl Draft {
    pub(super) const fn new(number: usize) -> Self {
        Self {
            number,
            content: Vec::new(),
            blobs: Vec::new(),
        }
    }

    fn compress(self, known: &KnownFrames) -> Result<Compressed, PackError> {
        for (blob, range) in &self.blobs {
            if self.content.get(range.clone()).map(hash) != Some(*blob) {
                return Err(PackError::Blob { blob: *blob });
            }
        }
        let content = match &self.blobs[..] {
            // Compared with the blob's digest above.
            [(blob, range)] if *range == (0..self.content.len()) => *blob,
            _ => hash(&self.content),
        };
        let bytes = if known.contains_key(&content) {
            None
        } else {
            Some(compress(&self.content).map_err(PackError::Compress)?)
        };
        Ok(Compressed {
            number: self.number,
            content,
            length: self.content.len(),
            bytes,
        })
    }
}

fn hash(bytes: &[u8]) -> BlobId {
    BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
}
