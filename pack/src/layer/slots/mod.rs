//! Stable slots: store paths of an image whose digests do not change when what they were built with does.
//!
//! A store path has the digest of all that it is made from in it, so a rebuild of libc renames everything above it, and every layer of an image is another
//! one although most of its bytes are the same. Where it is asked for, each digest is replaced while the image is packed, in everything that is in the
//! image, by a *slot*: as many digits, made from the name of the store path alone (`glibc-2.36-bin`: software, version and output). So a layer changes only with the
//! contents of its own objects, or the names of what they refer to.
//!
//! Invariant: of a digest that is replaced, no digit is left anywhere in the image. A path keeps its digest, in all of the image, and that is reported, where
//! replacing would not be complete: another path of the closure has the same name, a file has its digits in compressed form, in UTF-16 or in part
//! ([`store::scan`]), or the name of a file has them. Files are looked at again while they are written; what is found then and was not before is an error.
//!
//! Lengths never change, so nothing else of a file does. What a program computes from its own path and compares with what was computed when it was built (a signature, a checksum over a
//! file with paths) does not hold any more: this is why it has to be asked for.
//!
//! Not responsible for what is made of files of the store rather than of layers: such outputs refuse an image with slots.

mod inspect;
mod patched;
mod restore;
mod rewrite;
mod slot_map;

pub(crate) use inspect::Inspector;
pub(crate) use patched::Patched;
pub(crate) use restore::Originals;
pub(crate) use rewrite::{Patches, Rewrite, patch};
pub use slot_map::{KeptPath, SlotMap};
