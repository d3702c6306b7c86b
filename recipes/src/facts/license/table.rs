//! The texts of the SPDX license list, as digests.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One known text.
pub(super) struct Pattern {
    /// [`start_of`](super::super::words::start_of) its words.
    pub(super) start: u64,
    /// How many words it has.
    pub(super) words: usize,
    /// The beginning of the SHA-256 of its words, with one space between them.
    pub(super) digest: [u8; 16],
    /// The identifier.
    pub(super) license: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/licenses.rs"));

/// The known texts by how they start; of one start, the longest first.
pub(super) static BY_START: LazyLock<HashMap<u64, Vec<&'static Pattern>>> = LazyLock::new(|| {
    let mut patterns: Vec<&'static Pattern> = PATTERNS.iter().collect();
    patterns.sort_by_key(|pattern| (std::cmp::Reverse(pattern.words), pattern.license));
    let mut table: HashMap<u64, Vec<&'static Pattern>> = HashMap::new();
    for pattern in patterns {
        table.entry(pattern.start).or_default().push(pattern);
    }
    table
});
