//! The one shape of zstd frame that caches have, to and from bytes.
//!
//! A frame is RFC 8878's, with its content size in the header, without checksum and dictionary, with a window of at most 8 MiB. The header is read
//! here before zstd sees a byte, so that what a frame will cost is known and bounded first.

use std::{cell::RefCell, io::Read};

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::{find_frame_compressed_size, get_error_name},
};

const LEVEL: i32 = 3;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// 2²³ bytes: what RFC 8878 recommends every decoder to support.
const MAX_WINDOW_LOG: u32 = 23;
const MAX_WINDOW: u64 = 1 << MAX_WINDOW_LOG;
/// Contents up to here are decompressed in one call into memory reserved before; longer ones grow as their bytes really come.
const ONE_CALL: u64 = 4 << 20;

/// Bits of the frame header's first byte: RFC 8878, 3.1.1.1.1.
const SINGLE_SEGMENT: u8 = 1 << 5;
/// The unused bit, the reserved bit, the checksum and the dictionary.
const UNWANTED: u8 = 0b0001_1111;

/// Why bytes are not one frame of the wanted shape.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The header is not one that caches have.
    #[error("the frame's header is not of this format: {rule}")]
    Header {
        /// What should have been.
        rule: &'static str,
    },
    /// The bytes end within the frame or go on after it.
    #[error("the bytes are not exactly one frame")]
    NotOne,
    /// The content is longer than wanted.
    #[error("the frame holds {length} bytes, but at most {limit} are allowed")]
    TooLong {
        /// What the header says.
        length: u64,
        /// What the caller allows.
        limit: u64,
    },
    /// The frame is damaged.
    #[error("the frame is damaged")]
    Damaged(#[source] std::io::Error),
}

thread_local! {
    // Contexts are megabytes of tables; frames are many.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Returns how many bytes the frame of so much content has at most: zstd's `ZSTD_COMPRESSBOUND`, which all writers of zstd keep.
pub(crate) fn compress_bound(length: u64) -> u64 {
    const BLOCK: u64 = 128 << 10;
    length + (length >> 8) + BLOCK.saturating_sub(length) / (1 << 11)
}

/// Compresses into one frame. The same content always gives the same bytes with one version of zstd.
pub(crate) fn compress(content: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(content)
    })
}

/// Returns the content of bytes that are one frame and nothing else, of at most `limit` bytes.
pub(crate) fn decompress(frame: &[u8], limit: u64) -> Result<Vec<u8>, FrameError> {
    let mut content = Vec::new();
    decompress_into(frame, limit, &mut content)?;
    Ok(content)
}

/// Puts the content of bytes that are one frame and nothing else, of at most `limit` bytes, in the place of what a buffer holds. For who takes many frames
/// apart: memory that is new for each is pages that are taken, cleared and given back.
pub(crate) fn decompress_into(
    frame: &[u8],
    limit: u64,
    content: &mut Vec<u8>,
) -> Result<(), FrameError> {
    content.clear();
    let length = content_size(frame)?;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    if find_frame_compressed_size(frame).map_err(damaged)? != frame.len() {
        return Err(FrameError::NotOne);
    }
    if length <= ONE_CALL {
        decompress_at_once(frame, length, content)?;
    } else {
        *content = decompress_growing(frame, length)?;
    }
    if u64::try_from(content.len()).is_ok_and(|found| found == length) {
        Ok(())
    } else {
        Err(FrameError::Header {
            rule: "the content has the length that it names",
        })
    }
}

fn damaged(code: usize) -> FrameError {
    FrameError::Damaged(std::io::Error::other(get_error_name(code)))
}

fn decompress_at_once(frame: &[u8], length: u64, content: &mut Vec<u8>) -> Result<(), FrameError> {
    let capacity = usize::try_from(length).expect("4 MiB fit every address space");
    content.reserve_exact(capacity);
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(FrameError::Damaged)?),
        };
        decompressor
            .decompress_to_buffer(frame, content)
            .map_err(FrameError::Damaged)
    })?;
    Ok(())
}

