//! The digest of a file's bytes together with the digests of its blocks.
//!
//! BLAKE3 is a tree over chunks of 1 KiB. The chaining values of the subtrees of 64 KiB fall out of the same pass that gives the root, and merge to it
//! again. So a list of them costs no hashing when a file is written, can be checked against the [`BlobId`] alone, and tells afterwards which block of
//! a damaged file is wrong. 64 KiB keep the list at 0.05 % of the file, and are enough chunks to fill the widest vectors.

use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use rayon::prelude::*;

use crate::id::BlobId;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 64 << 10;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// The digest of one block: a BLAKE3 chaining value.
pub type BlockDigest = [u8; 32];

/// What a file's bytes hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobDigest {
    /// The digest of all of them.
    pub blob: BlobId,
    /// How many they are.
    pub size: u64,
    /// The digests of the blocks, in order; empty for a file of at most one block, for which `blob` says it all.
    pub blocks: Vec<BlockDigest>,
}

/// Hashes a file in one pass.
#[derive(Debug, Default)]
pub struct BlobHasher {
    /// The block that is not full, or is full and perhaps the only one.
    open: Hasher,
    filled: usize,
    blocks: Vec<BlockDigest>,
}

impl BlobHasher {
    /// Begins a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, on this thread.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.close_full();
            let (part, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
            self.open.update(part);
            self.filled += part.len();
            bytes = rest;
        }
    }

    /// Takes the next bytes, on all threads; worth it from some hundred KiB on.
    pub fn update_parallel(&mut self, bytes: &[u8]) {
        let (start, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - self.filled));
        self.update(start);
        if rest.is_empty() {
            return;
        }
        self.close_full();
        // The last block stays open: it may be the file's last, and then only the end of the file tells how it is finished.
        let whole = (rest.len() - 1) / BLOCK_BYTES * BLOCK_BYTES;
        let (whole, end) = rest.split_at(whole);
        let offset = self.offset();
        let end_offset = offset + whole.len() as u64;
        let blocks = whole.par_chunks_exact(BLOCK_BYTES).enumerate();
        let blocks = blocks.map(|(index, block)| {
            let mut hasher = hasher_at(offset + index as u64 * BLOCK);
            hasher.update(block).finalize_non_root()
        });
        let open = &mut self.open;
        rayon::join(
            || self.blocks.par_extend(blocks),
            || {
                *open = hasher_at(end_offset);
                open.update(end);
            },
        );
        self.filled = end.len();
    }

    /// Returns the digests of the file.
    #[must_use]
    pub fn finish(mut self) -> BlobDigest {
        let size = self.offset() + self.filled as u64;
        if self.blocks.is_empty() {
            return BlobDigest {
                blob: BlobId::from_bytes(*self.open.finalize().as_bytes()),
                size,
                blocks: Vec::new(),
            };
        }
        self.blocks.push(self.open.finalize_non_root());
        BlobDigest {
            blob: merge(&self.blocks),
            size,
            blocks: self.blocks,
        }
    }

    /// Where the open block begins.
    fn offset(&self) -> u64 {
        self.blocks.len() as u64 * BLOCK
    }

    fn close_full(&mut self) {
        if self.filled == BLOCK_BYTES {
            self.blocks.push(self.open.finalize_non_root());
            self.open = hasher_at(self.offset());
            self.filled = 0;
        }
    }
}

fn hasher_at(offset: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher
}

/// Returns the number of block digests that a file of this size has.
#[must_use]
pub const fn block_count(size: u64) -> u64 {
    if size > BLOCK {
        size.div_ceil(BLOCK)
    } else {
        0
    }
}

/// Tells whether these are the digests of the blocks of the file that `blob` names.
#[must_use]
pub fn are_blocks_of(blob: &BlobId, size: u64, blocks: &[BlockDigest]) -> bool {
    blocks.len() as u64 == block_count(size) && (blocks.is_empty() || merge(blocks) == *blob)
}

