//! One inode for each file content: the hard-link pool `store/.pool/<aa>/<b3>[x]`.
//!
//! A file of at least [`MIN_BYTES`] has a name here beside its names in objects: the BLAKE3 digest of its bytes, with an `x` if it is executable,
//! below the first two digits. Who adds a file of that content gets a link to that inode and writes nothing.
//!
//! Invariant: **an entry's bytes were on disk before the entry had its name.** Objects get their files into the pool after they are synced and
//! valid, never before. So no crash leaves an entry with wrong or missing bytes, and none has to be hashed again before it is linked to,
//! after an unclean shutdown either: what a crash can take away is entries, which costs sharing and nothing else. (The other way is to enter
//! files as they are written and to remember which entries may not be on disk; it shares a little more between adds that run
//! at once, and every entry has to prove itself after each crash.) Disks that lie about what they have written are met where they
//! are met for objects: whoever finds an object damaged takes its inodes out of the pool, see [`Pool::discard_inodes`].
//!
//! An entry may go at any time, so no lock is needed: a link either is made, and then the inode stays, or is not, and then the file is
//! written. The pool is an optimisation: nothing fails because of it, a file that cannot be linked (`EMLINK`, `EXDEV`,
//! `ENOSPC` of a directory that is full, `EPERM` for the file of somebody else) stays a file of its own.
//!
//! Not responsible for what objects are, nor for bytes: files come here sealed and hashed.

mod directory;
mod key;

pub use self::{
    directory::{Collected, Found, Pool, PoolEntry},
    key::PoolKey,
};

/// Files smaller than this stay out of the pool: they are most of all files and little of what sharing saves (Guix measured 60–70 % of
/// the entries for 2.5–4 % of the savings).
pub const MIN_BYTES: u64 = 8 << 10;
