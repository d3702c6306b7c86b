//! The digests to look for, prepared for the scanner.

use std::collections::HashMap;

use crate::id::PathDigest;

/// Digits of a digest.
pub(super) const DIGITS: usize = 40;
/// Digits that are looked up at once, and the shortest residue.
pub(super) const WINDOW: usize = 8;

/// Bytes of a gram, of which each window has one at every fifth place: the search for scratch digests looks there and nowhere else.
pub(super) const GRAM: usize = 4;
/// How far apart grams are looked at: the largest step that meets each window.
pub(super) const GRAM_STEP: usize = WINDOW - GRAM + 1;

/// A filter's size: 8 KiB stays in the first-level cache, and a thousand needles fill 2 % of it.
const FILTER_BITS_LOG2: u32 = 16;

/// What a window of 8 digits may be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needle {
    /// The first 8 digits of a candidate.
    Candidate(usize),
    /// The digits from this index on of a scratch digest.
    Scratch { scratch: usize, from: usize },
}

/// A set of needles. Building one is linear in their number; it is shared by all files of an object.
#[derive(Debug)]
pub struct Needles {
    pub(super) candidates: Vec<[u8; DIGITS]>,
    pub(super) scratches: Vec<[u8; DIGITS]>,
    /// The windows of all needles: the first of each candidate, all of each scratch digest.
    windows: HashMap<u64, Vec<Needle>>,
    window_filter: Filter,
    /// The grams of scratch digests.
    gram_filter: Filter,
}

impl Needles {
    /// Prepares the needles; findings name them by their index here.
    #[must_use]
    pub fn new(candidates: &[PathDigest], scratches: &[PathDigest]) -> Self {
        let digits = |digests: &[PathDigest]| {
            digests
                .iter()
                .map(PathDigest::to_digits)
                .collect::<Vec<_>>()
        };
        let mut needles = Self {
            candidates: digits(candidates),
            scratches: digits(scratches),
            windows: HashMap::new(),
            window_filter: Filter::new(),
            gram_filter: Filter::new(),
        };
        for index in 0..needles.candidates.len() {
            let key = key_at(&needles.candidates[index], 0);
            needles.insert(key, Needle::Candidate(index));
        }
        for scratch in 0..needles.scratches.len() {
            for from in 0..=DIGITS - GRAM {
                let gram = gram_at(&needles.scratches[scratch], from);
                needles.gram_filter.insert(gram);
            }
            for from in 0..=DIGITS - WINDOW {
                let key = key_at(&needles.scratches[scratch], from);
                needles.insert(key, Needle::Scratch { scratch, from });
            }
        }
        needles
    }

    /// Tells whether there is nothing to look for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Tells whether a window of a scratch digest may have the bytes at `from` as a gram.
    #[inline]
    pub(super) fn may_have_gram(&self, bytes: &[u8], from: usize) -> bool {
        self.gram_filter.may_have(gram_at(bytes, from))
    }

    /// Digits in a row below which nothing can be found in UTF-16.
    pub(super) const fn shortest_run(&self) -> usize {
        if self.scratches.is_empty() {
            DIGITS
        } else {
            WINDOW
        }
    }

    /// Returns what the 8 digits may be part of.
    #[inline]
    pub(super) fn probe(&self, key: u64) -> &[Needle] {
        if !self.window_filter.may_have(key) {
            return &[];
        }
        self.windows.get(&key).map_or(&[], Vec::as_slice)
    }

    fn insert(&mut self, key: u64, needle: Needle) {
        self.window_filter.insert(key);
        self.windows.entry(key).or_default().push(needle);
    }
}

/// Returns the 8 bytes at `from` as the key of a window.
#[inline]
pub(super) fn key_at(bytes: &[u8], from: usize) -> u64 {
    let mut window = [0; WINDOW];
    window.copy_from_slice(&bytes[from..from + WINDOW]);
    u64::from_le_bytes(window)
}

/// Returns the 4 bytes at `from` as the key of a gram.
#[inline]
fn gram_at(bytes: &[u8], from: usize) -> u64 {
    let mut gram = [0; GRAM];
    gram.copy_from_slice(&bytes[from..from + GRAM]);
    u64::from(u32::from_le_bytes(gram))
}

/// A set that may say yes too often.
#[derive(Debug)]
struct Filter(Vec<u64>);

impl Filter {
    fn new() -> Self {
        Self(vec![0; (1 << FILTER_BITS_LOG2) / 64])
    }

    fn insert(&mut self, key: u64) {
        let (word, bit) = filter_place(key);
        self.0[word] |= bit;
    }

    #[inline]
    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = filter_place(key);
        self.0[word] & bit != 0
    }
}

/// A multiplicative hash: digits differ in few bits, its top bits depend on all of them.
#[inline]
fn filter_place(key: u64) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS_LOG2);
    (
        usize::try_from(hash / 64).unwrap_or_default(),
        1 << (hash % 64),
    )
}
