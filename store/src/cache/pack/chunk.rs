//! Cutting large blobs where their content says.
//!
//! FastCDC as Xia et al. describe it in 2020 ("The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems"), with the
//! parameters that the Remote Execution API recommends (`FastCdc2020Params`: average 512 KiB, a quarter of it at least, four times at most, normalisation
//! level 2, seed 0), so that a chunk here is a chunk there. An insertion moves the cuts near it and no others.

use std::io::{ErrorKind, Read};

use fastcdc::v2020::{FastCDC, Normalization};

use crate::cache::format::{AVERAGE_CHUNK, MAX_CHUNK, MIN_CHUNK};

/// Bytes that are held before they are moved to the front, so that each is moved at most once.
const BUFFER: usize = 2 * MAX_CHUNK;

/// Cuts what a reader gives into chunks. Holds four megabytes.
#[derive(Debug)]
pub struct Chunker<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    is_at_end: bool,
}

impl<R: Read> Chunker<R> {
    /// Takes a reader. Reads nothing yet.
    pub const fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            start: 0,
            is_at_end: false,
        }
    }

    /// Returns the next chunk; `None` after the last. Chunks are never empty, and depend on the bytes alone, not on how they are read.
    pub fn next_chunk(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.fill()?;
        let window = self.buffer.get(self.start..).unwrap_or_default();
        let window = &window[..window.len().min(MAX_CHUNK)];
        if window.is_empty() {
            return Ok(None);
        }
        let start = self.start;
        self.start += cut(window);
        Ok(self.buffer.get(start..self.start))
    }

    /// Reads until a chunk of any length is there, or the end.
    fn fill(&mut self) -> std::io::Result<()> {
        if self.is_at_end || self.buffer.len() - self.start >= MAX_CHUNK {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let mut filled = self.buffer.len();
        self.buffer.resize(BUFFER, 0);
        while filled < BUFFER {
            match self.reader.read(&mut self.buffer[filled..]) {
                Ok(0) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}

/// Returns where the first chunk of these bytes ends. They must be [`MAX_CHUNK`] or all that are left.
fn cut(window: &[u8]) -> usize {
    let level = Normalization::Level2;
    let chunker = FastCDC::with_level(window, MIN_CHUNK, AVERAGE_CHUNK, MAX_CHUNK, level);
    chunker.cut(0, window.len()).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    /// Gives a few bytes at a time, as pipes do.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
            let length = buffer.len().min(70_001);
            self.0.read(&mut buffer[..length])
        }
    }

    fn lengths(reader: impl Read) -> Vec<usize> {
        let mut chunker = Chunker::new(reader);
        let mut lengths = Vec::new();
        while let Some(chunk) = chunker.next_chunk().unwrap() {
            lengths.push(chunk.len());
        }
        lengths
    }

    fn ends(lengths: &[usize]) -> Vec<usize> {
        let sum = |end: &mut usize, length: &usize| {
            *end += length;
            Some(*end)
        };
        lengths.iter().scan(0, sum).collect()
    }

    #[test]
    fn chunks_do_not_depend_on_how_bytes_arrive() {
        let bytes = noise("", 9_000_000);
        let whole = lengths(&bytes[..]);
        assert_eq!(lengths(Slow(&bytes, 0)), whole);
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
        let (last, others) = whole.split_last().unwrap();
        assert!(
            others
                .iter()
                .all(|length| (MIN_CHUNK..=MAX_CHUNK).contains(length))
        );
        assert!((1..=MAX_CHUNK).contains(last));
    }

    /// Cut by another program, written from the paper, which also gives the Remote Execution API's test vectors.
    #[test]
    fn the_cuts_are_those_of_the_paper() {
        assert_eq!(
            lengths(&noise("", 9_000_000)[..]),
            [
                531_215, 599_932, 528_862, 795_372, 877_007, 655_875, 836_641, 567_638, 581_991,
                524_963, 599_983, 538_198, 562_147, 800_176,
            ]
        );
    }

    #[test]
    fn nothing_and_little_are_no_chunk_and_one() {
        assert_eq!(lengths(&b""[..]), [0_usize; 0]);
        assert_eq!(lengths(&b"x"[..]), [1]);
        assert_eq!(
            lengths(&vec![0; MAX_CHUNK * 2 + 1][..]),
            [MAX_CHUNK, MAX_CHUNK, 1]
        );
    }

    #[test]
    fn an_insertion_moves_only_the_cuts_near_it() {
        let before = noise("", 20_000_000);
        let mut after = before.clone();
        after.splice(5_000_000..5_000_000, *b"inserted");
        let old = ends(&lengths(&before[..]));
        let new = ends(&lengths(&after[..]));
        let moved = new
            .iter()
            .filter(|end| !old.contains(end) && !old.contains(&(**end - 8)))
            .count();
        assert!(moved <= 2, "{moved} of {}", new.len());
        assert!(old.len() > 20);
    }

    #[test]
    fn a_reader_that_fails_fails_the_chunker() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        assert!(
            Chunker::new((&b"x"[..]).chain(Broken))
                .next_chunk()
                .is_err()
        );
    }
}
