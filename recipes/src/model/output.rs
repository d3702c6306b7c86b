//! One output of a derivation, as others name it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use store::{PathDigest, StoreName, StorePath};

use super::ids::PLACEHOLDER;
use super::{Derivation, DerivationId, ModelError};

/// One output of a derivation, as the derivation holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    name: String,
    store_name: StoreName,
    placeholder: StorePath,
}

impl Output {
    /// Makes the output number `index` of a derivation whose default output has the store name `first`.
    ///
    /// Its placeholder is not there yet.
    pub(super) fn new(first: &StoreName, index: usize, name: String) -> Result<Self, ModelError> {
        let store_name = if index == 0 {
            first.clone()
        } else {
            let text = format!("{first}-{name}");
            text.parse()
                .map_err(|source| ModelError::StoreName { name: text, source })?
        };
        let placeholder = StorePath::new(PathDigest::from_bytes([0; 25]), store_name.clone());
        Ok(Self {
            name,
            store_name,
            placeholder,
        })
    }

    /// Gives the output its placeholder.
    pub(super) fn place(&mut self, derivation: &DerivationId) {
        let mut hasher = blake3::Hasher::new_derive_key(PLACEHOLDER);
        hasher.update(derivation.as_bytes());
        hasher.update(self.name.as_bytes());
        let mut digest = [0; 25];
        hasher.finalize_xof().fill(&mut digest);
        self.placeholder = StorePath::new(PathDigest::from_bytes(digest), self.store_name.clone());
    }

    /// Returns the output's name, `out`, `dev`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name that its store object will have.
    pub fn store_name(&self) -> &StoreName {
        &self.store_name
    }

    /// Returns the path that stands for it until it is realised.
    pub fn placeholder(&self) -> &StorePath {
        &self.placeholder
    }
}

/// One output of a derivation; ordered by derivation id, then by the output's name.
#[derive(Clone)]
pub struct OutputRef {
    derivation: Arc<Derivation>,
    index: usize,
}

impl OutputRef {
    /// Returns the output of `derivation` with this name.
    pub fn new(derivation: Arc<Derivation>, output: &str) -> Result<Self, ModelError> {
        match derivation
            .outputs()
            .iter()
            .position(|known| known.name == output)
        {
            Some(index) => Ok(Self { derivation, index }),
            None => Err(ModelError::UnknownOutput {
                derivation: derivation.name().to_string(),
                output: output.to_owned(),
                known: derivation
                    .outputs()
                    .iter()
                    .map(|output| output.name.clone())
                    .collect(),
            }),
        }
    }

    /// Returns the default output of `derivation`.
    pub fn default_of(derivation: Arc<Derivation>) -> Self {
        Self {
            derivation,
            index: 0,
        }
    }

    /// Returns the derivation.
    pub fn derivation(&self) -> &Arc<Derivation> {
        &self.derivation
    }

    /// Returns the output's name, `out`, `dev`.
    pub fn output(&self) -> &str {
        &self.as_output().name
    }

    /// Returns the name that its store object will have.
    pub fn store_name(&self) -> &StoreName {
        &self.as_output().store_name
    }

    /// Returns, as text, the path that stands for it until it is realised.
    pub fn placeholder(&self) -> String {
        self.as_output().placeholder.to_logical()
    }

    fn as_output(&self) -> &Output {
        self.derivation
            .outputs()
            .get(self.index)
            .expect("an `OutputRef` is only made of an output that is there")
    }

    fn key(&self) -> (DerivationId, &str) {
        (self.derivation.id(), self.output())
    }
}

impl fmt::Debug for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^{}", self.derivation.name(), self.output())
    }
}

impl PartialEq for OutputRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OutputRef {}

impl PartialOrd for OutputRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OutputRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for OutputRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
