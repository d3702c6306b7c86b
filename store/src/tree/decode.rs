//! Bytes to one tree, written for hostile input: nothing is allocated or believed beyond the bytes that are there.

use super::{
    EntryName, KIND_DIRECTORY, KIND_EXECUTABLE, KIND_FILE, KIND_SYMLINK, Node, SymlinkTarget, Tree,
    TreeEntry, TreeError, encode::MAGIC,
};
use crate::id::{BlobId, TreeId};

/// Bytes of the shortest entry: kind, length, a name of one byte, a target of one byte.
const SHORTEST_ENTRY: usize = 1 + 1 + 1 + 2 + 1;

impl Tree {
    /// Parses one tree, and nothing but one tree, from its canonical bytes.
    ///
    /// Fails for anything that [`Tree::encode`] does not write; what it accepts, it encodes to the same bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let mut reader = Reader { bytes, offset: 0 };
        let tree = reader.tree()?;
        match reader.rest() {
            0 => Ok(tree),
            count => Err(TreeError::TrailingBytes { count }),
        }
    }

    /// Parses one tree from the front of `bytes`, and returns it with the number of bytes it took.
    pub(super) fn decode_prefix(bytes: &[u8]) -> Result<(Self, usize), TreeError> {
        let mut reader = Reader { bytes, offset: 0 };
        let tree = reader.tree()?;
        Ok((tree, reader.offset))
    }
}

