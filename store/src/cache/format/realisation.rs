//! `r/…`: what one derivation was built to, and who says so.

use serde::{Deserialize, Serialize};

use super::{FormatError, MAX_JSON, VERSION, json};
use crate::{
    id::{ObjectId, ResolvedDigest, StorePath},
    info::Realisation,
    trust::{SignatureSet, SignedRealisation},
};

const WHAT: &str = "list of realisations";
/// Bytes of the name of an output or of a level of the sandbox at most.
const MAX_WORD: usize = 64;

/// All known realisations of one derivation.
///
/// Invariant: they ascend by output, object, sandbox, end and duration of the build, no two the same; each is of the derivation, and its path shows its
/// object's id. Several objects of one output are a conflict to be reported, and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealisationSet {
    resolved: ResolvedDigest,
    entries: Vec<SignedRealisation>,
}

/// One realisation without what it is of.
#[derive(Serialize, Deserialize)]
struct WireEntry {
    output: String,
    object: ObjectId,
    path: StorePath,
    sandbox: String,
    built_at: u64,
    duration_ms: u64,
    signatures: SignatureSet,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    version: u64,
    resolved: ResolvedDigest,
    realisations: Vec<WireEntry>,
}

impl RealisationSet {
    /// Makes an empty list for a derivation.
    #[must_use]
    pub const fn new(resolved: ResolvedDigest) -> Self {
        Self {
            resolved,
            entries: Vec::new(),
        }
    }

    /// Returns what was built.
    #[must_use]
    pub const fn resolved(&self) -> &ResolvedDigest {
        &self.resolved
    }

    /// Returns the realisations, ascending by output and then by object.
    #[must_use]
    pub fn entries(&self) -> &[SignedRealisation] {
        &self.entries
    }

    /// Returns the realisations, ascending by output and then by object.
    #[must_use]
    pub fn into_entries(self) -> Vec<SignedRealisation> {
        self.entries
    }

    /// Adds a realisation, or its signatures where it is known. Tells whether anything changed.
    ///
    /// Fails for one of another derivation, and where two name one object differently.
    pub fn insert(&mut self, entry: SignedRealisation) -> Result<bool, FormatError> {
        check(WHAT, &entry.realisation)?;
        if entry.realisation.resolved != self.resolved {
            return Err(of_other(&self.resolved, &entry.realisation.resolved));
        }
        let found = self
            .entries
            .binary_search_by(|known| key(&known.realisation).cmp(&key(&entry.realisation)));
        match found {
            Ok(at) => match self.entries.get_mut(at) {
                Some(known) if known.realisation == entry.realisation => {
                    Ok(known.signatures.merge(&entry.signatures))
                }
                _ => Err(FormatError::Conflict {
                    what: WHAT,
                    subject: entry.realisation.object.to_string(),
                }),
            },
            Err(at) => {
                self.entries.insert(at, entry);
                Ok(true)
            }
        }
    }

    /// Adds all realisations and signatures of another list of the same derivation. Tells whether anything changed.
    pub fn merge(&mut self, other: &Self) -> Result<bool, FormatError> {
        if self.resolved != other.resolved {
            return Err(of_other(&self.resolved, &other.resolved));
        }
        let mut is_changed = false;
        for entry in &other.entries {
            is_changed |= self.insert(entry.clone())?;
        }
        Ok(is_changed)
    }

    /// Parses the list of a derivation.
    pub fn decode(bytes: &[u8], resolved: &ResolvedDigest) -> Result<Self, FormatError> {
        let wire: Wire = json::parse(WHAT, bytes, MAX_JSON)?;
        if wire.resolved != *resolved {
            return Err(of_other(resolved, &wire.resolved));
        }
        let entries: Vec<_> = wire
            .realisations
            .into_iter()
            .map(|entry| entry.into_signed(*resolved))
            .collect();
        for entry in &entries {
            check(WHAT, &entry.realisation)?;
        }
        if !entries.is_sorted_by(|a, b| key(&a.realisation) < key(&b.realisation)) {
            return Err(FormatError::Malformed {
                what: WHAT,
                rule: "they ascend by output and object, and none is there twice",
            });
        }
        Ok(Self {
            resolved: *resolved,
            entries,
        })
    }

