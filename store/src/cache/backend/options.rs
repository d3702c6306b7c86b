//! What a caller has to say about a cache beside its address.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::S3Settings;
use crate::net::{Authorization, NetOptions, Patience, Timeouts};

/// Who asks. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token that the server gave out.
    Bearer(Zeroizing<String>),
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::Basic { .. } => "Basic(..)",
        })
    }
}

impl Credentials {
    /// Returns the header; `None` if a token or a name has characters that cannot be sent.
    pub(super) fn authorization(&self) -> Option<Authorization> {
        let text = match self {
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", token.as_str())),
            Self::Basic { user, password } => {
                let pair = Zeroizing::new(format!("{user}:{}", password.as_str()));
                let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
                Zeroizing::new(format!("Basic {}", encoded.as_str()))
            }
        };
        Authorization::new(&text)
    }
}

/// What may cross the network unencrypted. Loopback is no network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// Nothing that is secret; registries are spoken to over `https` alone.
    #[default]
    Denied,
    /// Credentials too, and registries are spoken to over `http`.
    Allowed,
}

/// How a cache is used.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// Connections: limits, proxies, certificates.
    pub net: NetOptions,
    /// How long an answer to a question may take to begin, the connection included.
    pub answer: Duration,
    /// How long a server may take to answer once it has all of a file that it shall keep.
    pub stored: Duration,
    /// Who asks; goes before what the address says about that.
    pub credentials: Option<Credentials>,
    /// What may go unencrypted.
    pub plaintext: Plaintext,
    /// Region, server and credentials of S3 buckets.
    pub s3: S3Settings,
}

impl Default for BackendOptions {
    fn default() -> Self {
        let patience = Patience::default();
        Self {
            net: NetOptions {
                timeouts: Timeouts {
                    stall: patience.stall,
                    min_bytes: patience.min_bytes,
                    ..Timeouts::default()
                },
                ..NetOptions::default()
            },
            answer: patience.answer,
            stored: patience.stored,
            credentials: None,
            plaintext: Plaintext::default(),
            s3: S3Settings::default(),
        }
    }
}

impl BackendOptions {
    pub(super) const fn patience(&self) -> Patience {
        Patience {
            answer: self.answer,
            stored: self.stored,
            stall: self.net.timeouts.stall,
            min_bytes: self.net.timeouts.min_bytes,
        }
    }
}