impl Node {
    /// Returns the node's own canonical bytes, as an entry has them but without a name.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        super::encode_node(self, &mut bytes);
        bytes
    }

    /// Parses what [`Node::encode`] writes, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        let mut reader = Reader { bytes, offset: 0 };
        let kind = reader.byte("a kind")?;
        let node = reader.payload(kind, b"")?;
        match reader.rest() {
            0 => Ok(node),
            count => Err(TreeError::TrailingBytes { count }),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    const fn rest(&self) -> usize {
        self.bytes.len() - self.offset
    }

    fn take(&mut self, count: usize, expected: &'static str) -> Result<&'a [u8], TreeError> {
        let end = self.offset.saturating_add(count);
        let slice = self
            .bytes
            .get(self.offset..end)
            .ok_or(TreeError::Truncated {
                offset: self.bytes.len(),
                expected,
            })?;
        self.offset = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], TreeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, expected)?);
        Ok(array)
    }

    fn byte(&mut self, expected: &'static str) -> Result<u8, TreeError> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    fn u64(&mut self, expected: &'static str) -> Result<u64, TreeError> {
        self.array(expected).map(u64::from_le_bytes)
    }

    fn tree(&mut self) -> Result<Tree, TreeError> {
        if self.take(MAGIC.len(), "the mark of a tree")? != MAGIC {
            return Err(TreeError::Magic);
        }
        let count = u32::from_le_bytes(self.array("the number of entries")?);
        // A count is a promise of the sender: memory is reserved only for entries that the bytes can hold.
        let mut entries = Vec::with_capacity(
            usize::try_from(count)
                .unwrap_or(usize::MAX)
                .min(self.rest() / SHORTEST_ENTRY),
        );
        for _ in 0..count {
            let kind = self.byte("a kind")?;
            let length = self.byte("the length of a name")?;
            let name = EntryName::new(self.take(usize::from(length), "a name")?)?;
            let node = self.payload(kind, name.as_bytes())?;
            entries.push(TreeEntry { name, node });
        }
        Tree::from_sorted(entries)
    }

    fn payload(&mut self, kind: u8, name: &[u8]) -> Result<Node, TreeError> {
        Ok(match kind {
            KIND_FILE | KIND_EXECUTABLE => Node::File {
                size: self.u64("the size of a file")?,
                blob: BlobId::from_bytes(self.array("the digest of a file")?),
                executable: kind == KIND_EXECUTABLE,
            },
            KIND_DIRECTORY => Node::Directory {
                size_bytes: self.u64("the bytes of a directory")?,
                nodes: self.u64("the nodes of a directory")?,
                tree: TreeId::from_bytes(self.array("the digest of a directory")?),
            },
            KIND_SYMLINK => {
                let length = u16::from_le_bytes(self.array("the length of a target")?);
                Node::Symlink {
                    target: SymlinkTarget::new(self.take(usize::from(length), "a target")?)?,
                }
            }
            _ => {
                return Err(TreeError::Kind {
                    name: name.escape_ascii().to_string(),
                    kind,
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arbitrary_node, arbitrary_tree};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_inverts_encode(tree in arbitrary_tree()) {
            prop_assert_eq!(Tree::decode(&tree.encode()), Ok(tree));
        }

        #[test]
        fn decode_inverts_encode_for_nodes(node in arbitrary_node()) {
            prop_assert_eq!(Node::decode(&node.encode()), Ok(node));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(
            tree in arbitrary_tree(), at in any::<prop::sample::Index>(), byte: u8,
        ) {
            let mut bytes = tree.encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(tree) = Tree::decode(&bytes) {
                prop_assert_eq!(tree.encode(), bytes);
            }
        }

        #[test]
        fn every_proper_prefix_is_refused(tree in arbitrary_tree(), at in any::<prop::sample::Index>()) {
            let bytes = tree.encode();
            prop_assert!(Tree::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }

    fn entry(kind: u8, name: &[u8], payload: &[u8]) -> Vec<u8> {
        [&[kind, u8::try_from(name.len()).unwrap()], name, payload].concat()
    }

    fn tree(count: u32, entries: &[Vec<u8>]) -> Vec<u8> {
        [&MAGIC[..], &count.to_le_bytes(), &entries.concat()].concat()
    }

    fn link(name: &[u8]) -> Vec<u8> {
        entry(KIND_SYMLINK, name, b"\x01\0x")
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = Tree::default().encode();
        bytes.push(0);
        assert_eq!(
            Tree::decode(&bytes),
            Err(TreeError::TrailingBytes { count: 1 })
        );
    }

    #[test]
    fn duplicate_and_descending_names_are_refused() {
        assert!(Tree::decode(&tree(2, &[link(b"a"), link(b"b")])).is_ok());
        assert!(matches!(
            Tree::decode(&tree(2, &[link(b"a"), link(b"a")])),
            Err(TreeError::Order { .. })
        ));
        assert!(matches!(
            Tree::decode(&tree(2, &[link(b"b"), link(b"a")])),
            Err(TreeError::Order { .. })
        ));
    }

    #[test]
    fn names_that_escape_are_refused() {
        for name in [&b".."[..], b".", b"", b"a/b", b"/", b"a\0"] {
            assert!(
                matches!(
                    Tree::decode(&tree(1, &[link(name)])),
                    Err(TreeError::Name { .. })
                ),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_huge_count_reserves_no_memory() {
        assert!(matches!(
            Tree::decode(&tree(u32::MAX, &[])),
            Err(TreeError::Truncated { .. })
        ));
    }

    #[test]
    fn huge_sizes_are_refused_where_they_overflow() {
        let huge = entry(KIND_FILE, b"a", &[[0xff; 8].as_slice(), &[0; 32]].concat());
        let one = entry(
            KIND_FILE,
            b"b",
            &[1u64.to_le_bytes().as_slice(), &[0; 32]].concat(),
        );
        assert!(Tree::decode(&tree(1, std::slice::from_ref(&huge))).is_ok());
        assert_eq!(
            Tree::decode(&tree(2, &[huge, one])),
            Err(TreeError::Overflow)
        );
    }

    #[test]
    fn targets_that_no_kernel_takes_are_refused() {
        for (length, target) in [
            (0u16, vec![]),
            (4096, vec![b'x'; 4096]),
            (2, b"a\0".to_vec()),
        ] {
            let bytes = entry(
                KIND_SYMLINK,
                b"a",
                &[length.to_le_bytes().as_slice(), &target].concat(),
            );
            assert!(
                matches!(
                    Tree::decode(&tree(1, &[bytes])),
                    Err(TreeError::Target { .. })
                ),
                "{length}"
            );
        }
    }

    #[test]
    fn unknown_kinds_and_versions_are_refused() {
        assert!(matches!(
            Tree::decode(&tree(1, &[entry(5, b"a", b"")])),
            Err(TreeError::Kind { kind: 5, .. })
        ));
        let mut bytes = Tree::default().encode();
        bytes[4] = 2;
        assert_eq!(Tree::decode(&bytes), Err(TreeError::Magic));
    }
}
