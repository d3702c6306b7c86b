//! What a caller has to say about a cache beside its address.

use std::time::Duration;

use super::S3Settings;
use crate::net::{Credentials, NetOptions, Patience, Plaintext};

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
            net: NetOptions::of(patience),
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
        self.net.patience(self.answer, self.stored)
    }
}