/// Returns where the first block begins that is not as it should be; `None` if all are.
///
/// A file that is too short or too long differs where the shorter of the two ends, at the latest.
#[must_use]
pub fn first_difference(expected: &BlobDigest, found: &BlobDigest) -> Option<u64> {
    if expected.blob == found.blob && expected.size == found.size {
        return None;
    }
    let same = expected
        .blocks
        .iter()
        .zip(&found.blocks)
        .take_while(|(expected, found)| expected == found)
        .count();
    Some(same as u64 * BLOCK)
}

/// Merges the digests of at least two blocks.
fn merge(blocks: &[BlockDigest]) -> BlobId {
    let (left, right) = halves(blocks);
    let root = merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    BlobId::from_bytes(*root.as_bytes())
}

fn subtree(blocks: &[BlockDigest]) -> BlockDigest {
    if let [block] = blocks {
        return *block;
    }
    let (left, right) = halves(blocks);
    merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// BLAKE3 §2.1: the left subtree has the largest power of two of chunks that leaves something for the right one.
fn halves(blocks: &[BlockDigest]) -> (&[BlockDigest], &[BlockDigest]) {
    let left = blocks.len().next_power_of_two() / 2;
    blocks.split_at(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(size: usize) -> Vec<u8> {
        let mut state = 1u32;
        (0..size)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect()
    }

    fn digest(bytes: &[u8]) -> BlobDigest {
        let mut hasher = BlobHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_digest_is_blake3_however_the_bytes_come(
            size in prop_oneof![0..2000usize, 0..20 * BLOCK_BYTES],
            edge in -2..=2isize,
            parts in prop::collection::vec((1..5 * BLOCK_BYTES, any::<bool>()), 1..8),
        ) {
            let size = (size / BLOCK_BYTES * BLOCK_BYTES).saturating_add_signed(edge).max(size % 2 * size);
            let bytes = bytes(size);
            let mut hasher = BlobHasher::new();
            let mut rest = &bytes[..];
            for (part, parallel) in parts.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*part));
                if *parallel { hasher.update_parallel(now) } else { hasher.update(now) }
                rest = later;
                if rest.is_empty() { break; }
            }
            let found = hasher.finish();
            let whole = blake3::hash(&bytes);
            prop_assert_eq!(found.blob.as_bytes(), whole.as_bytes());
            prop_assert_eq!(found.size, size as u64);
            prop_assert!(are_blocks_of(&found.blob, found.size, &found.blocks));
            prop_assert_eq!(found, digest(&bytes));
        }

        #[test]
        fn the_block_of_a_flipped_bit_is_found(size in 1..10 * BLOCK_BYTES, at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut bytes = bytes(size);
            let expected = digest(&bytes);
            let at = at.index(size);
            bytes[at] ^= 1 << bit;
            let block = (at / BLOCK_BYTES * BLOCK_BYTES) as u64;
            prop_assert_eq!(first_difference(&expected, &digest(&bytes)), Some(block));
        }
    }

    #[test]
    fn a_file_that_is_cut_off_differs_where_it_ends() {
        let whole = bytes(3 * BLOCK_BYTES);
        for (size, offset) in [
            (0, 0),
            (10, 0),
            (BLOCK_BYTES + 1, BLOCK_BYTES),
            (2 * BLOCK_BYTES, 2 * BLOCK_BYTES),
        ] {
            let difference = first_difference(&digest(&whole), &digest(&whole[..size]));
            assert_eq!(difference, Some(offset as u64), "{size}");
        }
    }

    #[test]
    fn blocks_that_do_not_merge_to_the_digest_are_refused() {
        let mut found = digest(&bytes(5 * BLOCK_BYTES));
        let too_many = [found.blocks.clone(), vec![[0; 32]]].concat();
        assert!(!are_blocks_of(&found.blob, found.size, &too_many));
        found.blocks.swap(1, 2);
        assert!(!are_blocks_of(&found.blob, found.size, &found.blocks));
    }
}
