//! What a caller has to say about a registry beside its name.

use std::time::Duration;

use crate::net::{Credentials, NetOptions, Patience, Plaintext};

/// How a registry is used.
#[derive(Clone, Debug)]
pub struct RegistryOptions {
    /// Connections: limits, proxies, certificates.
    pub net: NetOptions,
    /// How long an answer to a question may take to begin, the connection included.
    pub answer: Duration,
    /// How long the registry may take to answer once it has all of what it shall keep.
    pub stored: Duration,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// Whether the registry is spoken to over `http`.
    pub plaintext: Plaintext,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        let patience = Patience::default();
        Self {
            net: NetOptions::of(patience),
            // Registries ask others for the rights of a user before they answer.
            answer: Duration::from_secs(30),
            stored: patience.stored,
            credentials: None,
            plaintext: Plaintext::default(),
        }
    }
}

impl RegistryOptions {
    pub(super) const fn patience(&self) -> Patience {
        self.net.patience(self.answer, self.stored)
    }
}
