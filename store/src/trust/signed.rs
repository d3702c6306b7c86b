//! A realisation with the signatures under it.

use serde::{Deserialize, Serialize};

use super::{SecretKey, SignatureSet, Statement};
use crate::{
    id::{ObjectId, ResolvedDigest},
    info::Realisation,
};

/// A realisation and the signatures of exactly its facts. Believed only when a [`Policy`](super::Policy) says so.
///
/// Serialised as the realisation with one more key, `signatures`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRealisation {
    /// What was built to what.
    #[serde(flatten)]
    pub realisation: Realisation,
    /// Who says so.
    pub signatures: SignatureSet,
}

impl SignedRealisation {
    /// Signs a realisation.
    #[must_use]
    pub fn sign(realisation: Realisation, key: &SecretKey) -> Self {
        let mut signatures = SignatureSet::default();
        signatures.insert(key.sign(&Statement::realisation(&realisation)));
        Self {
            realisation,
            signatures,
        }
    }

    /// Returns all that is signed: equal exactly for equal statements.
    pub(super) fn key(&self) -> (&ResolvedDigest, &str, &ObjectId, &str, u64, u64) {
        let facts = &self.realisation;
        (
            &facts.resolved,
            &facts.output,
            &facts.object,
            &facts.sandbox,
            facts.built_at,
            facts.duration_ms,
        )
    }

    /// Tells whether this is evidence for what another realisation says: the same object for the same output of the same derivation. When, how and in
    /// what time it was built may differ.
    #[must_use]
    pub fn supports(&self, other: &Realisation) -> bool {
        self.realisation.resolved == other.resolved
            && self.realisation.output == other.output
            && self.realisation.object == other.object
    }
}
