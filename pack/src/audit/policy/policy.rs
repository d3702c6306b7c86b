//! What may be shipped, as somebody has decided it.

use crate::audit::{
    Place,
    inventory::Relation,
    license::{Expression, Term},
};

use super::{ComponentPattern, Day, LicensePattern};

/// What may be shipped: what several files say of that, [joined](Policy::join).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The files that it is from, as a reader would call them.
    pub name: String,
    /// Which licenses; every one of these has to let a license pass. Never empty unless the built-in policy is.
    pub licenses: Vec<LicenseRules>,
    /// What may be shipped all the same.
    pub exceptions: Vec<Exception>,
    /// What words and components mean that nothing can read by itself.
    pub clarifications: Vec<Clarification>,
    /// A component that declares no license.
    pub unlicensed: Setting<Action>,
    /// A `LicenseRef-` that no entry names.
    pub unknown: Setting<Action>,
    /// A component of which nothing was observed.
    pub missing_facts: Setting<MissingFacts>,
    /// Software that its recipe calls deprecated.
    pub deprecated: Setting<Action>,
    /// The weakest sandbox that is good enough; none where any is.
    pub sandbox: Option<Setting<SandboxLevel>>,
    /// No exception may last longer, in days.
    pub max_exception_days: Setting<u32>,
    /// How long before its end an exception is a warning, in days.
    pub soon_days: Setting<u32>,
    /// An entry of `allow` that nothing needs.
    pub unused_allow: Setting<Action>,
    /// An exception that nothing needs.
    pub unused_exception: Setting<Action>,
    /// What has no effect, because it would loosen what another policy says.
    pub loosened: Vec<Loosened>,
}

impl Policy {
    /// Returns the first rule that has something to say, other than that it is allowed, of what is used in a way that it names.
    #[must_use]
    pub fn rule_about(&self, relation: Relation) -> Option<&Rule> {
        let mut rules = self.licenses.iter().flat_map(|licenses| &licenses.rules);
        rules.find(|rule| {
            let is_idle = rule.then == Action::Allow && rule.require.is_empty();
            rule.relation.contains(&relation) && !is_idle
        })
    }
}

/// One value of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
    /// The number of the policy that it is from, the one that others may only tighten being 0.
    pub layer: usize,
}

/// Something that has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loosened {
    /// What, as a sentence begins with it.
    pub what: String,
    /// Where it stands.
    pub place: Place,
    /// The policy that it would loosen, or the line there.
    pub by: String,
}

/// Which licenses one policy lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseRules {
    /// The number of the policy.
    pub layer: usize,
    /// Where they begin.
    pub place: Place,
    /// Whether they say what is allowed. If not, the lists and rules of the built-in policy follow their own.
    pub is_whole: bool,
    /// These.
    pub allow: Vec<Entry>,
    /// Not these, whatever else allows them.
    pub deny: Vec<Entry>,
    /// Of alternatives, the first of these.
    pub prefer: Vec<LicensePattern>,
    /// In which relation what is allowed; the first that fits counts.
    pub rules: Vec<Rule>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it names.
    pub pattern: LicensePattern,
    /// Where it stands.
    pub place: Place,
}

/// What holds for some licenses where components use each other in some ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The licenses of what is used.
    pub license: Vec<LicensePattern>,
    /// The ways; any if empty.
    pub relation: Vec<Relation>,
    /// The licenses of who uses it, of which one must fit; any if empty.
    pub consumer: Vec<LicensePattern>,
    /// What holds.
    pub then: Action,
    /// What has to be delivered with it.
    pub require: Vec<Obligation>,
    /// Why.
    pub reason: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// What follows from something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Allow,
    /// A warning.
    Warn,
    /// The answer is no.
    Deny,
}

/// What a component is of which nothing was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFacts {
    /// What it declares counts.
    Allow,
    /// What it declares counts, with a warning.
    Warn,
    /// There is no answer.
    Undecided,
}

/// How tightly a build was confined, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SandboxLevel {
    /// All but a `/proc` of its own.
    NoProc,
    /// All of it.
    Full,
}

/// What has to be delivered with a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Obligation {
    /// Its source.
    Source,
    /// The text of its license, as it was found.
    Text,
    /// A written offer of the source.
    Offer,
    /// What is needed to link the program again with another version.
    RelinkKit,
}

/// What may be shipped all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// What.
    pub component: ComponentPattern,
    /// Under which license; also what has none, where this is empty.
    pub license: Option<LicensePattern>,
    /// In which ways; any if empty.
    pub relation: Vec<Relation>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it was discussed.
    pub ticket: Option<String>,
    /// The last day on which it holds.
    pub until: Day,
    /// Where it stands.
    pub place: Place,
    /// The number of the first policy whose answers it may lift.
    pub reach: usize,
}

/// What something means that nothing can read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clarification {
    /// What.
    pub subject: Subject,
    /// The license; none where it does not concern what is shipped.
    pub expression: Option<Expression>,
    /// Why.
    pub reason: String,
    /// Who has read it.
    pub owner: String,
    /// Where it stands.
    pub place: Place,
}

/// What a clarification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Words, by the SHA-256 of them alone, in hex.
    Notice(String),
    /// A component.
    Component(ComponentPattern),
}

impl Action {
    pub(super) const WORDS: [(&'static str, Self); 3] = [
        ("allow", Self::Allow),
        ("warn", Self::Warn),
        ("deny", Self::Deny),
    ];
}

impl SandboxLevel {
    const NAMES: [(&'static str, Self); 2] = [("full", Self::Full), ("no-proc", Self::NoProc)];

    /// Returns the level that a build's record names; none of a name that is not known, which is as weak as any.
    #[must_use]
    pub fn of_record(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, level)| *level)
    }

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, level)| *level == self)
            .map_or("", |(name, _)| name)
    }

    pub(super) const fn words() -> &'static [(&'static str, Self)] {
        &Self::NAMES
    }
}

impl Obligation {
    /// Returns its name, as policies have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Text => "text",
            Self::Offer => "offer",
            Self::RelinkKit => "relink-kit",
        }
    }
}

impl std::str::FromStr for Obligation {
    type Err = UnknownObligation;

    fn from_str(text: &str) -> Result<Self, UnknownObligation> {
        let all = [Self::Source, Self::Text, Self::Offer, Self::RelinkKit];
        let found = all.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| UnknownObligation(text.to_owned()))
    }
}

/// The text names no obligation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no obligation `{0}`: it is `source`, `text`, `offer` or `relink-kit`")]
pub struct UnknownObligation(pub String);

impl Rule {
    /// Returns whether it is about this license, used in this way by a component under `consumer`.
    #[must_use]
    pub fn fits(&self, term: &Term, relation: Relation, consumer: &[Term]) -> bool {
        let any = |patterns: &[LicensePattern], term: &Term| {
            patterns.iter().any(|pattern| pattern.fits(term))
        };
        any(&self.license, term)
            && (self.relation.is_empty() || self.relation.contains(&relation))
            && (self.consumer.is_empty() || consumer.iter().any(|term| any(&self.consumer, term)))
    }
}

impl Exception {
    /// Returns whether it is over on that day.
    #[must_use]
    pub fn is_expired(&self, today: Day) -> bool {
        self.until < today
    }
}

impl serde::Serialize for Obligation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
