//! Layers to bytes, in parallel, with flat memory.
//!
//! One thread reads the store, writes tar and computes the diff ids; several compress pieces of 4 MiB; the calling thread puts the pieces in order again,
//! computes the digests and hands the bytes on. The pieces of all layers go through one pipeline, so that no processor waits at the end of a layer. A
//! fixed number of buffers goes round, which bounds the memory and makes the reader wait for the slowest.
//!
//! The bytes do not depend on the number of threads: where a piece ends depends on its segment alone, and what it is compressed to on the piece alone.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{
        Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use super::{
    Compression, Layer, LayerError, PIECE_BYTES,
    codec::PieceCompressor,
    piece::{Halt, PieceWriter},
};
use crate::{
    Event,
    oci::{Descriptor, DiffId, Digest, DigestWriter},
};

/// More threads than this only cost memory: the one that reads cannot feed them.
const MAX_THREADS: usize = 16;

/// What a layer became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerDigests {
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// The size of the tar.
    pub tar_size_bytes: u64,
    /// The digest of the compressed tar: the layer's blob.
    pub digest: Digest,
    /// The size of the compressed tar.
    pub size_bytes: u64,
}

impl LayerDigests {
    /// Describes the blob.
    pub fn descriptor(&self, compression: Compression) -> Descriptor {
        Descriptor::new(compression.media_type(), self.digest, self.size_bytes)
    }
}

/// What [`Encoder::encode`] hands on: for each layer `Begin`, its bytes, `End`.
#[derive(Debug)]
pub(crate) enum Encoded<'a> {
    /// The layer with this index starts.
    Begin(usize),
    /// The next compressed bytes of the layer.
    Bytes(&'a [u8]),
    /// The layer with this index is complete.
    End(usize, LayerDigests),
}

/// How layers are made.
pub(crate) struct Encoder<'a> {
    pub(crate) compression: Compression,
    /// How many threads compress; as many as there are processors where it is `None`.
    pub(crate) threads: Option<NonZero<usize>>,
    pub(crate) events: &'a (dyn Fn(Event<'_>) + Sync),
}

