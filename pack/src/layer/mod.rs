//! Layers: from a list of store paths to the bytes of a blob.
#![doc = ""]
#![doc = include_str!("FORMAT.md")]

mod buffers;
mod codec;
mod encode;
mod known;
mod memo;
mod piece;
mod plan;
mod recipe;
mod shared;
mod slots;
mod tar;
mod walk;
mod written;

use std::{io, path::PathBuf};

use store::StorePath;
use thiserror::Error;

pub(crate) use buffers::BufferPool;
pub use codec::Compression;
pub(crate) use codec::ZSTD_LEVEL;
pub use encode::LayerDigests;
pub(crate) use encode::{Encoded, Encoder};
pub use known::{KnownLayer, find_known_layers};
pub(crate) use memo::Memo;
pub use plan::{
    Chance, LayerMode, LayerPlan, LayerReason, LayerRule, PlanError, PlanFile, PlanOptions,
    PlanPath, PlannedLayer, Renames, origin_of,
};
pub use recipe::{Layer, RecipeDigest};
pub(crate) use recipe::{ObjectPlace, Segment, Slot, StoredObject, store_parents};
pub use shared::{LAYER_OUTPUT, share_layers};
pub(crate) use shared::{layer_key, note_layers, read_layer};
pub(crate) use slots::{Inspector, Originals, Patched, Rewrite};
pub use slots::{KeptPath, SlotMap};
pub(crate) use tar::{BLOCK, Stamp, append_stamped, padding};
pub use tar::{Dialect, Entry, EntryKind, Member, TarError, TarReader, append_end, append_entry};
pub(crate) use walk::{WalkEntry, WalkKind, walk};
pub(crate) use written::{Below, Written};

/// The version of every rule that the bytes of an image depend on: the rules of this page, which paths are in which layer where nothing is said about it, what
/// the bill of materials says, and the exact versions of the two compressors. It stands in each manifest's annotations and in each key of the memo, so a change of
/// a rule cannot silently change a digest. Golden tests hold it to its word.
pub const FORMAT_VERSION: u32 = 6;

/// Where a store object is cut before it is compressed, and how much of it is in memory at a time.
pub const PIECE_BYTES: usize = 4 << 20;

/// Why a layer could not be made.
#[derive(Debug, Error)]
pub enum LayerError {
    /// A file of the store could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something other than a file, a directory or a symbolic link lies in the store.
    #[error("`{}` is neither a file, a directory nor a symbolic link; the store is damaged", path.display())]
    Kind {
        /// The thing.
        path: PathBuf,
    },
    /// A name that means something else in a layer.
    #[error("`{}` cannot be in a layer: a name that begins with `.wh.` deletes a file of a lower one there", path.display())]
    Whiteout {
        /// The file, directory or link.
        path: PathBuf,
    },
    /// A file was longer or shorter than its own metadata said.
    #[error("`{}` has not the size that it had when it was opened; the store is being changed", path.display())]
    Resized {
        /// The file.
        path: PathBuf,
    },
    /// A store object is not what the database says.
    #[error(
        "`{path}` is damaged\n  registered: {expected_bytes} bytes in {expected_nodes} files, links and directories\n  found:      {found_bytes} bytes in {found_nodes}"
    )]
    Damaged {
        /// The store path.
        path: Box<StorePath>,
        /// The registered sum of file sizes.
        expected_bytes: u64,
        /// The registered number of nodes.
        expected_nodes: u64,
        /// The sum of file sizes on disk.
        found_bytes: u64,
        /// The number of nodes on disk.
        found_nodes: u64,
    },
    /// The bytes of a layer are not the bytes that were recorded for it.
    #[error(
        "layer {layer} has other bytes than when it was last made; a store object in it has changed\n  recorded: {expected}\n  found:    {found}"
    )]
    Changed {
        /// The number of the layer, from 1.
        layer: usize,
        /// The recorded digest.
        expected: crate::oci::Digest,
        /// The digest now.
        found: crate::oci::Digest,
    },
    /// A file has a digest in a form that cannot be replaced, and it had not when it was looked at.
    #[error(
        "the digest of a store path in `{}` cannot be replaced as a whole", path.display()
    )]
    LeftOver {
        /// The file, in the store or in the image.
        path: PathBuf,
    },
    /// What layers became could not be put into the store.
    #[error("cannot put what layers became into the store")]
    Share {
        /// Why.
        #[source]
        source: Box<store::AddError>,
    },
    /// The layers could not be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A compressor refused its input, which only a lack of memory explains.
    #[error("cannot compress a piece of a layer with {compression}")]
    Compress {
        /// The compressor.
        compression: Compression,
    },
}
