//! A cache as those see it who take objects from it: a back end with patience, and with an end to it.
//!
//! **Invariant.** A cache that is down costs one command at most [`Policy::budget`] of waiting, however many files it is asked for. Only what may be different
//! in a moment is tried again, after a random pause (full jitter) or the one that the server asks for. A file that was corrupt is not asked for again; the
//! cache still is.
//!
//! ```
//! use store::cache::{
//!     backend::{BackendOptions, CacheUrl, open_backend},
//!     source::{Policy, Source},
//! };
//!
//! let url: CacheUrl = "/srv/cache".parse()?;
//! let source = Source::new(open_backend(&url, &BackendOptions::default())?, Policy::default());
//! assert_eq!(source.latency(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not responsible for choosing among several caches, for what is remembered between commands, or for what the bytes mean.

mod breaker;
mod clock;
mod policy;
mod reader;
mod requests;
mod writer;

pub use clock::{Clock, SystemClock};
pub use policy::Policy;
pub use reader::SourceReader;
pub use requests::{Source, Statistics};
pub use writer::SourceWriter;

use std::{sync::Arc, time::Duration};

use super::backend::BackendError;

/// Why a cache did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The back end's answer, after as many tries as made sense.
    #[error(transparent)]
    Backend(#[from] Arc<BackendError>),
    /// It has failed too often and is not asked now.
    #[error("the cache `{cache}` is not asked {}", pause.map_or_else(|| "any more".to_owned(), |pause| format!("for {} s", pause.as_secs())))]
    GivenUp {
        /// The cache's address.
        cache: String,
        /// For how long yet; `None` for as long as this command runs.
        pause: Option<Duration>,
        /// What it failed with last.
        #[source]
        cause: Option<Arc<BackendError>>,
    },
    /// The file was corrupt when it was read before.
    #[error("`{file}` was corrupt before and is not asked for again")]
    Quarantined {
        /// The file's address.
        file: String,
    },
}