    /// Prints the list on one line that ends. Fails when it has more than 1 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let wire = Wire {
            version: VERSION,
            resolved: self.resolved,
            realisations: self.entries.iter().map(WireEntry::new).collect(),
        };
        json::print(WHAT, &wire, MAX_JSON)
    }
}

impl WireEntry {
    fn new(entry: &SignedRealisation) -> Self {
        let realisation = &entry.realisation;
        Self {
            output: realisation.output.clone(),
            object: realisation.object,
            path: realisation.path.clone(),
            sandbox: realisation.sandbox.clone(),
            built_at: realisation.built_at,
            duration_ms: realisation.duration_ms,
            signatures: entry.signatures.clone(),
        }
    }

    fn into_signed(self, resolved: ResolvedDigest) -> SignedRealisation {
        SignedRealisation {
            realisation: Realisation {
                resolved,
                output: self.output,
                object: self.object,
                path: self.path,
                sandbox: self.sandbox,
                built_at: self.built_at,
                duration_ms: self.duration_ms,
            },
            signatures: self.signatures,
        }
    }
}

/// What a signature of a realisation speaks of, in the order of the list. The path's name is left out: the object's id seals it.
pub(super) fn key(realisation: &Realisation) -> (&str, &ObjectId, &str, u64, u64) {
    (
        &realisation.output,
        &realisation.object,
        &realisation.sandbox,
        realisation.built_at,
        realisation.duration_ms,
    )
}

/// Checks what no type of a realisation's parts says.
pub(super) fn check(what: &'static str, realisation: &Realisation) -> Result<(), FormatError> {
    let refuse = |rule| Err(FormatError::Malformed { what, rule });
    if realisation.object.path_digest() != *realisation.path.digest() {
        return refuse("the path of each object begins as its id does");
    }
    if !is_word(&realisation.output) || !is_word(&realisation.sandbox) {
        return refuse("outputs and sandboxes are words of `a-z0-9_-`, a letter first");
    }
    Ok(())
}

fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn of_other(expected: &ResolvedDigest, found: &ResolvedDigest) -> FormatError {
    FormatError::Other {
        what: WHAT,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        testing::{arbitrary_object_id, arbitrary_store_name},
        trust::{SecretKey, Statement},
    };
    use proptest::prelude::*;

    pub(in crate::cache::format) const RESOLVED: ResolvedDigest =
        ResolvedDigest::from_bytes([7; 32]);

    prop_compose! {
        pub(in crate::cache::format) fn arbitrary_signed()(
            output in "out|dev|[a-z][a-z0-9_]{0,3}",
            object in prop_oneof![Just(ObjectId::from_bytes([1; 32])), arbitrary_object_id()],
            name in arbitrary_store_name(),
            sandbox in "full|no-proc",
            built_at in 0..3u64,
            duration_ms in prop_oneof![0..2u64, any::<u64>()],
            seeds in prop::collection::vec(0..4u8, 0..3),
        ) -> SignedRealisation {
            // One name for one object, as the object's id seals it.
            let name = if object == ObjectId::from_bytes([1; 32]) { "a".parse().unwrap() } else { name };
            let path = StorePath::new(object.path_digest(), name);
            let realisation = Realisation { resolved: RESOLVED, output, object, path, sandbox, built_at, duration_ms };
            let sign = |seed: &u8| SecretKey::from_seed("k".parse().unwrap(), &[*seed; 32]).sign(&Statement::realisation(&realisation));
            let signatures = SignatureSet::new(seeds.iter().map(sign)).unwrap();
            SignedRealisation { realisation, signatures }
        }
    }

    fn arbitrary_set() -> impl Strategy<Value = RealisationSet> {
        prop::collection::vec(arbitrary_signed(), 0..6).prop_map(set_of)
    }

    fn set_of(entries: Vec<SignedRealisation>) -> RealisationSet {
        let mut set = RealisationSet::new(RESOLVED);
        for entry in entries {
            set.insert(entry).unwrap();
        }
        set
    }

    fn example() -> SignedRealisation {
        let object = ObjectId::from_bytes([1; 32]);
        SignedRealisation {
            realisation: Realisation {
                resolved: RESOLVED,
                output: "out".to_owned(),
                object,
                path: StorePath::new(object.path_digest(), "a".parse().unwrap()),
                sandbox: "full".to_owned(),
                built_at: 1,
                duration_ms: 2,
            },
            signatures: SignatureSet::default(),
        }
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(set in arbitrary_set()) {
            prop_assert_eq!(RealisationSet::decode(&set.encode().unwrap(), &RESOLVED).unwrap(), set);
        }

        #[test]
        fn whatever_is_accepted_is_the_one_form_of_itself(set in arbitrary_set(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = set.encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(changed) = RealisationSet::decode(&bytes, &RESOLVED) {
                prop_assert_eq!(&set_of(changed.entries.clone()), &changed);
                prop_assert_eq!(RealisationSet::decode(&changed.encode().unwrap(), &RESOLVED).unwrap(), changed);
            }
        }

        #[test]
        fn merging_is_a_union(a in arbitrary_set(), b in arbitrary_set(), c in arbitrary_set()) {
            let merge = |a: &RealisationSet, b: &RealisationSet| {
                let mut merged = a.clone();
                let is_changed = merged.merge(b).unwrap();
                assert_eq!(is_changed, merged != *a);
                merged
            };
            prop_assert_eq!(merge(&a, &b), merge(&b, &a));
            prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
            prop_assert_eq!(merge(&a, &a), a.clone());
            for entry in a.entries() {
                let merged = merge(&a, &b);
                let kept = merged.entries().iter().find(|kept| kept.realisation == entry.realisation).unwrap();
                prop_assert!(entry.signatures.iter().all(|signature| kept.signatures.contains(signature)));
            }
        }
    }

    #[test]
    fn a_list_for_another_derivation_is_refused() {
        let set = set_of(vec![example()]);
        let other = ResolvedDigest::from_bytes([8; 32]);
        assert!(matches!(
            RealisationSet::decode(&set.encode().unwrap(), &other),
            Err(FormatError::Other { .. })
        ));
        assert!(RealisationSet::new(other).merge(&set).is_err());
        assert!(RealisationSet::new(other).insert(example()).is_err());
    }

    #[test]
    fn lists_out_of_order_or_with_bad_words_are_refused() {
        let later = SignedRealisation {
            realisation: Realisation {
                output: "z".to_owned(),
                ..example().realisation
            },
            ..example()
        };
        let good = String::from_utf8(set_of(vec![example(), later]).encode().unwrap()).unwrap();
        let (out, z) = (r#""output":"out""#, r#""output":"z""#);
        for bad in [
            good.replace(z, out),
            good.replace(out, r#""output":"zz""#),
            good.replace(z, r#""output":"../z""#),
            good.replace(z, r#""output":"""#),
            good.replace("full", "Full"),
            good.replace('z', &"z".repeat(65)),
            good.replace("-a\"", "-..\""),
            good.replacen("\"object\":\"blake3:01", "\"object\":\"blake3:02", 1),
            good.replace(r#","signatures":[]"#, ""),
        ] {
            assert_ne!(bad, good);
            assert!(
                RealisationSet::decode(bad.as_bytes(), &RESOLVED).is_err(),
                "{bad}"
            );
        }
        assert!(RealisationSet::decode(good.as_bytes(), &RESOLVED).is_ok());
    }

    #[test]
    fn one_object_has_one_name() {
        let mut other = example();
        other.realisation.path =
            StorePath::new(*other.realisation.path.digest(), "b".parse().unwrap());
        let mut set = set_of(vec![example()]);
        assert!(matches!(
            set.insert(other),
            Err(FormatError::Conflict { .. })
        ));
    }
}
