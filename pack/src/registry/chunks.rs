//! Bytes as they come, in chunks of one size.

use bytes::{Bytes, BytesMut};

/// Gathers bytes.
pub(crate) struct Chunks {
    gathered: BytesMut,
    size_bytes: usize,
}

impl Chunks {
    /// Chunks of `size_bytes`, which is at least 1.
    pub(crate) fn new(size_bytes: usize) -> Self {
        Self {
            gathered: BytesMut::new(),
            size_bytes: size_bytes.max(1),
        }
    }

    /// Adds bytes, and hands each chunk that is full to `send`.
    pub(crate) fn add<E>(
        &mut self,
        mut bytes: &[u8],
        send: &mut dyn FnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        // Takes the memory of the chunk before where nobody has that any more.
        self.gathered.reserve(self.size_bytes - self.gathered.len());
        while self.gathered.len() + bytes.len() >= self.size_bytes {
            let (first, rest) = bytes.split_at(self.size_bytes - self.gathered.len());
            self.gathered.extend_from_slice(first);
            bytes = rest;
            send(self.gathered.split().freeze())?;
            self.gathered.reserve(self.size_bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes what is left: less than a chunk.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.gathered.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_chunk_is_shorter_however_the_bytes_come() {
        for step in [1, 2, 3, 7, 10] {
            let all: Vec<u8> = (0..10).collect();
            let mut chunks = Chunks::new(3);
            let mut found = Vec::new();
            for bytes in all.chunks(step) {
                let result = chunks.add::<()>(bytes, &mut |chunk| {
                    found.push(chunk.to_vec());
                    Ok(())
                });
                assert_eq!(result, Ok(()));
            }
            found.push(chunks.rest().to_vec());
            assert_eq!(
                found,
                [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8], vec![9]]
            );
        }
    }
}
