//! Memory to read files into, one buffer a thread.

use std::cell::Cell;

/// Bytes read at once: small enough to stay in the second-level cache between hash, scan and write.
const BUFFER: usize = 128 << 10;
/// From this size on, a file is worth the work of several threads.
const LARGE: u64 = 4 << 20;
/// Bytes read at once of a large file: 32 blocks to share among threads.
const LARGE_BUFFER: usize = 2 << 20;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Tells whether a file of this size is worth the work of several threads.
pub(super) const fn is_large(size: u64) -> bool {
    size >= LARGE
}

/// Runs `work` with a buffer for reading a file of this size.
///
/// The buffer is taken out of the thread: while a file is hashed by several threads, this one may begin another.
pub(super) fn with_buffer<T>(size: u64, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let length = if is_large(size) { LARGE_BUFFER } else { BUFFER };
    let mut buffer = SPARE.take();
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    let result = work(&mut buffer[..length]);
    SPARE.set(buffer);
    result
}
