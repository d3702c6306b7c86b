//! The files of a cache, as `FORMAT.md` describes them: values to bytes and back. Pure.
//!
//! Invariant: what a decoder accepts obeys every rule of the format, whoever wrote it; work and memory are bounded by the limits here and by what the
//! caller already believes of the object. Encoders write the one form that `FORMAT.md` names, so equal values are equal bytes.
//!
//! * [`CacheName`] — the names of all files
//! * [`CacheInfo`] — `cache.json`
//! * [`ObjectRecord`] — `o/…`
//! * [`Manifest`] — `t/…`
//! * [`ClosureIndex`] — `c/…`
//! * [`RealisationSet`] — `r/…`
//! * [`PlanHint`] and [`NameHint`] — `b/…` and `n/…`
//! * [`Pins`], [`Condemned`] and [`Claim`] — `gc/…`
//!
//! ```
//! use store::cache::format::CacheName;
//!
//! let name: CacheName = "cache.json".parse()?;
//! assert_eq!(name, CacheName::Info);
//! assert!("p/../cache.json".parse::<CacheName>().is_err());
//! # Ok::<(), store::cache::format::FormatError>(())
//! ```
//!
//! Not responsible for signatures: they are carried, and [`trust`](crate::trust) decides what they are worth. Nor for bytes of blobs: those are
//! [`pack`](super::pack)'s.

mod bytes;
mod cache_info;
mod closure;
mod collection;
mod hint;
mod json;
mod manifest;
mod manifest_check;
mod manifest_decode;
mod name;
mod realisation;
mod record;
mod zstd_frame;

pub(crate) use self::zstd_frame::{
    compress, compress_bound, content_size, decompress, decompress_into,
};
pub use self::{
    cache_info::CacheInfo,
    closure::{ClosureIndex, Prefix, encode_closure, encode_closure_head},
    collection::{Claim, Condemned, DrawnId, Pins},
    hint::{NameHint, PlanHint},
    manifest::{BlobEntry, BlobPart, Frame, Manifest, Part},
    name::CacheName,
    realisation::RealisationSet,
    record::ObjectRecord,
    zstd_frame::FrameError,
};

/// The version of all formats that is written and read here.
pub const VERSION: u64 = 1;
/// Bytes of a JSON file at most, where nothing else is said.
pub const MAX_JSON: usize = 1 << 20;
/// Bytes of an object's record at most.
pub const MAX_RECORD: usize = 16 << 20;
/// Bytes of a plan's hint at most.
pub const MAX_HINT: usize = 16 << 20;
/// Bytes of a list of what goes, and of a claim, at most: some 800 000 names.
pub const MAX_CONDEMNED: usize = 64 << 20;
/// Bytes of a pack at most.
pub const MAX_PACK: usize = 32 << 20;
/// Bytes that one frame of a pack holds at most.
pub const MAX_FRAME: usize = 4 << 20;
/// Bytes that small blobs share in one frame, as near as they come from below.
pub const FRAME_TARGET: usize = 512 << 10;
/// Bytes of a blob that is never cut, and of a chunk of a larger one, at most.
pub const MAX_CHUNK: usize = 2 << 20;
/// Bytes of a chunk on average.
pub const AVERAGE_CHUNK: usize = 512 << 10;
/// Bytes of a chunk at least, unless it is the last of its blob.
pub const MIN_CHUNK: usize = 128 << 10;
/// Bytes of a manifest at most, compressed or not.
pub const MAX_MANIFEST: usize = 1 << 30;
/// Objects of a closure bundle at most.
pub const MAX_OBJECTS: usize = 1 << 16;
/// Bytes of the records of a closure bundle at most, compressed or not.
pub const MAX_RECORDS: usize = 128 << 20;
/// What a pack begins with.
pub const PACK_MAGIC: &[u8; 8] = b"PTHPAK01";

/// Why bytes are not what their name in a cache says, or values cannot be written as that.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A text names no file of a cache.
    #[error("`{}` is not the name of a file in a cache", text.escape_debug())]
    Name {
        /// What was given.
        text: String,
    },
    /// A file is of another version of the format.
    #[error("the {what} has version {found}, but only version {VERSION} is known")]
    Version {
        /// Which file.
        what: &'static str,
        /// Its version.
        found: u64,
    },
    /// A cache holds objects of another store directory.
    #[error(
        "the cache is for another store directory\n  expected: {}\n  found:    {}",
        crate::STORE_DIR,
        found.escape_debug()
    )]
    StoreDir {
        /// The directory that it is for.
        found: String,
    },
    /// A file is larger than it may be.
    #[error("the {what} has more than {limit} bytes")]
    TooLarge {
        /// Which file, or part of one.
        what: &'static str,
        /// How many it may have.
        limit: u64,
    },
    /// A file is not JSON of the wanted shape.
    #[error("the {what} is not the JSON of one")]
    Json {
        /// Which file.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A file breaks a rule of its format.
    #[error("the {what} is malformed: {rule}")]
    Malformed {
        /// Which file.
        what: &'static str,
        /// What should have been.
        rule: &'static str,
    },
    /// A file that answers for one thing speaks of another.
    #[error("the {what} is of something else\n  expected: {expected}\n  found:    {found}")]
    Other {
        /// Which file.
        what: &'static str,
        /// What it was asked for.
        expected: String,
        /// What it is of.
        found: String,
    },
    /// Two files say different things about what only one can be true of.
    #[error("two {what}s contradict each other about `{subject}`")]
    Conflict {
        /// Which files.
        what: &'static str,
        /// What they are about.
        subject: String,
    },
    /// The trees of a manifest are not the object's.
    #[error("the trees of the manifest are not those of its object")]
    Tree(#[source] crate::TreeError),
    /// A compressed part is not one frame of the wanted shape.
    #[error("the compressed part of the {what} cannot be read")]
    Frame {
        /// Which file.
        what: &'static str,
        /// Why.
        #[source]
        source: FrameError,
    },
    /// A blob lies nowhere.
    #[error("it is not known where the blob `{blob}` lies")]
    MissingBlob {
        /// The blob.
        blob: crate::BlobId,
    },
}
