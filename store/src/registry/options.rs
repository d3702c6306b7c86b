//! What a caller has to say about a registry beside its name.

use std::time::Duration;

use super::ReferrersList;
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
    /// What is known of it.
    pub profile: RegistryProfile,
}

/// What is known of a registry, which saves asking, or which it does not say itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistryProfile {
    /// Who keeps the lists of what refers to manifests; the registry is asked where that is `None`.
    pub referrers: Option<ReferrersList>,
    /// In which chunks blobs are sent, where the caller's are not right.
    pub chunk_bytes: Option<usize>,
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
            profile: RegistryProfile::default(),
        }
    }
}

impl RegistryOptions {
    pub(super) const fn patience(&self) -> Patience {
        self.net.patience(self.answer, self.stored)
    }
}
