//! Why a request is not even looked at, and how HTTP says that.

use std::time::Duration;

/// Why a request is not even looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Who asks has to say who it is.
    #[error("a token is needed")]
    NoToken,
    /// Who asks is unknown.
    #[error("the token is not known")]
    WrongToken,
    /// Who asks may not.
    #[error("the token is not good for that")]
    Scope,
    /// It is asked too often.
    #[error("that is too often")]
    Rate {
        /// How long to wait.
        wait: Duration,
    },
    /// Too much else is being written.
    #[error("too much else is being written")]
    Busy,
    /// A file comes without its length.
    #[error("the length has to be said")]
    NoLength,
    /// A file is too large.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// How many it may have.
        limit: u64,
    },
    /// A file comes too slowly.
    #[error("it came too slowly")]
    Slow,
    /// A file did not come whole.
    #[error("the connection broke")]
    Broken,
    /// The server stopped in the middle.
    #[error("the server is being stopped")]
    Stopped,
}

impl Denied {
    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NoToken | Self::WrongToken => 401,
            Self::Scope => 403,
            Self::Slow | Self::Broken => 408,
            Self::NoLength => 411,
            Self::TooLarge { .. } => 413,
            Self::Rate { .. } => 429,
            Self::Busy | Self::Stopped => 503,
        }
    }

    /// Returns after how many seconds the same request makes sense again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Rate { wait } => Some(wait.as_secs() + 1),
            Self::Busy | Self::Stopped => Some(1),
            _ => None,
        }
    }
}
