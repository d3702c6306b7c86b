//! HTTP as this workspace speaks it: one way to build a client, one way to read what went wrong.
//!
//! **Invariant.** TLS is always verified, against the machine's certificates and those that the caller adds. Proxies are those that the caller names, never
//! those of the environment. Nothing that is shown has a user or a password in it. No wait is without a limit, and credentials stay with the server they
//! are for.
//!
//! * [`client_builder`] makes clients; [`NetOptions`] says how.
//! * `Wire` sends one request at a time from as many threads as like to; async below, synchronous to its callers.
//!
//! Not responsible for: retries, or what an answer means.

mod back_off;
mod body;
mod client;
mod credentials;
mod error;
mod io;
mod options;
mod text;
mod wire;

pub use client::client_builder;
pub use credentials::{Credentials, Plaintext};
pub use options::{NetOptions, Proxies, Timeouts};
pub use text::{
    ContentRange, chain, content_range, percent_decode, retry_after, without_credentials,
};

pub(crate) use back_off::{back_off, jitter};
pub(crate) use body::{Body, Pieces};
pub(crate) use credentials::is_loopback;
pub(crate) use io::Io;
pub(crate) use text::{is_failing, log_in_scheme};
pub(crate) use wire::{Answer, Authorization, Patience, Request, Wire, client};

use std::time::Duration;

/// Why there is no answer, or not the whole of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// No client can be made of the options.
    #[error("{message}")]
    Client {
        /// The chain of causes in one line.
        message: String,
    },
    /// No connection to the server could be made.
    #[error("{message}")]
    Unreachable {
        /// The chain of causes in one line.
        message: String,
    },
    /// The connection broke.
    #[error("{message}")]
    Connection {
        /// The chain of causes in one line.
        message: String,
    },
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted: {message}")]
    Certificate {
        /// What is wrong with it.
        message: String,
    },
    /// The server did not begin to answer.
    #[error("no answer came in {} s", .limit.as_secs_f32())]
    Silent {
        /// How long was waited.
        limit: Duration,
    },
    /// Too little moved for too long.
    #[error("less than {min_bytes} bytes moved in {} s", .period.as_secs_f32())]
    Stalled {
        /// How much would have been enough.
        min_bytes: u64,
        /// In which time.
        period: Duration,
    },
    /// The server sends its clients to where they do not go.
    #[error("the server redirects to `{to}`: {reason}")]
    Redirect {
        /// Where to, without credentials.
        to: String,
        /// Why not.
        reason: &'static str,
    },
}