/// A pair of buffers that goes round: reader → compressor → receiver → reader.
#[derive(Default)]
struct Buffers {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

/// What arrives at the calling thread; put in order by its number.
enum Message {
    Begin(usize),
    Piece(Buffers),
    End {
        layer: usize,
        diff_id: DiffId,
        tar_size_bytes: u64,
    },
    Failed(LayerError),
}

struct Job {
    number: u64,
    buffers: Buffers,
}

impl Encoder<'_> {
    /// Makes the given layers, in this order, and hands everything to `receive`. The index comes back in [`Encoded`].
    ///
    /// When `receive` fails, everything stops and its error is returned.
    pub(crate) fn encode<E: From<LayerError>>(
        &self,
        layers: &[(usize, &Layer)],
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let threads = self
            .threads
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZero::get)
            .min(MAX_THREADS);
        let (free_sender, free) = mpsc::channel();
        for _ in 0..threads + 2 {
            // Cannot fail: the receiver lives in this function.
            free_sender.send(Buffers::default()).ok();
        }
        let (jobs_sender, jobs) = mpsc::channel();
        let (done_sender, done) = mpsc::channel();
        let jobs = Mutex::new(jobs);
        thread::scope(|scope| {
            for _ in 0..threads {
                let done = done_sender.clone();
                scope.spawn(|| self.compress(&jobs, done));
            }
            scope.spawn(move || {
                let mut reader = LayerReader {
                    free,
                    jobs: jobs_sender,
                    done: done_sender,
                    number: 0,
                };
                reader.read(layers);
            });
            // Ends of channels that are dropped here, after an error, stop the other threads.
            self.collect(layers.len(), &done, free_sender, receive)
        })
    }

    fn compress(&self, jobs: &Mutex<Receiver<Job>>, done: Sender<(u64, Message)>) {
        let mut compressor = PieceCompressor::new(self.compression);
        loop {
            let job = jobs.lock().map(|jobs| jobs.recv());
            let Ok(Ok(Job {
                number,
                mut buffers,
            })) = job
            else {
                return;
            };
            let result = match &mut compressor {
                Ok(compressor) => compressor.compress(&buffers.plain, &mut buffers.packed),
                Err(_) => Err(LayerError::Compress {
                    compression: self.compression,
                }),
            };
            let message = match result {
                Ok(()) => Message::Piece(buffers),
                Err(error) => Message::Failed(error),
            };
            if done.send((number, message)).is_err() {
                return;
            }
        }
    }

    fn collect<E: From<LayerError>>(
        &self,
        layers: usize,
        done: &Receiver<(u64, Message)>,
        free: Sender<Buffers>,
        receive: &mut dyn FnMut(Encoded<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut early = BTreeMap::new();
        let mut next = 0;
        let mut blob = DigestWriter::default();
        let mut ended = 0;
        while ended < layers {
            let message = loop {
                if let Some(message) = early.remove(&next) {
                    break message;
                }
                // A panic of another thread closes the channel and is passed on when the scope ends.
                let Ok((number, message)) = done.recv() else {
                    return Ok(());
                };
                early.insert(number, message);
            };
            next += 1;
            match message {
                Message::Begin(layer) => {
                    blob = DigestWriter::default();
                    receive(Encoded::Begin(layer))?;
                }
                Message::Piece(buffers) => {
                    blob.update(&buffers.packed);
                    receive(Encoded::Bytes(&buffers.packed))?;
                    (self.events)(Event::Encoded {
                        tar_bytes: buffers.plain.len() as u64,
                    });
                    // Fails when the reader has read everything.
                    free.send(buffers).ok();
                }
                Message::End {
                    layer,
                    diff_id,
                    tar_size_bytes,
                } => {
                    let blob = std::mem::take(&mut blob);
                    let digests = LayerDigests {
                        diff_id,
                        tar_size_bytes,
                        size_bytes: blob.size_bytes(),
                        digest: blob.finish(),
                    };
                    receive(Encoded::End(layer, digests))?;
                    ended += 1;
                }
                Message::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// The thread that reads the store.
struct LayerReader {
    free: Receiver<Buffers>,
    jobs: Sender<Job>,
    done: Sender<(u64, Message)>,
    number: u64,
}

/// Somebody else failed first, and this thread has to stop.
struct Stopped;

impl LayerReader {
    fn read(&mut self, layers: &[(usize, &Layer)]) {
        for (index, layer) in layers {
            if self.read_layer(*index, layer).is_err() {
                return;
            }
        }
    }

    fn read_layer(&mut self, index: usize, layer: &Layer) -> Result<(), Stopped> {
        self.send(Message::Begin(index))?;
        let mut tar = DigestWriter::default();
        let mut buffers = self.free_buffers()?;
        for segment in &layer.segments {
            let plain = std::mem::take(&mut buffers.plain);
            let result = PieceWriter::new(plain, &mut |piece| {
                tar.update(&piece);
                buffers.plain = piece;
                let full = std::mem::take(&mut buffers);
                buffers = self.submit(full).map_err(|Stopped| Halt::Stopped)?;
                Ok(std::mem::take(&mut buffers.plain))
            })
            .write_segment(segment);
            match result {
                Ok(plain) => buffers.plain = plain,
                Err(Halt::Stopped) => return Err(Stopped),
                Err(Halt::Failed(error)) => {
                    self.send(Message::Failed(error))?;
                    return Err(Stopped);
                }
            }
        }
        let message = Message::End {
            layer: index,
            tar_size_bytes: tar.size_bytes(),
            diff_id: DiffId(tar.finish()),
        };
        self.send(message)
    }

    /// Gives a full piece to the compressors and waits for a free pair of buffers.
    fn submit(&mut self, buffers: Buffers) -> Result<Buffers, Stopped> {
        let number = self.take_number();
        self.jobs
            .send(Job { number, buffers })
            .map_err(|_| Stopped)?;
        self.free_buffers()
    }

    /// Waits for a free pair of buffers: an empty one with room for a piece, and one for what it is compressed to.
    fn free_buffers(&self) -> Result<Buffers, Stopped> {
        let mut buffers = self.free.recv().map_err(|_| Stopped)?;
        buffers.plain.clear();
        buffers.plain.reserve_exact(PIECE_BYTES);
        Ok(buffers)
    }

    fn send(&mut self, message: Message) -> Result<(), Stopped> {
        let number = self.take_number();
        self.done.send((number, message)).map_err(|_| Stopped)
    }

    const fn take_number(&mut self) -> u64 {
        self.number += 1;
        self.number - 1
    }
}
