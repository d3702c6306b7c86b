//! What a policy says of one license used in one way.

use super::super::{
    Code, Place,
    inventory::Relation,
    license::{Category, Term},
    policy::{Action, Entry, Obligation, Policy},
};

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) action: Action,
    /// What kind of finding it is, where it is one.
    pub(super) code: Option<Code>,
    /// The line that says so.
    pub(super) place: Option<Place>,
    /// Why, as the policy has it.
    pub(super) reason: Option<String>,
    /// What it asks for.
    pub(super) require: Vec<Obligation>,
}

impl Decision {
    fn of(action: Action, code: Option<Code>, place: Option<Place>) -> Self {
        Self {
            action,
            code,
            place,
            reason: None,
            require: Vec::new(),
        }
    }
}

/// Asks `policy` about a license of something that is used by a component under `consumer`; `relation` is none for what was asked for itself.
///
/// What only builds is not in what is shipped: only a rule that names `build` is about it.
pub(super) fn decide(
    policy: &Policy,
    term: &Term,
    relation: Option<Relation>,
    consumer: &[Term],
) -> Decision {
    let licenses = &policy.licenses;
    let is_build = relation == Some(Relation::Build);
    if let Some(entry) = find(&licenses.deny, term).filter(|_| !is_build) {
        return Decision::of(Action::Deny, Some(Code::L110), Some(entry.place.clone()));
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
            action: rule.then,
            code,
            place: Some(rule.place.clone()),
            reason: rule.reason.clone(),
            require: rule.require.clone(),
        };
    }
    if is_build || find(&licenses.allow, term).is_some() {
        return Decision::of(Action::Allow, None, None);
    }
    if term.id().is_none() {
        return Decision::of(policy.unknown, Some(Code::L112), None);
    }
    Decision::of(Action::Deny, Some(Code::L111), None)
}

/// Ranks a license for choosing among alternatives: what is denied comes last, then what no entry allows; what is preferred comes first, and of the rest
/// what asks for least.
pub(super) fn rank(policy: &Policy, term: &Term, is_denied_here: bool) -> u64 {
    const DENIED: u64 = 1 << 40;
    const NOT_PREFERRED: u64 = 1 << 20;
    let decision = decide(policy, term, None, &[]);
    let mut rank = if decision.action == Action::Deny || is_denied_here {
        DENIED
    } else {
        0
    };
    let preferred = policy
        .licenses
        .prefer
        .iter()
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
