//! Blocks: compressed side by side, in order on the disk.

use std::{num::NonZero, thread};

use libdeflater::{CompressionLvl, Compressor as Deflate};

use crate::layer::{Compression, LayerError, ZSTD_LEVEL};

/// The size of a block of data: that of `mksquashfs`.
pub(super) const BLOCK_BYTES: usize = 128 << 10;
/// libdeflate level 6. A layer is sent and unpacked once; a file system is read as long as it is mounted, and its blocks take memory and disk in that time.
const GZIP_LEVEL: i32 = 6;
/// What is set in the size of a block that is stored as it is.
const STORED: u32 = 1 << 24;
/// More blocks than this for each thread in one round only cost memory.
const BLOCKS_PER_THREAD: usize = 16;

/// A block as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    /// Its size, marked where it is not compressed: the form in which inodes have it.
    pub(super) size: u32,
}

/// Compresses blocks one after the other.
pub(super) struct Packer {
    compression: Compression,
    state: State,
}

enum State {
    Gzip(Deflate),
    Zstd(zstd::bulk::Compressor<'static>),
    None,
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Result<Self, LayerError> {
        let error = || LayerError::Compress { compression };
        let state = match compression {
            Compression::Gzip => {
                let level = CompressionLvl::new(GZIP_LEVEL).map_err(|_| error())?;
                State::Gzip(Deflate::new(level))
            }
            Compression::Zstd => {
                State::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|_| error())?)
            }
            Compression::None => State::None,
        };
        Ok(Self { compression, state })
    }

    /// Compresses a block, and keeps it as it is where that is no longer.
    pub(super) fn pack(&mut self, block: &[u8]) -> Result<Packed, LayerError> {
        let compression = self.compression;
        let error = || LayerError::Compress { compression };
        let mut bytes = Vec::new();
        match &mut self.state {
            State::Gzip(compressor) => {
                bytes.resize(compressor.zlib_compress_bound(block.len()), 0);
                let size = compressor.zlib_compress(block, &mut bytes);
                bytes.truncate(size.map_err(|_| error())?);
            }
            State::Zstd(compressor) => bytes = compressor.compress(block).map_err(|_| error())?,
            State::None => {}
        }
        let is_stored = bytes.is_empty() || bytes.len() >= block.len();
        if is_stored {
            bytes.clear();
            bytes.extend_from_slice(block);
        }
        let size = u32::try_from(bytes.len()).map_err(|_| error())?;
        Ok(Packed {
            size: if is_stored { size | STORED } else { size },
            bytes,
        })
    }
}

/// Compresses rounds of blocks on several threads.
pub(super) struct Crew {
    packers: Vec<Packer>,
}

impl Crew {
    pub(super) fn new(
        compression: Compression,
        threads: Option<NonZero<usize>>,
    ) -> Result<Self, LayerError> {
        let threads = threads
            .or_else(|| thread::available_parallelism().ok())
            .map_or(1, NonZero::get)
            .min(16);
        let packers: Result<_, _> = (0..threads).map(|_| Packer::new(compression)).collect();
        Ok(Self { packers: packers? })
    }

    /// How many blocks make a round.
    pub(super) fn round(&self) -> usize {
        self.packers.len() * BLOCKS_PER_THREAD
    }

    /// Compresses the blocks and returns them in the same order.
    pub(super) fn pack(&mut self, blocks: &[&[u8]]) -> Result<Vec<Packed>, LayerError> {
        let share = blocks.len().div_ceil(self.packers.len()).max(1);
        thread::scope(|scope| {
            let workers: Vec<_> = blocks
                .chunks(share)
                .zip(&mut self.packers)
                .map(|(share, packer)| {
                    scope.spawn(move || {
                        let packed = share.iter().map(|block| packer.pack(block));
                        packed.collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(blocks.len());
            for worker in workers {
                match worker.join() {
                    Ok(packed) => all.extend(packed?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_get_shorter_is_stored_and_marked() {
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let mut packer = Packer::new(compression).unwrap();
            let short = packer.pack(b"a").unwrap();
            assert_eq!(
                (short.bytes.as_slice(), short.size),
                (&b"a"[..], 1 | STORED)
            );
            let long = packer.pack(&[7; BLOCK_BYTES]).unwrap();
            let is_stored = compression == Compression::None;
            assert_eq!(long.size & STORED != 0, is_stored);
            assert_eq!(long.size as usize & !(1 << 24), long.bytes.len());
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_byte() {
        let blocks: Vec<Vec<u8>> = (0..37_usize).map(|i| vec![7; i * 1000]).collect();
        let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
        let pack = |threads| {
            let mut crew = Crew::new(Compression::Zstd, NonZero::new(threads)).unwrap();
            crew.pack(&blocks).unwrap()
        };
        assert_eq!(pack(1), pack(5));
    }
}
