//! Bytes of a pack to the bytes of blobs, checked at each step.

use super::PackError;
use crate::{
    cache::format::{Frame, MAX_FRAME, decompress_into},
    id::BlobId,
};

/// Returns what a frame holds. `bytes` are the frame as it lies in its pack, and nothing else.
///
/// Fails unless both lengths and the digest are those of the manifest. Memory is reserved for [`MAX_FRAME`] bytes at most.
pub fn read_frame(frame: &Frame, bytes: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut content = Vec::new();
    unpack_frame(frame, bytes, &mut content)?;
    check_content(frame, &content)?;
    Ok(content)
}

/// Puts as many bytes as a frame is to hold in the place of what a buffer holds, for who compares them with its digest or with those of the blobs. Otherwise as
/// [`read_frame`].
pub(in crate::cache) fn unpack_frame(
    frame: &Frame,
    bytes: &[u8],
    content: &mut Vec<u8>,
) -> Result<(), PackError> {
    check_length(frame.compressed_length, bytes)?;
    let limit = u64::from(frame.length).min(MAX_FRAME as u64);
    decompress_into(bytes, limit, content).map_err(PackError::Frame)?;
    check_length(frame.length, content)
}

/// Fails unless these are the bytes that a frame is to hold.
pub(in crate::cache) fn check_content(frame: &Frame, content: &[u8]) -> Result<(), PackError> {
    let found = BlobId::from_bytes(*blake3::hash(content).as_bytes());
    if found == frame.content {
        Ok(())
    } else {
        Err(PackError::Content {
            expected: frame.content,
            found,
        })
    }
}

fn check_length(expected: u32, bytes: &[u8]) -> Result<(), PackError> {
    let expected = u64::from(expected);
    match u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        found if found == expected => Ok(()),
        found => Err(PackError::Length { expected, found }),
    }
}

/// Returns the bytes of a blob that lies whole in what a frame holds. Fails unless they are the blob's.
pub fn blob_in<'a>(
    content: &'a [u8],
    offset: u32,
    length: u32,
    blob: &BlobId,
) -> Result<&'a [u8], PackError> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    match content.get(start..end) {
        Some(bytes) if blake3::hash(bytes).as_bytes() == blob.as_bytes() => Ok(bytes),
        _ => Err(PackError::Blob { blob: *blob }),
    }
}

/// Checks a blob of several chunks, given one after another.
#[derive(Debug, Clone)]
pub struct BlobCheck {
    blob: BlobId,
    hasher: blake3::Hasher,
}

impl BlobCheck {
    /// Begins to check a blob.
    #[must_use]
    pub fn new(blob: BlobId) -> Self {
        Self {
            blob,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Fails unless all bytes together were the blob's.
    pub fn finish(self) -> Result<(), PackError> {
        if self.hasher.finalize().as_bytes() == self.blob.as_bytes() {
            Ok(())
        } else {
            Err(PackError::Blob { blob: self.blob })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::format::{FrameError, compress},
        id::PackDigest,
    };

    fn id(bytes: &[u8]) -> BlobId {
        BlobId::from_bytes(*blake3::hash(bytes).as_bytes())
    }

    fn frame_of(content: &[u8]) -> (Frame, Vec<u8>) {
        let bytes = compress(content).unwrap();
        let frame = Frame {
            pack: PackDigest::from_bytes([0; 32]),
            offset: 8,
            compressed_length: u32::try_from(bytes.len()).unwrap(),
            length: u32::try_from(content.len()).unwrap(),
            content: id(content),
        };
        (frame, bytes)
    }

    #[test]
    fn no_changed_bit_changes_what_a_frame_holds() {
        let (frame, good) = frame_of(&b"some bytes that repeat, repeat, repeat".repeat(3));
        assert!(read_frame(&frame, &good).is_ok());
        let mut refused = 0;
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            match read_frame(&frame, &bytes) {
                Ok(content) => assert_eq!(id(&content), frame.content, "{bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > good.len() * 7);
    }

    #[test]
    fn lengths_that_differ_from_the_manifest_are_refused() {
        let (frame, bytes) = frame_of(&[5; 1000]);
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(
            read_frame(&frame, &longer),
            Err(PackError::Length { .. })
        ));
        let length = |length| read_frame(&Frame { length, ..frame }, &bytes);
        assert!(matches!(
            length(1001),
            Err(PackError::Length {
                expected: 1001,
                found: 1000
            })
        ));
        assert!(matches!(
            length(999),
            Err(PackError::Frame(FrameError::TooLong {
                length: 1000,
                limit: 999
            }))
        ));
    }

    #[test]
    fn a_bomb_is_refused_whatever_the_manifest_says() {
        let (frame, bytes) = frame_of(&vec![0; 64 << 20]);
        assert!(matches!(
            read_frame(&frame, &bytes),
            Err(PackError::Frame(FrameError::TooLong {
                limit: 4_194_304,
                ..
            }))
        ));
    }

    #[test]
    fn a_swapped_frame_is_refused() {
        let (one, _) = frame_of(&[1; 1000]);
        let (two, bytes) = frame_of(&[2; 1000]);
        let swapped = Frame {
            content: one.content,
            ..two
        };
        assert!(matches!(
            read_frame(&swapped, &bytes),
            Err(PackError::Content { .. })
        ));
    }

    #[test]
    fn only_the_blob_itself_is_found_in_a_frame() {
        let content = b"onetwothree";
        assert_eq!(blob_in(content, 3, 3, &id(b"two")).unwrap(), b"two");
        for (offset, length) in [(3, 4), (0, 3), (3, 0), (9, 3), (u32::MAX, 3), (3, u32::MAX)] {
            assert!(
                blob_in(content, offset, length, &id(b"two")).is_err(),
                "{offset} {length}"
            );
        }
    }

    #[test]
    fn chunks_are_checked_together() {
        let check = |chunks: &[&[u8]]| {
            let mut check = BlobCheck::new(id(b"onetwo"));
            chunks.iter().for_each(|chunk| check.update(chunk));
            check.finish()
        };
        assert!(check(&[b"one", b"two"]).is_ok());
        assert!(matches!(
            check(&[b"two", b"one"]),
            Err(PackError::Blob { .. })
        ));
        assert!(check(&[b"one"]).is_err());
    }
}
