//! What is believed: which keys count, until when, how many of them are needed, and from how tight a sandbox.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::NonZero,
};

use super::{Date, KeyName, PublicKey, Signature, SignatureSet, SignedRealisation, Statement};
use crate::{
    id::ObjectId,
    info::{PathInfo, Realisation},
};

/// A key whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The last day on which it counts, whenever the signature was made: who steals a key can write any date under it.
    pub until: Option<Date>,
}

/// What never counts, whatever else is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// All keys of a name.
    Name(KeyName),
    /// One key, by whatever name.
    Key(PublicKey),
}

/// Keys of which several must agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// How many different keys must have signed.
    pub need: NonZero<usize>,
    /// The names of the keys of which that many must have signed; ones that no trusted key has never count.
    pub members: BTreeSet<KeyName>,
}

/// What a [`Policy`] is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRules {
    /// The keys that are trusted. One that is listed twice counts once, until the earliest of its ends.
    pub keys: Vec<TrustedKey>,
    /// What is revoked.
    pub revoked: Vec<Revocation>,
    /// How many of all trusted keys must agree, where there are no groups.
    pub need: NonZero<usize>,
    /// Where not empty: one of these groups must agree.
    pub groups: Vec<Group>,
    /// Names of the levels of confinement whose builds are believed, for instance `full`.
    pub sandbox: BTreeSet<String>,
}

impl Default for PolicyRules {
    /// No key, one signature, only fully confined builds: nothing is believed.
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            revoked: Vec::new(),
            need: NonZero::<usize>::MIN,
            groups: Vec::new(),
            sandbox: BTreeSet::from(["full".to_owned()]),
        }
    }
}

/// Decides what is believed. Pure: the time is given by the caller.
///
/// Objects that are asked for by their full id need no judgement: their bytes prove themselves.
#[derive(Debug, Clone)]
pub struct Policy {
    keys: BTreeMap<[u8; 32], (PublicKey, BTreeSet<KeyName>, Standing)>,
    groups: Vec<Group>,
    sandbox: BTreeSet<String>,
}

/// Whether a trusted key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Revoked,
    Until(Date),
    Always,
}

/// Why something is not believed, or why a signature did not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// There is no signature at all.
    Unsigned,
    /// No key of this name is trusted.
    UnknownKey {
        /// The name in the signature.
        name: KeyName,
    },
    /// A key of this name is trusted, but has not signed this.
    BadSignature {
        /// The name in the signature.
        name: KeyName,
    },
    /// The key's time is over.
    Expired {
        /// Its name.
        name: KeyName,
        /// Its last day.
        until: Date,
    },
    /// The key is revoked.
    Revoked {
        /// Its name.
        name: KeyName,
    },
    /// A trusted key has signed a build that was not confined enough.
    WeakSandbox {
        /// Its name.
        name: KeyName,
        /// How the build was confined.
        level: String,
    },
    /// Not enough different keys have signed.
    NotEnough {
        /// How many signatures count.
        found: usize,
        /// How many must.
        need: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("it is not signed"),
            Self::UnknownKey { name } => write!(f, "no key `{name}` is trusted"),
            Self::BadSignature { name } => write!(f, "the signature of `{name}` is wrong"),
            Self::Expired { name, until } => {
                write!(f, "the key `{name}` was to be trusted until {until} only")
            }
            Self::Revoked { name } => write!(f, "the key `{name}` is revoked"),
            Self::WeakSandbox { name, level } => {
                write!(
                    f,
                    "`{name}` built it in the sandbox `{level}`, which is not allowed"
                )
            }
            Self::NotEnough { found, need } => {
                write!(f, "{found} of {need} signatures that are needed")
            }
        }
    }
}

/// The answer of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    accepted: bool,
    signers: BTreeSet<KeyName>,
    reasons: BTreeSet<Reason>,
}

impl Verdict {
    /// Tells whether it is believed.
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Returns the names of the trusted keys whose signatures count.
    #[must_use]
    pub const fn signers(&self) -> &BTreeSet<KeyName> {
        &self.signers
    }

    /// Returns why it is refused, and why signatures did not count even if it is accepted. Never empty when it is refused.
    #[must_use]
    pub const fn reasons(&self) -> &BTreeSet<Reason> {
        &self.reasons
    }
}

