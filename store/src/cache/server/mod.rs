//! A cache's directory for clients elsewhere: what static files cannot do is to look at what is written.
//!
//! **Invariant.** Whatever clients send, a file of the directory is right by itself: a pack has the digest of its name; a record, a closure bundle, a list of
//! realisations and a hint parse and are of what they are named for; a record is there only with its manifest, and a manifest that is known to fit its object
//! only with its packs. Signatures of the keys that the server was told are the keys'. Records and realisations are merged, so no signature is ever lost, by
//! however many clients at once. Memory, connections, waits and rates have limits.
//!
//! | request | what |
//! | --- | --- |
//! | `GET`, `HEAD` `/<name>` | a file, or one range of it |
//! | `PUT` `/<name>` | a new file: 201 if it changed anything, 200 if everything in it was known |
//! | `OPTIONS` `/…` | `Allow`: what this client may do |
//! | `GET /healthz` | 200 while the directory can be read; asks for no token |
//! | `GET /metrics` | counters in the text format of Prometheus, for who may read |
//!
//! Names are those of `FORMAT.md`. Reading asks for no token if the server says so; writing always asks for one: `Authorization: Bearer …`, of a file of
//! [`TokenEntry`](crate::serve::TokenEntry)s. Refusals say why in one line of text: 400 and 422 what is wrong with a file, 401 and 403 who may not, 409 what has to be there before it, 411
//! and 413 how large it may be, 408, 429 and 503 when to come back, 507 that the disk is full. `cache.json` is the server's, and the first log of a build stays.
//! Nothing is removed.
//!
//! ```
//! use store::{
//!     cache::server::{CacheService, ServerOptions},
//!     serve::{ReadAccess, Server},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path().join("cache").display().to_string();
//! let options = ServerOptions {
//!     read: ReadAccess::Public,
//!     ..ServerOptions::new(directory.parse()?)
//! };
//! let server = Server::bind("127.0.0.1:0".parse()?, CacheService::open(options)?)?;
//! println!("http://{}", server.address());
//! let handle = server.handle();
//! # handle.shutdown();
//! // Until somebody calls `handle.shutdown()`:
//! server.run()?;
//! # Ok(())
//! # }
//! ```
//!
//! Not responsible for TLS, which a proxy before it does, nor for removing what nobody needs.

mod check;
mod options;
mod refusal;
mod requests;
mod shelf;

pub use options::{ServerOptions, Unsigned};
pub use refusal::Refusal;
pub use requests::CacheService;

use super::{backend::BackendError, format::FormatError};
use crate::serve::TokenError;

/// Why a cache cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The cache is somewhere else already.
    #[error("`{cache}` is no directory, and only those are served")]
    NoDirectory {
        /// The cache.
        cache: String,
    },
    /// The directory cannot be read, or not written where clients may.
    #[error("the cache's directory cannot be used")]
    Directory(#[from] BackendError),
    /// What is there is a cache of something else.
    #[error("`{cache}` cannot be served")]
    Cache {
        /// The cache.
        cache: String,
        /// What is wrong with its `cache.json`.
        #[source]
        source: FormatError,
    },
    /// The file of tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenError),
}
