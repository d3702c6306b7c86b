//! The file systems that the store must survive on.

use std::fmt;
use std::str::FromStr;

/// A kind of file system and how it is made and mounted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) name: &'static str,
    /// The size of the disk: little more than the least that the file system takes.
    pub(crate) size_bytes: u64,
    /// How many bytes the disk writes as a whole or not at all.
    pub(crate) sector: usize,
    pub(crate) make: &'static [&'static str],
    /// Mount options: the journal is to be written often, and blocks are not to be discarded, since the recorder knows no discards.
    pub(crate) options: &'static str,
}

/// Its superblock has a checksum, but no second copy that a mount would look at: it needs sectors as large as a block.
pub(crate) const EXT4: FileSystem = FileSystem {
    name: "ext4",
    size_bytes: 64 << 20,
    sector: 4096,
    make: &[
        "mkfs.ext4",
        "-q",
        "-b4096",
        "-Enodiscard,lazy_itable_init=0,lazy_journal_init=0",
    ],
    options: "commit=1,nodiscard",
};

/// Its log survives torn blocks, but a block of a directory that is torn in place fails its checksum when the log is replayed, and nothing mounts any more:
/// it needs sectors as large as a block, and is told so.
pub(crate) const XFS: FileSystem = FileSystem {
    name: "xfs",
    size_bytes: 320 << 20,
    sector: 4096,
    make: &["mkfs.xfs", "-q", "-K", "-s", "size=4096"],
    options: "",
};

/// Its superblock is one block with a checksum.
pub(crate) const BTRFS: FileSystem = FileSystem {
    name: "btrfs",
    size_bytes: 256 << 20,
    sector: 4096,
    make: &["mkfs.btrfs", "-q", "-K"],
    options: "commit=1,nodiscard",
};

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for FileSystem {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [EXT4, XFS, BTRFS]
            .into_iter()
            .find(|kind| kind.name == name)
            .ok_or_else(|| format!("no file system: {name}"))
    }
}
