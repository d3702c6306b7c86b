//! What a policy says of one license used in one way.

use super::super::{
    Code, Place,
    inventory::Relation,
    license::{Category, Term},
    policy::{Action, Entry, LicenseRules, Obligation, Policy},
};

/// What one of the joined policies says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) action: Action,
    /// What kind of finding it is, where it is one.
    pub(super) code: Option<Code>,
    /// The line that says so.
    pub(super) place: Place,
    /// Why, as the policy has it.
    pub(super) reason: Option<String>,
    /// What it asks for.
    pub(super) require: Vec<Obligation>,
    /// The number of the policy.
    pub(super) layer: usize,
}

/// Asks every policy that has rules about a license of something that is used by a component under `consumer`; `relation` is none for what was asked for itself.
pub(super) fn decide_each(
    policy: &Policy,
    term: &Term,
    relation: Option<Relation>,
    consumer: &[Term],
) -> Vec<Decision> {
    let rules = policy.licenses.iter();
    rules
        .map(|rules| decide(policy, rules, term, relation, consumer))
        .collect()
}

/// Whether any policy denies a license.
pub(super) fn is_denied(
    policy: &Policy,
    term: &Term,
    relation: Option<Relation>,
    consumer: &[Term],
) -> bool {
    let decisions = decide_each(policy, term, relation, consumer);
    decisions
        .iter()
        .any(|decision| decision.action == Action::Deny)
}

/// What only builds is not in what is shipped: only a rule that names `build` is about it.
fn decide(
    policy: &Policy,
    licenses: &LicenseRules,
    term: &Term,
    relation: Option<Relation>,
    consumer: &[Term],
) -> Decision {
    let of = |action: Action, code: Option<Code>, place: &Place| Decision {
        action,
        code,
        place: place.clone(),
        reason: None,
        require: Vec::new(),
        layer: licenses.layer,
    };
    let is_build = relation == Some(Relation::Build);
    if let Some(entry) = find(&licenses.deny, term).filter(|_| !is_build) {
        return of(Action::Deny, Some(Code::L110), &entry.place);
    }
    let rule = licenses.rules.iter().find(|rule| match relation {
        Some(Relation::Build) => {
            rule.relation.contains(&Relation::Build) && rule.fits(term, Relation::Build, consumer)
        }
        Some(relation) => rule.fits(term, relation, consumer),
        // What is shipped by itself is used by nobody: rules about users are not about it.
        None => {
            rule.relation.is_empty()
                && rule.consumer.is_empty()
                && rule.fits(term, Relation::Reference, &[])
        }
    });
    if let Some(rule) = rule {
        let code = match rule.then {
            Action::Allow => None,
            Action::Warn => Some(Code::L121),
            Action::Deny => Some(Code::L120),
        };
        return Decision {
            reason: rule.reason.clone(),
            require: rule.require.clone(),
            ..of(rule.then, code, &rule.place)
        };
    }
    if let Some(entry) = find(&licenses.allow, term) {
        return of(Action::Allow, None, &entry.place);
    }
    if is_build {
        return of(Action::Allow, None, &licenses.place);
    }
    if term.id().is_none() {
        return of(
            policy.unknown.value,
            Some(Code::L112),
            &policy.unknown.place,
        );
    }
    of(Action::Deny, Some(Code::L111), &licenses.place)
}

/// Ranks a license for choosing among alternatives: what is denied comes last, then what no entry allows; what is preferred comes first, and of the rest
/// what asks for least.
pub(super) fn rank(policy: &Policy, term: &Term, is_denied_here: bool) -> u64 {
    const DENIED: u64 = 1 << 40;
    const NOT_PREFERRED: u64 = 1 << 20;
    let mut rank = if is_denied_here || is_denied(policy, term, None, &[]) {
        DENIED
    } else {
        0
    };
    // A preference is among what all allow, so the one nearest to the project counts.
    let mut preferences = policy.licenses.iter().map(|rules| &rules.prefer);
    let preferences = preferences.rfind(|prefer| !prefer.is_empty());
    let preferred = preferences
        .into_iter()
        .flatten()
        .position(|pattern| pattern.fits(term));
    let category = Category::of(term)
        .and_then(|of| Category::ALL.iter().position(|one| *one == of))
        .unwrap_or(Category::ALL.len());
    let among = match preferred {
        Some(at) => at,
        None => category,
    };
    rank += u64::try_from(among).unwrap_or(u64::MAX >> 2);
    if preferred.is_none() {
        rank += NOT_PREFERRED;
    }
    rank
}

fn find<'p>(entries: &'p [Entry], term: &Term) -> Option<&'p Entry> {
    entries.iter().find(|entry| entry.pattern.fits(term))
}
