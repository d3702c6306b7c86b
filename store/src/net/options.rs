//! How connections are made and how patient their users are.

use std::time::Duration;

use super::Patience;

/// How patient a transfer is.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection to be made.
    pub connect: Duration,
    /// A transfer has failed when fewer than `min_bytes` came in this time.
    pub stall: Duration,
    /// See `stall`.
    pub min_bytes: u64,
    /// The unit of the pauses between tries.
    pub retry_base: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            stall: Duration::from_secs(15),
            min_bytes: 15 << 10,
            retry_base: Duration::from_millis(250),
        }
    }
}

/// Proxies that the caller was told to use; an address that brings its own goes before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http:` addresses.
    pub http: Option<String>,
    /// For `https:` addresses.
    pub https: Option<String>,
    /// Hosts that are reached directly, separated by commas, as in `NO_PROXY`.
    pub direct: Option<String>,
}

/// What a client is made of.
#[derive(Clone, Debug, Default)]
pub struct NetOptions {
    /// How patient it is.
    pub timeouts: Timeouts,
    /// Which proxies it uses.
    pub proxies: Proxies,
    /// Certificates, in PEM, that are trusted beside the machine's.
    pub extra_roots: Vec<u8>,
}

impl NetOptions {
    /// Those of a client that is as patient with what moves as `patience`.
    pub(crate) fn of(patience: Patience) -> Self {
        Self {
            timeouts: Timeouts {
                stall: patience.stall,
                min_bytes: patience.min_bytes,
                ..Timeouts::default()
            },
            ..Self::default()
        }
    }

    /// The patience of such a client, with what connections do not know: how long answers may take to begin.
    pub(crate) const fn patience(&self, answer: Duration, stored: Duration) -> Patience {
        Patience {
            answer,
            stored,
            stall: self.timeouts.stall,
            min_bytes: self.timeouts.min_bytes,
        }
    }
}
