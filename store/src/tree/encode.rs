//! A tree to its canonical bytes, and to its digest.

use super::{Node, Tree};
use crate::id::TreeId;

/// What every encoded tree begins with; the fifth byte is the format version.
pub(super) const MAGIC: &[u8; 8] = b"TREE\x01\0\0\0";
const CONTEXT: &str = "pith 2026-11 tree v1";

pub(crate) const KIND_FILE: u8 = 1;
pub(crate) const KIND_EXECUTABLE: u8 = 2;
pub(crate) const KIND_DIRECTORY: u8 = 3;
pub(crate) const KIND_SYMLINK: u8 = 4;

impl Tree {
    /// Returns the canonical bytes. One tree has one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(12 + self.entries().len() * 64);
        bytes.extend_from_slice(MAGIC);
        let count = u32::try_from(self.entries().len())
            .expect("fewer names of a directory than 2^32 fit in memory");
        bytes.extend_from_slice(&count.to_le_bytes());
        for entry in self.entries() {
            let name = entry.name.as_bytes();
            let length = u8::try_from(name.len()).expect("`EntryName` holds at most 255 bytes");
            bytes.push(kind(&entry.node));
            bytes.push(length);
            bytes.extend_from_slice(name);
            encode_payload(&entry.node, &mut bytes);
        }
        bytes
    }

    /// Returns the digest of the canonical bytes.
    #[must_use]
    pub fn id(&self) -> TreeId {
        digest(&self.encode())
    }
}

pub(super) fn digest(encoding: &[u8]) -> TreeId {
    TreeId::from_bytes(blake3::derive_key(CONTEXT, encoding))
}

/// Appends a node alone: its kind and its payload, without a name.
pub(crate) fn encode_node(node: &Node, bytes: &mut Vec<u8>) {
    bytes.push(kind(node));
    encode_payload(node, bytes);
}

const fn kind(node: &Node) -> u8 {
    match node {
        Node::File {
            executable: false, ..
        } => KIND_FILE,
        Node::File {
            executable: true, ..
        } => KIND_EXECUTABLE,
        Node::Directory { .. } => KIND_DIRECTORY,
        Node::Symlink { .. } => KIND_SYMLINK,
    }
}

fn encode_payload(node: &Node, bytes: &mut Vec<u8>) {
    match node {
        Node::File { blob, size, .. } => {
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(blob.as_bytes());
        }
        Node::Directory {
            tree,
            size_bytes,
            nodes,
        } => {
            bytes.extend_from_slice(&size_bytes.to_le_bytes());
            bytes.extend_from_slice(&nodes.to_le_bytes());
            bytes.extend_from_slice(tree.as_bytes());
        }
        Node::Symlink { target } => {
            let length = u16::try_from(target.as_bytes().len())
                .expect("`SymlinkTarget` holds at most 4095 bytes");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(target.as_bytes());
        }
    }
}
