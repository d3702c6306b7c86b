//! The bytes of a disk in memory: sparse, and cheap to copy, since copies share the blocks that neither has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A disk. What was never written reads as zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    size_bytes: u64,
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

impl Image {
    pub(crate) fn empty(size_bytes: u64) -> Self {
        Self {
            size_bytes,
            blocks: BTreeMap::new(),
        }
    }

    pub(crate) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Returns the bytes from `offset` on, fewer than asked for at the end of the disk.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let left = self.size_bytes.saturating_sub(offset);
        let length = usize::try_from(left).map_or(length, |left| left.min(length));
        let mut bytes = vec![0; length];
        for (block, within, range) in pieces(offset, length) {
            if let Some(block) = self.blocks.get(&block) {
                let size = range.len();
                bytes[range].copy_from_slice(&block[within..within + size]);
            }
        }
        bytes
    }

    /// Returns what is not zero: blocks and their offsets.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let blocks = self.blocks.iter();
        blocks.map(|(number, block)| (number * BLOCK as u64, block.as_slice()))
    }

    /// Writes bytes, as far as they lie on the disk.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let left = self.size_bytes.saturating_sub(offset);
        let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        for (number, within, range) in pieces(offset, length) {
            let size = range.len();
            let block = self
                .blocks
                .entry(number)
                .or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[within..within + size].copy_from_slice(&bytes[range]);
            if **block == ZEROS {
                self.blocks.remove(&number);
            }
        }
    }
}

/// Divides a range of the disk at the borders of blocks: the block, the offset in it, and the part of the range.
fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let place = offset + u64::try_from(done).expect("a usize is no wider than 64 bits");
        let within = usize::try_from(place % BLOCK as u64).expect("it is less than a block");
        let size = (BLOCK - within).min(length - done);
        let range = done..done + size;
        done += size;
        Some((place / BLOCK as u64, within, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reads_as_it_was_written() {
        let mut image = Image::empty(20_000);
        let mut plain = vec![0; 20_000];
        for (number, (offset, length)) in [(0, 4096), (100, 50), (4090, 8200), (19_990, 100)]
            .into_iter()
            .enumerate()
        {
            let bytes = vec![u8::try_from(number + 1).unwrap(); length];
            image.write(offset, &bytes);
            let start = usize::try_from(offset).unwrap();
            let end = plain.len().min(start + length);
            plain[start..end].copy_from_slice(&bytes[..end - start]);
        }
        assert_eq!(image.read(0, 30_000), plain);
        assert_eq!(image.read(4000, 300), plain[4000..4300]);
    }

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let mut image = Image::empty(8192);
        image.write(0, b"before");
        let copy = image.clone();
        image.write(0, b"after!");
        assert_eq!(copy.read(0, 6), b"before");
        assert_eq!(image.read(0, 6), b"after!");
    }

    #[test]
    fn zeros_take_no_memory() {
        let mut image = Image::empty(8192);
        image.write(10, b"x");
        image.write(0, &[0; 8192]);
        assert_eq!(image, Image::empty(8192));
    }
}
