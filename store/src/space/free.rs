//! What a file system has left.

use std::os::fd::AsFd;

use nix::sys::statvfs::fstatvfs;

/// Bytes that an add leaves free at most: for the database's log, records and directories while something is deleted.
const MARGIN: u64 = 16 << 20;
/// On a small file system it leaves this part.
const MARGIN_PART: u64 = 32;

/// What a file system has left for this user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free {
    /// Bytes that can be written.
    pub(crate) bytes: u64,
    /// Bytes that it has at all.
    pub(crate) total_bytes: u64,
    /// Bytes of which each file takes a multiple.
    pub(crate) block: u64,
    /// Files that can be made; `None` where there is no limit.
    pub(crate) files: Option<u64>,
}

impl Free {
    /// Asks the file system that something lies on.
    pub(crate) fn of(any: impl AsFd) -> nix::Result<Self> {
        let space = fstatvfs(any)?;
        let block = space.fragment_size().max(1);
        Ok(Self {
            bytes: space.blocks_available().saturating_mul(block),
            total_bytes: space.blocks().saturating_mul(block),
            block,
            files: (space.files() > 0).then(|| space.files_available()),
        })
    }

    /// Returns how many bytes are to stay free.
    pub(crate) fn margin(&self) -> u64 {
        MARGIN.min(self.total_bytes / MARGIN_PART)
    }
}
