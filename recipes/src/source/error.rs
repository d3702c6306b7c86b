//! Why a file could not be fetched: what every address answered, and what was expected of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use store::net::NetError;

use super::MirrorError;
use crate::model::{ContentDigest, Location};

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address had the file.
    #[error("no address has `{name}`{}", lines(.attempts))]
    Unavailable {
        /// The file's name.
        name: String,
        /// Every address that was tried, with its reason, in order.
        attempts: Vec<Attempt>,
    },
    /// At least one address had other bytes than the recipe promises, and none had the right ones.
    #[error(transparent)]
    WrongDigest(Box<WrongDigest>),
    /// The file is not here and nothing may be transferred.
    #[error("`{name}` is not on this machine and nothing is fetched while offline{}", url_lines(.urls))]
    Offline {
        /// The file's name.
        name: String,
        /// Where it could be fetched.
        urls: Vec<String>,
    },
    /// A partial file could not be kept.
    #[error("cannot write the partial file `{}`", .path.display())]
    Partial {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The user stopped it. What has come stays for the next run.
    #[error("the transfer of `{name}` was interrupted")]
    Cancelled {
        /// The file's name.
        name: String,
    },
}

/// What was served in the place of a file.
#[derive(Debug, thiserror::Error)]
#[error(
    "source `{name}` has the wrong digest\n  expected: {expected}  ({location})\n  found:    {found}  ({url}){}",
    lines(.others)
)]
pub struct WrongDigest {
    /// The file's name.
    pub name: String,
    /// What the recipe promises.
    pub expected: ContentDigest,
    /// Where the recipe does.
    pub location: Location,
    /// What the first wrong address served.
    pub found: ContentDigest,
    /// That address, without credentials.
    pub url: String,
    /// The other addresses that were tried, with their reasons, in order.
    pub others: Vec<Attempt>,
}

/// An address that did not have the file, and why.
#[derive(Debug)]
pub struct Attempt {
    /// The address, without credentials.
    pub url: String,
    /// Why it failed at the last try.
    pub reason: AttemptError,
}

/// Why one address failed.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The address leads nowhere.
    #[error("{0}")]
    Mirror(MirrorError),
    /// The server answered, but not with the file.
    #[error("the server answered {code}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
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
    /// Too little came for too long.
    #[error("less than {min_bytes} bytes came in {} s", .period.as_secs())]
    Stalled {
        /// How much would have been enough.
        min_bytes: u64,
        /// In which time.
        period: Duration,
    },
    /// More came than a source may have.
    #[error("the file has more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// Everything came and was something else.
    #[error("it has the digest {found}")]
    WrongDigest {
        /// The digest of what came.
        found: ContentDigest,
    },
    /// The page that lists a project's files lists none with this digest.
    #[error("the index lists no file with the digest {digest}")]
    NotListed {
        /// The digest.
        digest: ContentDigest,
    },
    /// A `file:` address could not be read.
    #[error("cannot read the file: {message}")]
    File {
        /// The system's reason.
        message: String,
    },
    /// The address is in the network and nothing is fetched from there while offline.
    #[error("not asked while offline")]
    Offline,
}

impl From<NetError> for AttemptError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Unreachable { message } => Self::Unreachable { message },
            NetError::Certificate { message } => Self::Certificate { message },
            other => Self::Connection {
                message: other.to_string(),
            },
        }
    }
}

fn lines(attempts: &[Attempt]) -> String {
    attempts
        .iter()
        .map(|attempt| format!("\n  {}: {}", attempt.url, attempt.reason))
        .collect()
}

fn url_lines(urls: &[String]) -> String {
    urls.iter().map(|url| format!("\n  {url}")).collect()
}
