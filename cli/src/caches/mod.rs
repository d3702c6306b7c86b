//! Caches as commands use them: an address with the credentials that are at hand for it.
//!
//! Libraries read neither the environment nor a home directory; what tools usually read there is read here.

mod failures;
mod netrc;
mod open;
mod registry_auth;
mod secrets;

pub(crate) use failures::tell_failures;
pub(crate) use open::{open_cache, open_caches, proxies};
pub(crate) use secrets::registry_credentials;

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why the credentials for a cache cannot be used.
#[derive(Debug, Error)]
pub(crate) enum CredentialError {
    /// A file that settings name cannot be read.
    #[error("cannot read the token in `{}`", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A variable that settings name is not set.
    #[error("`{name}`, which should hold the token for `{cache}`, is not set")]
    TokenVariable {
        /// The variable.
        name: String,
        /// The cache's address.
        cache: String,
    },
}

/// Why a cache cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum CacheError {
    /// Only what is on this machine may be used.
    #[error("the cache `{0}` is not on this machine, and `--offline` was asked for")]
    Offline(String),
}
