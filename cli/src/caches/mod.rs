//! Caches as commands use them: an address with the credentials that are at hand for it.
//!
//! Libraries read neither the environment nor a home directory; what tools usually read there is read here.

mod credential_helper;
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
use std::process::ExitStatus;
use std::time::Duration;

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
    /// What is named as a program that keeps credentials is none.
    #[error("`{name}` is not the name of a program that keeps credentials")]
    HelperName {
        /// The name.
        name: String,
    },
    /// A program that keeps credentials cannot be started.
    #[error("cannot ask `{program}` for the credentials for `{server}`")]
    HelperStart {
        /// The program.
        program: String,
        /// What it was to be asked for.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("`{program}` has no credentials for `{server}`: {}", if said.is_empty() { status.to_string() } else { said.clone() })]
    HelperFailed {
        /// The program.
        program: String,
        /// What it was asked for.
        server: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It does not answer.
    #[error("`{program}` does not say within {} s what the credentials for `{server}` are", limit.as_secs())]
    HelperSilent {
        /// The program.
        program: String,
        /// What it was asked for.
        server: String,
        /// How long was waited.
        limit: Duration,
    },
    /// It answers with something else.
    #[error("the answer of `{program}` about `{server}` has no user and no secret")]
    HelperAnswer {
        /// The program.
        program: String,
        /// What it was asked for.
        server: String,
    },
}

/// Why a cache cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum CacheError {
    /// Only what is on this machine may be used.
    #[error("the cache `{0}` is not on this machine, and `--offline` was asked for")]
    Offline(String),
}