impl Policy {
    /// Makes a policy. Keys that are listed several times are joined: revoked beats expired beats trusted.
    #[must_use]
    pub fn new(rules: PolicyRules) -> Self {
        let mut keys: BTreeMap<[u8; 32], (PublicKey, BTreeSet<KeyName>, Standing)> =
            BTreeMap::new();
        for TrustedKey { key, until } in rules.keys {
            let standing = until.map_or(Standing::Always, Standing::Until);
            let (_, names, joined) = keys
                .entry(*key.as_bytes())
                .or_insert_with(|| (key.clone(), BTreeSet::new(), standing));
            names.insert(key.name().clone());
            *joined = match (*joined, standing) {
                (Standing::Until(one), Standing::Until(other)) => Standing::Until(one.min(other)),
                (Standing::Always, other) => other,
                (one, _) => one,
            };
        }
        for (bytes, (_, names, standing)) in &mut keys {
            let is_revoked = rules.revoked.iter().any(|revoked| match revoked {
                Revocation::Name(name) => names.contains(name),
                Revocation::Key(key) => key.as_bytes() == bytes,
            });
            if is_revoked {
                *standing = Standing::Revoked;
            }
        }
        let groups = if rules.groups.is_empty() {
            let members = keys.values().flat_map(|(_, names, _)| names.clone());
            vec![Group {
                need: rules.need,
                members: members.collect(),
            }]
        } else {
            rules.groups
        };
        Self {
            keys,
            groups,
            sandbox: rules.sandbox,
        }
    }

    /// Tells whether no key is trusted, so that nothing is ever accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Judges what a realisation says — this object for this output of this derivation — at `now`, in seconds since 1970.
    ///
    /// All evidence counts that supports it, in any order: builders who built at different times sign different facts, but agree on the outcome. Each
    /// signature is verified against the facts that it stands under, and evidence for other outcomes is passed over.
    #[must_use]
    pub fn judge(
        &self,
        realisation: &Realisation,
        evidence: &[SignedRealisation],
        now: u64,
    ) -> Verdict {
        let mut count = Count::default();
        for signed in evidence
            .iter()
            .filter(|signed| signed.supports(realisation))
        {
            let facts = &signed.realisation;
            let level = (!self.sandbox.contains(&facts.sandbox)).then_some(facts.sandbox.as_str());
            let statement = Statement::realisation(facts);
            for signature in signed.signatures.iter() {
                self.count(&statement, signature, level, now, &mut count);
            }
        }
        self.decide(count)
    }

    /// Judges the record of an object. Not needed for one that is asked for by its full id, whose bytes are checked against it.
    #[must_use]
    pub fn judge_object(&self, info: &PathInfo, signatures: &SignatureSet, now: u64) -> Verdict {
        self.judge_statement(&Statement::object(info), signatures, now)
    }

    /// Judges what a record says of where an object comes from, in the exact text of the record.
    #[must_use]
    pub fn judge_component(
        &self,
        object: &ObjectId,
        json: &str,
        signatures: &SignatureSet,
        now: u64,
    ) -> Verdict {
        self.judge_statement(&Statement::component(object, json), signatures, now)
    }

    fn judge_statement(
        &self,
        statement: &Statement,
        signatures: &SignatureSet,
        now: u64,
    ) -> Verdict {
        let mut count = Count::default();
        for signature in signatures.iter() {
            self.count(statement, signature, None, now, &mut count);
        }
        self.decide(count)
    }

    /// Finds out whether a signature counts, and why not. `weak_level` is the level of a build that was not confined enough.
    fn count(
        &self,
        statement: &Statement,
        signature: &Signature,
        weak_level: Option<&str>,
        now: u64,
        count: &mut Count,
    ) {
        count.signatures += 1;
        let name = signature.name().clone();
        let mut named = self
            .keys
            .values()
            .filter(|(_, names, _)| names.contains(&name))
            .peekable();
        if named.peek().is_none() {
            count.reasons.insert(Reason::UnknownKey { name });
            return;
        }
        let Some((key, _, standing)) = named.find(|(key, ..)| key.verifies(statement, signature))
        else {
            count.reasons.insert(Reason::BadSignature { name });
            return;
        };
        let reason = match (*standing, weak_level) {
            (Standing::Revoked, _) => Reason::Revoked { name },
            (Standing::Until(until), _) if now >= until.end() => Reason::Expired { name, until },
            (_, Some(level)) => Reason::WeakSandbox {
                name,
                level: level.to_owned(),
            },
            _ => {
                count.keys.entry(*key.as_bytes()).or_default().insert(name);
                return;
            }
        };
        count.reasons.insert(reason);
    }

