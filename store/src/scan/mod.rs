//! Finds the digits of store paths in bytes: all needles in one pass, wherever chunks are cut. Pure but for the reader it is given.
//!
//! Two kinds of needles. *Candidates* are store paths that the bytes may refer to; the first offset of each is kept. *Scratch* digests are
//! those of the outputs being built; every offset is kept, because there the digits will be replaced. What of a scratch digest cannot be
//! replaced is a [`Residue`]: any 8 of its digits in a row outside a whole occurrence, digits as UTF-16, or digits inside a compressed member.
//!
//! Invariant: no false negatives among plain ASCII and UTF-16LE digits. Compressed members are looked into up to
//! [`MEMBER_DEPTH`] containers deep and [`MEMBER_BYTES`] uncompressed bytes a file.

mod members;
mod needles;
mod scanner;

pub use self::{
    members::{Container, MEMBER_BYTES, MEMBER_DEPTH, scan_members},
    needles::Needles,
    scanner::{Findings, Occurrence, Residue, ResidueForm, Scanner, scan_bytes},
};
