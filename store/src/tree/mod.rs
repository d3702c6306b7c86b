#![doc = include_str!("FORMAT.md")]

mod blob;
mod bundle;
mod contents;
mod decode;
mod encode;
mod memory;
mod name;
mod node;

pub use self::{
    blob::{
        BLOCK_BYTES, BlobDigest, BlobHasher, BlockDigest, are_blocks_of, block_count,
        first_difference,
    },
    bundle::{TreeBundle, decode_bundle},
    contents::Contents,
    memory::MemoryNode,
    name::EntryName,
    node::{Node, SymlinkTarget, Totals, Tree, TreeEntry},
};
pub(crate) use self::{
    bundle::printable,
    encode::{KIND_DIRECTORY, KIND_EXECUTABLE, KIND_FILE, KIND_SYMLINK, encode_node},
};

/// Directories below one another in one object at most.
pub const MAX_DEPTH: usize = 64;
/// Bytes of an entry's name at most.
pub const MAX_NAME: usize = 255;
/// Bytes of a symlink's target at most.
pub const MAX_TARGET: usize = 4095;

/// Why bytes or entries are not a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The bytes end within the value.
    #[error("the encoding ends at byte {offset}, within {expected}")]
    Truncated {
        /// Where the bytes end.
        offset: usize,
        /// What should have been there.
        expected: &'static str,
    },
    /// Bytes follow the value.
    #[error("{count} bytes follow the end of the encoding")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The bytes do not begin as a tree of this version.
    #[error("the encoding does not begin with the mark of a tree of version 1")]
    Magic,
    /// An entry is of a kind that does not exist.
    #[error("the entry `{name}` has the unknown kind {kind}")]
    Kind {
        /// The entry.
        name: String,
        /// The byte found.
        kind: u8,
    },
    /// A name cannot be an entry's.
    #[error("an entry cannot be named `{name}`: {reason}")]
    Name {
        /// The name, made printable.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A name does not follow the one before it in the order of bytes.
    #[error("the entry `{name}` follows `{previous}`, but names must ascend")]
    Order {
        /// The name before.
        previous: String,
        /// The offender; equal to `previous` for a duplicate.
        name: String,
    },
    /// A symlink's target is empty, too long or has a NUL byte.
    #[error("the symlink target of {length} bytes is not allowed: {reason}")]
    Target {
        /// Its length in bytes.
        length: usize,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// A directory's totals are not the sums over its tree.
    #[error("the directory `{path}` is said to hold {expected}, but holds {found}")]
    Totals {
        /// The directory, relative to the object; empty for its root.
        path: String,
        /// The totals in the parent's entry.
        expected: Totals,
        /// The sums over the entries.
        found: Totals,
    },
    /// Sums do not fit 64 bits.
    #[error("the sizes of the entries add up to more than 64 bits hold")]
    Overflow,
    /// Directories lie too deep in one another.
    #[error("the directory `{path}` lies deeper than {MAX_DEPTH} levels")]
    Depth {
        /// The directory.
        path: String,
    },
    /// A tree is not the one that its parent names.
    #[error(
        "the tree of the directory `{path}` has the wrong digest\n  expected: {expected}\n  found:    {found}"
    )]
    Digest {
        /// The directory, relative to the object; empty for its root.
        path: String,
        /// What the parent names.
        expected: crate::TreeId,
        /// What the bytes hash to.
        found: crate::TreeId,
    },
    /// The digests of blocks are not those of the file that they are said to be of.
    #[error("the digests of the blocks of the file {blob} do not merge to its digest")]
    Blocks {
        /// The file.
        blob: crate::BlobId,
    },
    /// The object has more entries than the reader wants.
    #[error("the object has more than {limit} nodes")]
    TooManyNodes {
        /// The reader's limit.
        limit: u64,
    },
}