    fn decide(&self, count: Count) -> Verdict {
        let Count {
            signatures,
            keys,
            mut reasons,
        } = count;
        let found_in = |group: &Group| {
            let is_member = |key: &[u8; 32]| {
                self.keys
                    .get(key)
                    .is_some_and(|(_, names, _)| !names.is_disjoint(&group.members))
            };
            keys.keys().filter(|key| is_member(key)).count()
        };
        let counts: Vec<_> = self
            .groups
            .iter()
            .map(|group| (found_in(group), group.need.get()))
            .collect();
        let accepted = counts.iter().any(|(found, need)| found >= need);
        if signatures == 0 {
            reasons.insert(Reason::Unsigned);
        } else if !accepted {
            reasons.extend(
                counts
                    .into_iter()
                    .map(|(found, need)| Reason::NotEnough { found, need }),
            );
        }
        Verdict {
            accepted,
            signers: keys.into_values().flatten().collect(),
            reasons,
        }
    }
}

/// What the signatures of one judgement come to.
#[derive(Debug, Default)]
struct Count {
    signatures: usize,
    /// Each key that counts, once, with the names under which it has signed.
    keys: BTreeMap<[u8; 32], BTreeSet<KeyName>>,
    reasons: BTreeSet<Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{PathDigest, ResolvedDigest, StorePath},
        trust::SecretKey,
    };
    use proptest::{prelude::*, sample::Index};

    /// 2027-01-01, noon.
    const NOW: u64 = 1_798_804_800;
    const YESTERDAY: &str = "2026-12-31";
    const TODAY: &str = "2027-01-01";

    fn secret(name: &str, seed: u8) -> SecretKey {
        SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
    }

    fn trusted(key: &SecretKey, until: Option<&str>) -> TrustedKey {
        TrustedKey {
            key: key.public(),
            until: until.map(|day| day.parse().unwrap()),
        }
    }

    fn realisation(object: u8, sandbox: &str, built_at: u64) -> Realisation {
        Realisation {
            resolved: ResolvedDigest::from_bytes([1; 32]),
            output: "out".to_owned(),
            object: ObjectId::from_bytes([object; 32]),
            path: StorePath::new(PathDigest::from_bytes([object; 25]), "a".parse().unwrap()),
            sandbox: sandbox.to_owned(),
            built_at,
            duration_ms: 1,
        }
    }

    fn build() -> Realisation {
        realisation(7, "full", 1)
    }

    fn signed(realisation: &Realisation, keys: &[&SecretKey]) -> SignedRealisation {
        let statement = Statement::realisation(realisation);
        SignedRealisation {
            realisation: realisation.clone(),
            signatures: SignatureSet::new(keys.iter().map(|key| key.sign(&statement))).unwrap(),
        }
    }

    fn need(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    fn rules(keys: &[&SecretKey]) -> PolicyRules {
        PolicyRules {
            keys: keys.iter().map(|key| trusted(key, None)).collect(),
            ..PolicyRules::default()
        }
    }

    fn judge(rules: PolicyRules, evidence: &[SignedRealisation]) -> Verdict {
        Policy::new(rules).judge(&build(), evidence, NOW)
    }

    fn reasons(verdict: &Verdict) -> Vec<String> {
        verdict.reasons().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_trusted_signature_is_enough_by_default() {
        let (alice, mallory) = (secret("alice", 1), secret("mallory", 2));
        let verdict = judge(rules(&[&alice]), &[signed(&build(), &[&alice, &mallory])]);
        assert!(verdict.is_accepted());
        assert_eq!(verdict.signers(), &BTreeSet::from([alice.name().clone()]));
        assert_eq!(reasons(&verdict), ["no key `mallory` is trusted"]);
    }

    #[test]
    fn what_is_not_signed_is_never_accepted() {
        let alice = secret("alice", 1);
        for evidence in [vec![], vec![signed(&build(), &[])]] {
            let verdict = judge(rules(&[&alice]), &evidence);
            assert!(!verdict.is_accepted());
            assert_eq!(reasons(&verdict), ["it is not signed"]);
        }
    }

    #[test]
    fn nothing_is_accepted_where_no_key_is_trusted() {
        let alice = secret("alice", 1);
        let verdict = judge(PolicyRules::default(), &[signed(&build(), &[&alice])]);
        assert!(!verdict.is_accepted());
        assert_eq!(
            reasons(&verdict),
            [
                "no key `alice` is trusted",
                "0 of 1 signatures that are needed"
            ]
        );
    }

    #[test]
    fn a_key_that_only_has_the_name_of_a_trusted_one_does_not_count() {
        let verdict = judge(
            rules(&[&secret("alice", 1)]),
            &[signed(&build(), &[&secret("alice", 2)])],
        );
        assert!(!verdict.is_accepted());
        assert_eq!(
            reasons(&verdict),
            [
                "the signature of `alice` is wrong",
                "0 of 1 signatures that are needed"
            ]
        );
    }

    #[test]
    fn a_signature_of_other_facts_does_not_count() {
        let alice = secret("alice", 1);
        let moved = SignedRealisation {
            realisation: build(),
            ..signed(&realisation(7, "full", 2), &[&alice])
        };
        assert!(!judge(rules(&[&alice]), &[moved]).is_accepted());
        let of_another_object = signed(&realisation(8, "full", 1), &[&alice]);
        let verdict = judge(rules(&[&alice]), &[of_another_object]);
        assert_eq!(reasons(&verdict), ["it is not signed"]);
    }

    #[test]
    fn a_key_counts_through_its_last_day() {
        let alice = secret("alice", 1);
        let until = |day| PolicyRules {
            keys: vec![trusted(&alice, Some(day))],
            ..PolicyRules::default()
        };
        assert!(judge(until(TODAY), &[signed(&build(), &[&alice])]).is_accepted());
        let verdict = judge(until(YESTERDAY), &[signed(&build(), &[&alice])]);
        assert!(!verdict.is_accepted());
        assert_eq!(
            reasons(&verdict),
            [
                "the key `alice` was to be trusted until 2026-12-31 only",
                "0 of 1 signatures that are needed"
            ]
        );
    }

    #[test]
    fn listing_a_key_again_never_makes_it_count_for_longer_or_twice() {
        let (alice, alias) = (secret("alice", 1), secret("alias", 1));
        let evidence = [signed(&build(), &[&alice, &alias])];
        for days in [
            [Some(YESTERDAY), None],
            [None, Some(YESTERDAY)],
            [Some(YESTERDAY), Some(TODAY)],
        ] {
            let twice = PolicyRules {
                keys: vec![trusted(&alice, days[0]), trusted(&alias, days[1])],
                ..PolicyRules::default()
            };
            assert!(!judge(twice, &evidence).is_accepted(), "{days:?}");
        }
        let two_names = PolicyRules {
            need: need(2),
            ..rules(&[&alice, &alias])
        };
        let verdict = judge(two_names, &evidence);
        assert!(!verdict.is_accepted());
        assert_eq!(reasons(&verdict), ["1 of 2 signatures that are needed"]);
    }

    #[test]
    fn a_revoked_key_never_counts_by_whatever_name() {
        let (alice, alias) = (secret("alice", 1), secret("alias", 1));
        let evidence = [signed(&build(), &[&alice, &alias])];
        for revoked in [
            Revocation::Name(alice.name().clone()),
            Revocation::Name(alias.name().clone()),
            Revocation::Key(secret("another-name", 1).public()),
        ] {
            let rules = PolicyRules {
                revoked: vec![revoked],
                ..rules(&[&alice, &alias])
            };
            let verdict = judge(rules, &evidence);
            assert!(!verdict.is_accepted());
            assert_eq!(
                reasons(&verdict),
                [
                    "the key `alias` is revoked",
                    "the key `alice` is revoked",
                    "0 of 1 signatures that are needed"
                ]
            );
        }
    }

    #[test]
    fn builders_that_agree_at_different_times_add_up() {
        let (alice, bob) = (secret("alice", 1), secret("bob", 2));
        let two = || PolicyRules {
            need: need(2),
            ..rules(&[&alice, &bob])
        };
        let by_alice = signed(&build(), &[&alice]);
        let by_bob = signed(&realisation(7, "full", 99), &[&bob]);
        let verdict = judge(two(), std::slice::from_ref(&by_alice));
        assert!(!verdict.is_accepted());
        assert_eq!(reasons(&verdict), ["1 of 2 signatures that are needed"]);
        assert!(judge(two(), &[by_alice.clone(), by_bob]).is_accepted());
        let disagrees = signed(&realisation(8, "full", 1), &[&bob]);
        assert!(!judge(two(), &[by_alice, disagrees]).is_accepted());
    }

    #[test]
    fn one_group_must_agree_for_itself() {
        let keys = ["a", "b", "c"].map(|name| secret(name, name.as_bytes()[0]));
        let [a, b, c] = &keys;
        let group = |count, members: &[&SecretKey]| Group {
            need: need(count),
            members: members.iter().map(|key| key.name().clone()).collect(),
        };
        let rules = || PolicyRules {
            groups: vec![group(1, &[c]), group(2, &[a, b])],
            ..rules(&[a, b, c])
        };
        for (signers, accepted) in [
            (vec![c], true),
            (vec![a, b], true),
            (vec![a], false),
            (vec![b], false),
        ] {
            let verdict = judge(rules(), &[signed(&build(), &signers)]);
            assert_eq!(verdict.is_accepted(), accepted, "{signers:?}");
        }
        // A name that no trusted key has helps nobody.
        let stranger = PolicyRules {
            groups: vec![group(1, &[&secret("d", 9)])],
            ..rules()
        };
        assert!(!judge(stranger, &[signed(&build(), &[a, &secret("d", 9)])]).is_accepted());
    }

    #[test]
    fn weakly_confined_builds_are_refused_unless_allowed_by_name() {
        let alice = secret("alice", 1);
        let weak = realisation(7, "no-proc", 1);
        let verdict = judge(rules(&[&alice]), &[signed(&weak, &[&alice])]);
        assert!(!verdict.is_accepted());
        assert_eq!(
            reasons(&verdict),
            [
                "`alice` built it in the sandbox `no-proc`, which is not allowed",
                "0 of 1 signatures that are needed"
            ]
        );
        let allowing = PolicyRules {
            sandbox: ["full", "no-proc"].map(str::to_owned).into(),
            ..rules(&[&alice])
        };
        assert!(judge(allowing, &[signed(&weak, &[&alice])]).is_accepted());
        // The level is part of what is signed, so it cannot be talked up.
        let lie = SignedRealisation {
            realisation: build(),
            ..signed(&weak, &[&alice])
        };
        assert!(!judge(rules(&[&alice]), &[lie]).is_accepted());
    }

    #[test]
    fn components_are_judged_by_their_exact_text() {
        let alice = secret("alice", 1);
        let object = ObjectId::from_bytes([3; 32]);
        let signatures =
            SignatureSet::new([alice.sign(&Statement::component(&object, "{}"))]).unwrap();
        let policy = Policy::new(rules(&[&alice]));
        assert!(
            policy
                .judge_component(&object, "{}", &signatures, NOW)
                .is_accepted()
        );
        assert!(
            !policy
                .judge_component(&object, "{ }", &signatures, NOW)
                .is_accepted()
        );
    }

    /// Five builds that agree, and one that does not.
    fn facts(index: usize) -> Realisation {
        match index {
            0 | 1 => realisation(7, "full", 1),
            2 => realisation(7, "full", 2),
            3 => realisation(7, "no-proc", 1),
            4 => realisation(7, "no-proc", 3),
            _ => realisation(8, "full", 1),
        }
    }

    /// A signature under `facts(at)` by a key of one of four names and four seeds, in truth of `facts(of)`.
    fn any_evidence() -> impl Strategy<Value = Vec<SignedRealisation>> {
        let one = (
            0_usize..6,
            0_u8..4,
            0_u8..4,
            prop::option::weighted(0.2, 0_usize..6),
        );
        prop::collection::vec(one, 0..8).prop_map(|signatures| {
            signatures
                .into_iter()
                .map(|(at, name, seed, of)| {
                    let key = secret(["a", "b", "c", "d"][usize::from(name)], seed);
                    SignedRealisation {
                        realisation: facts(at),
                        ..signed(&facts(of.unwrap_or(at)), &[&key])
                    }
                })
                .collect()
        })
    }

    fn any_rules() -> impl Strategy<Value = PolicyRules> {
        let key = (
            0_u8..4,
            0_u8..4,
            prop::option::of(prop::sample::select(vec![YESTERDAY, TODAY])),
        );
        let group = (1_usize..3, prop::collection::btree_set("[a-d]", 1..4));
        (
            prop::collection::vec(key, 0..6),
            1_usize..3,
            prop::collection::vec(group, 0..3),
            any::<bool>(),
        )
            .prop_map(|(keys, count, groups, weak)| PolicyRules {
                keys: keys
                    .into_iter()
                    .map(|(name, seed, until)| {
                        trusted(
                            &secret(["a", "b", "c", "d"][usize::from(name)], seed),
                            until,
                        )
                    })
                    .collect(),
                revoked: Vec::new(),
                need: need(count),
                groups: groups
                    .into_iter()
                    .map(|(count, members)| Group {
                        need: need(count),
                        members: members.iter().map(|name| name.parse().unwrap()).collect(),
                    })
                    .collect(),
                sandbox: ["full", "no-proc"][..1 + usize::from(weak)]
                    .iter()
                    .map(|level| (*level).to_owned())
                    .collect(),
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn more_evidence_never_turns_accepted_into_refused(rules in any_rules(), evidence in any_evidence(), more in any_evidence()) {
            let policy = Policy::new(rules);
            let before = policy.judge(&build(), &evidence, NOW);
            let after = policy.judge(&build(), &[evidence, more].concat(), NOW);
            prop_assert!(!before.is_accepted() || after.is_accepted());
            prop_assert!(before.signers().is_subset(after.signers()));
        }

        #[test]
        fn the_order_and_grouping_of_evidence_and_keys_does_not_matter(rules in any_rules(), evidence in any_evidence(), by in any::<Index>()) {
            let verdict = judge(rules.clone(), &evidence);
            let mut turned = evidence.clone();
            turned.rotate_left(by.index(evidence.len().max(1)).min(evidence.len()));
            turned.extend(evidence.iter().cloned());
            let mut rules = rules;
            rules.keys.reverse();
            rules.groups.reverse();
            prop_assert_eq!(&judge(rules.clone(), &turned), &verdict);
            // The signatures of equal facts, together.
            let mut joined: Vec<SignedRealisation> = Vec::new();
            for signed in turned {
                match joined.iter_mut().find(|known| known.realisation == signed.realisation) {
                    Some(known) => { known.signatures.merge(&signed.signatures); }
                    None => joined.push(signed),
                }
            }
            prop_assert_eq!(judge(rules, &joined), verdict);
        }

        #[test]
        fn time_and_revocation_only_take_away(rules in any_rules(), evidence in any_evidence(), name in "[a-d]", seed in 0_u8..4, later in 0_u64..200_000) {
            let verdict = judge(rules.clone(), &evidence);
            let revoked = [Revocation::Name(name.parse().unwrap()), Revocation::Key(secret("x", seed).public())];
            for revoked in revoked {
                let rules = PolicyRules { revoked: vec![revoked], ..rules.clone() };
                let fewer = judge(rules, &evidence);
                prop_assert!(verdict.is_accepted() || !fewer.is_accepted());
                prop_assert!(fewer.signers().is_subset(verdict.signers()));
            }
            let then = Policy::new(rules).judge(&build(), &evidence, NOW + later);
            prop_assert!(verdict.is_accepted() || !then.is_accepted());
        }

        #[test]
        fn a_refusal_has_a_reason_and_an_acceptance_a_signer(rules in any_rules(), evidence in any_evidence()) {
            let verdict = judge(rules, &evidence);
            if verdict.is_accepted() {
                prop_assert!(!verdict.signers().is_empty());
            } else {
                prop_assert!(!verdict.reasons().is_empty());
            }
        }
    }
}
