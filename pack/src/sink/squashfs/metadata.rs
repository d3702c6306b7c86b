//! Tables of small records, in blocks of 8 KiB that are compressed each by itself.

use super::block::Packer;
use crate::layer::LayerError;

/// The size of a block of records.
const METADATA_BYTES: usize = 8 << 10;
/// What is set in the header of a block that is stored as it is.
const STORED: u16 = 0x8000;

/// Where a record lies in a table: the start of its block, and how far into the decompressed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// From the start of the table.
    pub(super) block: u32,
    pub(super) offset: u16,
}

/// A table that is being filled.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The blocks that are complete, each with its header.
    packed: Vec<u8>,
    /// What is not complete.
    open: Vec<u8>,
    /// Where each block begins.
    starts: Vec<u32>,
}

impl Table {
    /// Returns where the next record will lie.
    pub(super) fn place(&self) -> Option<Place> {
        Some(Place {
            block: u32::try_from(self.packed.len()).ok()?,
            offset: u16::try_from(self.open.len()).ok()?,
        })
    }

    /// Adds a record, which may go on in the next block.
    pub(super) fn push(&mut self, record: &[u8], packer: &mut Packer) -> Result<(), LayerError> {
        self.open.extend_from_slice(record);
        while self.open.len() >= METADATA_BYTES {
            let rest = self.open.split_off(METADATA_BYTES);
            let block = std::mem::replace(&mut self.open, rest);
            self.close(&block, packer)?;
        }
        Ok(())
    }

    fn close(&mut self, block: &[u8], packer: &mut Packer) -> Result<(), LayerError> {
        self.starts
            .push(u32::try_from(self.packed.len()).unwrap_or(u32::MAX));
        let packed = packer.pack(block)?;
        // A block of records is 8 KiB at most, and so is what it becomes.
        let size = u16::try_from(packed.bytes.len()).unwrap_or(u16::MAX);
        let is_stored = packed.bytes.len() == block.len();
        let header = if is_stored { size | STORED } else { size };
        self.packed.extend_from_slice(&header.to_le_bytes());
        self.packed.extend_from_slice(&packed.bytes);
        Ok(())
    }

    /// Returns the whole table, and where each of its blocks begins.
    pub(super) fn finish(mut self, packer: &mut Packer) -> Result<(Vec<u8>, Vec<u32>), LayerError> {
        if !self.open.is_empty() {
            let block = std::mem::take(&mut self.open);
            self.close(&block, packer)?;
        }
        Ok((self.packed, self.starts))
    }
}
