//! The identity of a store object: its digest modulo self-references, and the seal over all that it is. Pure.
//!
//! An object may contain its own store path, which contains its digest. So the digest is computed over the object with each occurrence of the
//! path's 40 digits taken out, *and the offsets of the occurrences put in*. Bytes and offsets together give the bytes back once the digits are
//! known; so the map from contents to what is hashed is injective, and two contents share an id only if BLAKE3 collides. (Zeroing alone, without
//! the offsets, is not injective: a file that has 40 zero bytes would share its id with one that has its own digits there.)
//!
//! *File with self-references*: `derive_key("pith 2026-11 file modulo self v1")` over `u64 size`, the plain BLAKE3 of the bytes with each
//! occurrence replaced by 40 zero bytes, `u64 n`, and the n offsets ascending as `u64`.
//!
//! *Symlink with self-references*: `derive_key("pith 2026-11 symlink modulo self v1")` over `u16 length`, the target with zeroes, `u64 n`, and
//! the n offsets.
//!
//! *Directory with self-references below*: `derive_key("pith 2026-11 tree modulo self v1")` over `u32 count` and the entries ascending by
//! name: `u8 kind`, `u8 length`, name, payload. Entries without self-references below them are exactly those of the tree format; the others
//! have kinds of their own, `0x11` file, `0x12` executable file, `0x13` directory, `0x14` symlink, and the digest above for a payload
//! (directories with their two totals before it).
//!
//! *Object*: `derive_key("pith 2026-11 object v1")` over `u32 version`, `u16 length` and the logical store directory, `u8 length` and the name,
//! the root as an entry without a name, `u32 n` and the n full ids of the references ascending, `u8` 1 for an object with self-references and 0
//! for others.
//!
//! All integers are little-endian.

mod modulo;
mod seal;
mod stream;

pub use self::{
    modulo::{ModuloHasher, ModuloNode, ModuloTree, root_modulo, symlink_modulo},
    seal::{ObjectSeal, seal},
    stream::StreamHasher,
};