fn decompress_growing(frame: &[u8], length: u64) -> Result<Vec<u8>, FrameError> {
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(frame).map_err(FrameError::Damaged)?;
    decoder
        .window_log_max(MAX_WINDOW_LOG)
        .map_err(FrameError::Damaged)?;
    let mut content = Vec::new();
    decoder
        .single_frame()
        .take(length.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(FrameError::Damaged)?;
    Ok(content)
}

/// Returns the content size that the header of a frame names, if the header is one that caches have.
pub(crate) fn content_size(frame: &[u8]) -> Result<u64, FrameError> {
    let refuse = |rule| Err(FrameError::Header { rule });
    let Some((magic, rest)) = frame.split_first_chunk::<4>() else {
        return Err(FrameError::NotOne);
    };
    if *magic != MAGIC {
        return refuse("it begins with the mark of a zstd frame");
    }
    let Some((descriptor, rest)) = rest.split_first() else {
        return Err(FrameError::NotOne);
    };
    if descriptor & UNWANTED != 0 {
        return refuse("there is neither checksum nor dictionary");
    }
    let is_single = descriptor & SINGLE_SEGMENT != 0;
    let (window, rest) = match rest.split_first() {
        _ if is_single => (None, rest),
        Some((window, rest)) => (Some(window_size(*window)), rest),
        None => return Err(FrameError::NotOne),
    };
    let size = match descriptor >> 6 {
        0 if is_single => rest.first().map(|byte| u64::from(*byte)),
        0 => return refuse("the content size is there"),
        1 => little_endian::<2>(rest).map(|size| size + 256),
        2 => little_endian::<4>(rest),
        _ => little_endian::<8>(rest),
    };
    let size = size.ok_or(FrameError::NotOne)?;
    if window.unwrap_or(size) > MAX_WINDOW {
        return refuse("the window has at most 8 MiB");
    }
    Ok(size)
}

/// RFC 8878, 3.1.1.1.2.
fn window_size(descriptor: u8) -> u64 {
    let base = 1u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

fn little_endian<const N: usize>(bytes: &[u8]) -> Option<u64> {
    let mut padded = [0; 8];
    padded[..N].copy_from_slice(bytes.get(..N)?);
    Some(u64::from_le_bytes(padded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zstd::zstd_safe::CParameter;

    use crate::testing::noise;

    fn compressed_with(content: &[u8], parameters: &[CParameter]) -> Vec<u8> {
        let mut compressor = Compressor::new(LEVEL).unwrap();
        for parameter in parameters {
            compressor.set_parameter(*parameter).unwrap();
        }
        compressor.compress(content).unwrap()
    }

    proptest! {
        #[test]
        fn decompress_inverts_compress(content in prop::collection::vec(0..3u8, 0..2000)) {
            let frame = compress(&content).unwrap();
            prop_assert!(frame.len() as u64 <= compress_bound(content.len() as u64));
            prop_assert_eq!(decompress(&frame, content.len() as u64).unwrap(), content);
        }

        #[test]
        fn any_bytes_are_refused_or_read_within_the_limit(mut bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0..2000u64) {
            if let Ok(content) = decompress(&bytes, limit) {
                prop_assert!(content.len() as u64 <= limit);
            }
            bytes.splice(0..0, MAGIC);
            if let Ok(content) = decompress(&bytes, limit) {
                prop_assert!(content.len() as u64 <= limit);
            }
        }
    }

    #[test]
    fn large_contents_come_back() {
        for length in [0, 1, 255, 256, 65_791, 65_792, 4 << 20, (9 << 20) + 1] {
            for content in [vec![7; length], noise("", length)] {
                let frame = compress(&content).unwrap();
                assert!(
                    frame.len() as u64 <= compress_bound(length as u64),
                    "{length}"
                );
                assert!(
                    decompress(&frame, length as u64).unwrap() == content,
                    "{length}"
                );
            }
        }
    }

    /// Tables of a context are used again without being cleared; what was compressed before must not show.
    #[test]
    fn what_a_thread_compressed_before_does_not_show() {
        let mut mixed = noise("", 700_000);
        for at in (0..mixed.len()).step_by(3) {
            mixed[at] = b'x';
        }
        for content in [&mixed[..], &mixed[..100_000], &mixed[..10], &mixed[5..]] {
            let fresh = compressed_with(content, &[]);
            for _ in 0..3 {
                assert!(compress(content).unwrap() == fresh);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_goes_off() {
        let frame = compress(&vec![0; 100 << 20]).unwrap();
        assert!(frame.len() < 20_000);
        assert!(matches!(
            decompress(&frame, 4 << 20),
            Err(FrameError::TooLong {
                length: 104_857_600,
                limit: 4_194_304
            })
        ));
    }

    #[test]
    fn a_frame_that_lies_about_its_length_is_refused() {
        // A single segment with a content size of 2 bytes: at byte 5, less 256.
        let frame = compress(&[7; 1000]).unwrap();
        for lie in [0, 743, 745, 0xffff_u16] {
            let mut frame = frame.clone();
            frame[5..7].copy_from_slice(&lie.to_le_bytes());
            assert!(decompress(&frame, 1 << 20).is_err(), "{lie}");
        }
        // And a long one, which is not decompressed in one call: 4 bytes at byte 6.
        let content = vec![7; 5 << 20];
        let frame = compress(&content).unwrap();
        let size = u32::try_from(content.len()).unwrap();
        assert_eq!(frame[6..10], size.to_le_bytes());
        for lie in [size - 1, size + 1, 3 << 20, 1 << 30] {
            let mut frame = frame.clone();
            frame[6..10].copy_from_slice(&lie.to_le_bytes());
            assert!(decompress(&frame, 1 << 31).is_err(), "{lie}");
        }
    }

    #[test]
    fn every_prefix_and_every_trailing_byte_is_refused() {
        let frame = compress(&noise("", 3000)).unwrap();
        for end in 0..frame.len() {
            assert!(decompress(&frame[..end], 1 << 20).is_err(), "{end}");
        }
        let twice = [frame.clone(), frame.clone()].concat();
        assert!(matches!(
            decompress(&twice, 1 << 20),
            Err(FrameError::NotOne)
        ));
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert!(decompress(&[&skippable[..], &frame].concat(), 1 << 20).is_err());
        assert!(decompress(&[&frame[..], &skippable].concat(), 1 << 20).is_err());
    }

    #[test]
    fn other_shapes_of_frames_are_refused() {
        let content = noise("", 9 << 20);
        assert!(decompress(&compressed_with(&content, &[]), 1 << 30).is_ok());
        for parameters in [
            [CParameter::ChecksumFlag(true)],
            [CParameter::ContentSizeFlag(false)],
            [CParameter::WindowLog(24)],
        ] {
            let frame = compressed_with(&content, &parameters);
            assert!(
                matches!(decompress(&frame, 1 << 30), Err(FrameError::Header { .. })),
                "{parameters:?}"
            );
        }
    }
}
