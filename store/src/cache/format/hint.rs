//! `b/…` and `n/…`: what saves requests, and is believed of nobody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    FormatError, MAX_HINT, VERSION, json,
    realisation::{check, key},
};
use crate::{
    id::{PathDigest, PlanDigest},
    trust::SignedRealisation,
};

const PLAN: &str = "hint of a plan";
const NAME: &str = "hint of a name";

/// The realisations of all derivations below a plan. Unsigned as a whole: who uses it computes each resolved digest from the realisations before it.
///
/// Invariant: no realisation is there twice, and each path shows its object's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanHint {
    plan: PlanDigest,
    entries: Vec<SignedRealisation>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u64,
    plan: PlanDigest,
    realisations: Vec<SignedRealisation>,
}

impl PlanHint {
    /// Makes the hint of a plan from realisations in order, dependencies first.
    pub fn new(plan: PlanDigest, entries: Vec<SignedRealisation>) -> Result<Self, FormatError> {
        let mut seen = BTreeSet::new();
        for SignedRealisation { realisation, .. } in &entries {
            check(PLAN, realisation)?;
            if !seen.insert((realisation.resolved, key(realisation))) {
                return Err(FormatError::Malformed {
                    what: PLAN,
                    rule: "no realisation is there twice",
                });
            }
        }
        Ok(Self { plan, entries })
    }

    /// Returns the plan.
    #[must_use]
    pub const fn plan(&self) -> &PlanDigest {
        &self.plan
    }

    /// Returns the realisations in the order of the file: dependencies first, if its writer was honest.
    #[must_use]
    pub fn entries(&self) -> &[SignedRealisation] {
        &self.entries
    }

    /// Parses the hint of a plan.
    pub fn decode(bytes: &[u8], plan: &PlanDigest) -> Result<Self, FormatError> {
        let wire: Wire = json::parse(PLAN, bytes, MAX_HINT)?;
        if wire.plan != *plan {
            return Err(FormatError::Other {
                what: PLAN,
                expected: plan.to_string(),
                found: wire.plan.to_string(),
            });
        }
        Self::new(*plan, wire.realisations)
    }

    /// Prints the hint on one line that ends. Fails when it has more than 16 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = Wire {
            version: VERSION,
            plan: self.plan,
            realisations: self.entries.clone(),
        };
        json::print(PLAN, &wire, MAX_HINT)
    }
}

/// Which object was pushed last under a name without version: the 40 digits of its path, and a line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameHint {
    /// The object.
    pub object: PathDigest,
}

impl NameHint {
    /// Parses the hint.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let digits = bytes
            .strip_suffix(b"\n")
            .and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .and_then(|digits| digits.parse().ok())
            .map(|object| Self { object })
            .ok_or(FormatError::Malformed {
                what: NAME,
                rule: "it is the digits of a store path and a line feed",
            })
    }

    /// Prints the hint.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format!("{}\n", self.object).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::realisation::tests::arbitrary_signed, *};
    use crate::{
        id::{ObjectId, ResolvedDigest, StorePath},
        info::Realisation,
        trust::SignatureSet,
    };
    use proptest::prelude::*;

    const PLAN_DIGEST: PlanDigest = PlanDigest::from_bytes([9; 32]);

    fn arbitrary_hint() -> impl Strategy<Value = PlanHint> {
        let entry = (arbitrary_signed(), 0..3u8).prop_map(|(mut entry, resolved)| {
            entry.realisation.resolved = ResolvedDigest::from_bytes([resolved; 32]);
            entry
        });
        prop::collection::vec(entry, 0..5).prop_filter_map("one is there twice", |entries| {
            PlanHint::new(PLAN_DIGEST, entries).ok()
        })
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(hint in arbitrary_hint()) {
            prop_assert_eq!(PlanHint::decode(&hint.encode().unwrap(), &PLAN_DIGEST).unwrap(), hint);
        }

        #[test]
        fn whatever_is_accepted_keeps_the_rules(hint in arbitrary_hint(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = hint.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(changed) = PlanHint::decode(&bytes, &PLAN_DIGEST) {
                prop_assert_eq!(PlanHint::decode(&changed.encode().unwrap(), &PLAN_DIGEST).unwrap(), changed);
            }
        }

        #[test]
        fn name_hints_have_one_form(bytes in prop::array::uniform25(any::<u8>()), any_bytes in prop::collection::vec(any::<u8>(), 39..43)) {
            let hint = NameHint { object: PathDigest::from_bytes(bytes) };
            prop_assert_eq!(NameHint::decode(&hint.encode()).unwrap(), hint);
            if let Ok(hint) = NameHint::decode(&any_bytes) {
                prop_assert_eq!(hint.encode(), any_bytes);
            }
        }
    }

    #[test]
    fn a_hint_of_another_plan_or_with_doubles_is_refused() {
        let hint = PlanHint::new(PLAN_DIGEST, Vec::new()).unwrap();
        let other = PlanDigest::from_bytes([8; 32]);
        assert!(matches!(
            PlanHint::decode(&hint.encode().unwrap(), &other),
            Err(FormatError::Other { .. })
        ));
        let object = ObjectId::from_bytes([1; 32]);
        let entry = SignedRealisation {
            realisation: Realisation {
                resolved: ResolvedDigest::from_bytes([7; 32]),
                output: "out".to_owned(),
                object,
                path: StorePath::new(object.path_digest(), "a".parse().unwrap()),
                sandbox: "full".to_owned(),
                built_at: 1,
                duration_ms: 2,
            },
            signatures: SignatureSet::default(),
        };
        assert!(PlanHint::new(PLAN_DIGEST, vec![entry.clone(), entry]).is_err());
    }

    #[test]
    fn name_hints_without_the_one_line_feed_are_refused() {
        let digits = "0".repeat(40);
        assert!(NameHint::decode(format!("{digits}\n").as_bytes()).is_ok());
        for text in [
            digits.clone(),
            format!("{digits}\n\n"),
            format!("{digits}\r\n"),
            format!(" {digits}\n"),
            format!("{digits}0\n"),
            "..\n".to_owned(),
        ] {
            assert!(NameHint::decode(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
