//! All signatures that are known of one object, whatever cache they came from.

use serde::{Deserialize, Serialize};

use super::{SignatureSet, SignedRealisation};

/// Different facts about the realisations of one object that are remembered at most; a hostile cache could otherwise fill the store.
const MAX_REALISATIONS: usize = 64;

/// The signatures of one object: of what it is, of where it comes from, and of what was built to it.
///
/// Not verified: what they are worth is for a [`Policy`](super::Policy) to say, when it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Signatures {
    /// Of the object itself.
    pub object: SignatureSet,
    /// Of one text of its component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<SignedComponent>,
    /// Of realisations that ended in it; ascending by what was built, output and facts, none twice.
    pub realisations: Vec<SignedRealisation>,
}

/// The text of a component, and who has signed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedComponent {
    /// The exact JSON that the signatures are of.
    pub json: String,
    /// The signatures.
    pub signatures: SignatureSet,
}

impl Signatures {
    /// Tells whether there is no signature.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let component = self.component.as_ref();
        self.object.is_empty()
            && component.is_none_or(|component| component.signatures.is_empty())
            && self
                .realisations
                .iter()
                .all(|signed| signed.signatures.is_empty())
    }

    /// Adds what another knows; of a component only what signs the same text. Tells whether anything was new.
    ///
    /// What is here stays: of full sets, and of more than 64 different facts about realisations, the rest is left out.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = self.object.merge(&other.object);
        match (&mut self.component, &other.component) {
            (Some(own), Some(other)) if own.json == other.json => {
                changed |= own.signatures.merge(&other.signatures);
            }
            (own @ None, Some(other)) if !other.signatures.is_empty() => {
                *own = Some(other.clone());
                changed = true;
            }
            _ => {}
        }
        for signed in &other.realisations {
            changed |= self.merge_realisation(signed);
        }
        changed
    }

    fn merge_realisation(&mut self, new: &SignedRealisation) -> bool {
        if new.signatures.is_empty() {
            return false;
        }
        match self
            .realisations
            .binary_search_by(|known| known.key().cmp(&new.key()))
        {
            Ok(at) => self.realisations[at].signatures.merge(&new.signatures),
            Err(_) if self.realisations.len() >= MAX_REALISATIONS => false,
            Err(at) => {
                self.realisations.insert(at, new.clone());
                true
            }
        }
    }
}
