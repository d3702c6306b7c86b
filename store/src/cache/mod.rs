//! The binary cache: objects and realisations shared between machines as static files. What is read from a cache is hostile input.
//!
//! * [`mod@format`] — the names and the contents of the files
//! * [`pack`] — blobs to packs and back
//! * [`backend`] — where the files lie: directories, HTTP servers, S3 buckets, OCI registries
//! * [`push`] — from the local store into a cache
//! * [`source`] — a cache as those see it who take from it: retries, and when to stop
//! * [`pull`] — objects and realisations out of caches into the local store
//! * [`gc`] — what nobody needs any more out of a cache
//! * [`server`] — a directory for clients elsewhere, who may write only what is right
//!
//! What is believed because of which signatures is decided in [`trust`].
//!
//! The format of the files:
#![doc = include_str!("FORMAT.md")]

pub mod backend;
pub mod format;
pub mod gc;
pub mod pack;
mod parallel;
pub mod pull;
pub mod push;
pub mod server;
pub mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use crate::trust;
