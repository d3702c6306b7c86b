//! What people have stated of a vulnerability: in the policy, or in a VEX document. Pure.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::{Purl, Subject};

/// The statement that a vulnerability does no harm in some software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The names of the vulnerability; one of them is enough.
    pub ids: Vec<String>,
    /// The software.
    pub software: Selector,
    /// What is stated.
    pub claim: Claim,
    /// Why, for people.
    pub reason: Option<String>,
    /// The last day on which it counts; none means for ever.
    pub until: Option<NaiveDate>,
    /// Where it is stated, for instance `pith.toml`.
    pub origin: String,
    /// Whether it was made for this software alone, so that one that applies to nothing is a mistake.
    pub must_apply: bool,
}

/// Of which software something is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Of all that has the vulnerability.
    Any,
    /// Of what is called so.
    Name(String),
    /// Of one of these packages.
    Purls(Vec<Purl>),
}

/// What is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "status", content = "justification", rename_all = "snake_case")]
pub enum Claim {
    /// The software does not have it, and why.
    NotAffected(Option<Justification>),
    /// It has been mended.
    Fixed,
}

/// Why software does not have a vulnerability, in OpenVEX's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// The part that has it is not there.
    ComponentNotPresent,
    /// The code that has it is not there.
    VulnerableCodeNotPresent,
    /// The code is never run.
    VulnerableCodeNotInExecutePath,
    /// Nobody from outside can make it run so.
    VulnerableCodeCannotBeControlledByAdversary,
    /// Something else stops it.
    InlineMitigationsAlreadyExist,
}

impl Justification {
    /// Returns OpenVEX's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::VulnerableCodeNotPresent => "vulnerable_code_not_present",
            Self::VulnerableCodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::VulnerableCodeCannotBeControlledByAdversary => {
                "vulnerable_code_cannot_be_controlled_by_adversary"
            }
            Self::InlineMitigationsAlreadyExist => "inline_mitigations_already_exist",
        }
    }
}

impl fmt::Display for Justification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Waiver {
    /// Whether it speaks of a vulnerability, by any of its names, in some software.
    pub(super) fn is_about(&self, ids: &[&str], subject: &Subject) -> bool {
        self.ids.iter().any(|id| ids.contains(&id.as_str())) && self.software.selects(subject)
    }

    /// Whether its last day is over.
    pub(super) fn is_over(&self, date: NaiveDate) -> bool {
        self.until.is_some_and(|until| until < date)
    }
}

impl Selector {
    fn selects(&self, subject: &Subject) -> bool {
        match self {
            Self::Any => true,
            Self::Name(name) => *name == subject.name,
            Self::Purls(purls) => {
                let own = subject.purl.clone().unwrap_or_else(|| {
                    let (version, cpe) = (subject.version.as_deref(), subject.cpe.as_deref());
                    Purl::generic(&subject.name, version, cpe)
                });
                purls.iter().any(|purl| purl.is_about(&own))
            }
        }
    }
}
