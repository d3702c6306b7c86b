//! The node of a file whose bytes come once, from somewhere that cannot be read again.

use super::{ModuloNode, modulo::file_modulo};
use crate::{
    id::{BlobId, PathDigest},
    tree::Node,
};

/// The digits of a path digest.
const DIGITS: usize = 40;

/// Hashes one file of an object in one pass, finding the object's own digits as it goes.
///
/// Digits inside compressed members or in UTF-16 are not looked for: an object never has its own there.
#[derive(Debug)]
pub struct StreamHasher {
    own: [u8; DIGITS],
    plain: blake3::Hasher,
    zeroed: blake3::Hasher,
    /// The last bytes, in which digits may begin.
    held: Vec<u8>,
    /// Where the held bytes are in the file.
    position: u64,
    offsets: Vec<u64>,
}

impl StreamHasher {
    /// Begins a file of the object with this digest.
    #[must_use]
    pub fn new(own: &PathDigest) -> Self {
        Self {
            own: own.to_digits(),
            plain: blake3::Hasher::new(),
            zeroed: blake3::Hasher::new(),
            held: Vec::new(),
            position: 0,
            offsets: Vec::new(),
        }
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        self.plain.update(bytes);
        self.held.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(at) = find(&self.held[done..], &self.own) {
            let start = done + at;
            done = start + DIGITS;
            self.held[start..done].fill(0);
            self.offsets.push(self.position + start as u64);
        }
        let settled = done.max(self.held.len().saturating_sub(DIGITS - 1));
        self.zeroed.update(&self.held[..settled]);
        self.position += settled as u64;
        self.held.drain(..settled);
    }

    /// Returns the node of the file.
    #[must_use]
    pub fn finish(mut self, executable: bool) -> ModuloNode {
        self.zeroed.update(&self.held);
        let size = self.position + self.held.len() as u64;
        if self.offsets.is_empty() {
            return ModuloNode::Plain(Node::File {
                blob: BlobId::from_bytes(*self.plain.finalize().as_bytes()),
                size,
                executable,
            });
        }
        file_modulo(&self.zeroed.finalize(), size, &self.offsets, executable)
    }
}

fn find(bytes: &[u8], needle: &[u8; DIGITS]) -> Option<usize> {
    // Nearly everything differs in the first byte, which is far cheaper to compare.
    bytes
        .windows(DIGITS)
        .position(|window| window[0] == needle[0] && window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        object::ModuloHasher,
        scan::{Needles, scan_bytes},
    };

    proptest! {
        #[test]
        fn it_is_the_node_of_two_passes_wherever_the_bytes_are_cut(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 0..6),
            step in 1..100_usize,
            executable: bool,
        ) {
            let own = PathDigest::from_bytes([7; 25]);
            let mut bytes = Vec::new();
            for (piece, has_own) in pieces {
                bytes.extend_from_slice(&piece);
                if has_own {
                    bytes.extend_from_slice(&own.to_digits());
                }
            }
            let mut stream = StreamHasher::new(&own);
            for chunk in bytes.chunks(step) {
                stream.update(chunk);
            }
            let needles = Needles::new(&[], &[own]);
            let found = scan_bytes(&needles, &bytes).occurrences;
            let offsets: Vec<u64> = found.iter().map(|one| one.offset).collect();
            let expected = if offsets.is_empty() {
                ModuloNode::Plain(Node::File {
                    blob: BlobId::from_bytes(*blake3::hash(&bytes).as_bytes()),
                    size: bytes.len() as u64,
                    executable,
                })
            } else {
                let mut hasher = ModuloHasher::new(&offsets);
                hasher.update(&mut bytes.clone());
                hasher.finish(executable)
            };
            prop_assert_eq!(stream.finish(executable), expected);
        }
    }
}
