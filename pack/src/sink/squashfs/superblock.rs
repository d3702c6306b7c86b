//! The first 96 bytes.

use super::block::BLOCK_BYTES;
use crate::layer::Compression;

/// The length of it.
pub(super) const SUPERBLOCK_BYTES: u64 = 96;
/// What stands for a table that is not there.
pub(super) const NO_TABLE: u64 = u64::MAX;
/// The time of everything in an image.
pub(super) const MTIME: u32 = 1;
const MAGIC: u32 = 0x7371_7368;
/// There are no extended attributes, and the same bytes are there once.
const FLAGS: u16 = 0x0200 | 0x0040;
/// Inodes, data, fragments and ids are stored as they are.
const STORED_FLAGS: u16 = 0x0001 | 0x0002 | 0x0008 | 0x0800;

/// What readers start from.
#[derive(Debug, Default)]
pub(super) struct Superblock {
    pub(super) inodes: u32,
    pub(super) fragments: u32,
    pub(super) root: u64,
    pub(super) bytes_used: u64,
    pub(super) id_table: u64,
    pub(super) inode_table: u64,
    pub(super) directory_table: u64,
    pub(super) fragment_table: u64,
}

impl Superblock {
    pub(super) fn to_bytes(&self, compression: Compression) -> Vec<u8> {
        // Readers want the name of a compression they know even where nothing is compressed.
        let (compressor, stored): (u16, u16) = match compression {
            Compression::Gzip => (1, 0),
            Compression::Zstd => (6, 0),
            Compression::None => (1, STORED_FLAGS),
        };
        let mut bytes = Vec::new();
        for field in [MAGIC, self.inodes, MTIME, 1 << BLOCK_LOG, self.fragments] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let ids = 1_u16;
        for field in [compressor, BLOCK_LOG, FLAGS | stored, ids, 4, 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        for field in [
            self.root,
            self.bytes_used,
            self.id_table,
            NO_TABLE,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            NO_TABLE,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

/// The logarithm of the size of a block.
const BLOCK_LOG: u16 = 17;
const _: () = assert!(BLOCK_BYTES == 1 << BLOCK_LOG);
