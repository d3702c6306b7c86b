//! Blobs to packs and back: cut, grouped, compressed, addressed, checked. Pure but for the readers it is given and the threads it uses.
//!
//! Invariant: the same blobs in the same order, with the same frames known, give the same packs and locations, however many threads work; a blob that
//! comes back is the one that was asked for, or an error. Memory is bounded whatever the blobs: under 100 MiB for writing, one frame for reading.
//!
//! ```
//! use std::sync::Arc;
//! use store::{BlobId, cache::pack::{BlobSource, PackWriter, blob_in, read_frame}};
//!
//! let bytes = b"hi\n";
//! let id = BlobId::from_bytes(*blake3::hash(bytes).as_bytes());
//! let blob = BlobSource { id, size: 3, reader: &bytes[..] };
//! let mut writer = PackWriter::new([Ok(blob)].into_iter(), Arc::default());
//! let pack = writer.next_pack()?.expect("there is a blob");
//! assert!(writer.next_pack()?.is_none());
//! let part = writer.finish()?[&id][0];
//!
//! let start = part.frame.offset as usize;
//! let end = start + part.frame.compressed_length as usize;
//! let frame = read_frame(&part.frame, &pack.bytes[start..end])?;
//! assert_eq!(blob_in(&frame, part.offset, part.length, &id)?, bytes);
//! # Ok::<(), store::cache::pack::PackError>(())
//! ```

mod chunk;
mod compression;
mod read;
mod write;

pub(super) use self::read::{check_content, unpack_frame};
pub use self::{
    chunk::Chunker,
    read::{BlobCheck, blob_in, read_frame},
    write::{BlobSource, KnownFrames, Pack, PackWriter, Step},
};

use crate::{cache::format::FrameError, id::BlobId};

/// Why blobs cannot be packed, or bytes of a pack are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// There is no blob to read where one was promised.
    #[error("a blob to be packed cannot be opened")]
    Open(#[source] std::io::Error),
    /// A blob cannot be read to its end.
    #[error("the blob `{blob}` cannot be read")]
    Read {
        /// The blob.
        blob: BlobId,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The bytes of a blob are not the blob's.
    #[error("the bytes are not those of the blob `{blob}`")]
    Blob {
        /// The blob that they should have been.
        blob: BlobId,
    },
    /// A frame does not hold what its manifest says.
    #[error(
        "the frame does not hold what its manifest says\n  expected: {expected}\n  found:    {found}"
    )]
    Content {
        /// The digest in the manifest.
        expected: BlobId,
        /// The digest of what the frame holds.
        found: BlobId,
    },
    /// A frame does not have the length that its manifest says, compressed or not.
    #[error("the frame has {found} bytes, but its manifest says {expected}")]
    Length {
        /// The length in the manifest.
        expected: u64,
        /// The length found.
        found: u64,
    },
    /// A frame cannot be decompressed.
    #[error("the frame cannot be decompressed")]
    Frame(#[source] FrameError),
    /// A frame cannot be compressed.
    #[error("a frame cannot be compressed")]
    Compress(#[source] std::io::Error),
    /// The places of blobs were asked for before all packs were taken.
    #[error("not all blobs are packed")]
    Unfinished,
}
