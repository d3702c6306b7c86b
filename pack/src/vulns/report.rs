//! What a check found. Pure.

use std::fmt;

use chrono::NaiveDate;
use serde::Serialize;

use super::{Claim, NameRule, Patch, Place, Purl, Rating, Severity, Snapshot, VersionRule};

/// What was found, and whether it may be shipped. Everything is sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The day for which it is true.
    pub date: NaiveDate,
    /// The answer.
    pub outcome: Outcome,
    /// What was asked, in the order in which it was named.
    pub databases: Vec<Snapshot>,
    /// How many components were looked up.
    pub components: usize,
    /// How many vulnerabilities have each status.
    pub summary: Summary,
    /// The vulnerabilities: what has to be dealt with first, then by severity, name and component.
    pub findings: Vec<Finding>,
    /// Why nothing can be concluded from what was not found.
    pub undecided: Vec<Problem>,
    /// What should be put right and changes nothing.
    pub warnings: Vec<Problem>,
    /// The registers that components are of, and how many records speak of each.
    pub coverage: Vec<Coverage>,
    /// Components that state no name by which a database could know them.
    pub unidentified: Vec<String>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing that is denied, in databases that can be relied on.
    Clean,
    /// It cannot be told.
    Undecided,
    /// There is a vulnerability that is denied.
    Denied,
}

/// How many vulnerabilities have each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Those that are denied.
    pub denied: usize,
    /// Those that are there, and too harmless to be denied.
    pub tolerated: usize,
    /// Those of which it cannot be told.
    pub undecided: usize,
    /// Those that were fixed.
    pub fixed: usize,
    /// Those of which somebody states that they do no harm.
    pub not_affected: usize,
    /// Notices that are no vulnerabilities.
    pub informational: usize,
    /// Those for which there is only a clue.
    pub clues: usize,
}

/// One vulnerability in one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name: of CVE if it has one there.
    pub id: String,
    /// Its other names, sorted.
    pub aliases: Vec<String>,
    /// The component's name.
    pub component: String,
    /// The component's version.
    pub version: Option<String>,
    /// The component's package URL.
    pub purl: Option<Purl>,
    /// The component's CPE name.
    pub cpe: Option<String>,
    /// What is the case.
    pub status: Status,
    /// How bad it is; none if no record says so.
    pub rating: Option<Rating>,
    /// One line about it.
    pub summary: Option<String>,
    /// The versions in which it is gone, as the records have them.
    pub fixed_in: Vec<String>,
    /// How it was found.
    pub matches: Vec<Match>,
    /// Where the component is.
    pub places: Vec<Place>,
}

/// What is the case with a vulnerability in a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Status {
    /// It is there, and denied.
    Denied,
    /// The component is known to be meant, and its version could not be compared.
    Undecided,
    /// It is there, and less bad than what is denied.
    Tolerated,
    /// The record is no vulnerability, but a notice: `unmaintained`.
    Informational {
        /// Of what kind.
        kind: String,
    },
    /// A name or a commit only: somebody may look at it.
    Clue,
    /// Somebody states something of it.
    Stated {
        /// What.
        claim: Claim,
        /// Why.
        reason: Option<String>,
        /// Where.
        origin: String,
        /// Until when.
        until: Option<NaiveDate>,
    },
    /// It was fixed in what the component is built from.
    Fixed {
        /// How that is known.
        by: Fix,
    },
}

/// How it is known that something was fixed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Fix {
    /// A patch was applied whose header says so.
    Patch(Patch),
    /// It was built with a revision of Debian in which it is gone.
    DebianRevision {
        /// The source package.
        source: String,
        /// Its version.
        version: String,
    },
}

/// How one record was found to be about a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Match {
    /// The record.
    pub record: String,
    /// The database, by its place in [`Report::databases`].
    pub database: usize,
    /// The name by which both are known.
    pub name: String,
    /// The rule by which names were compared.
    pub name_rule: NameRule,
    /// The rule by which versions were compared.
    pub version_rule: VersionRule,
}

/// What databases know of a register.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Coverage {
    /// The register, a release of Debian, or `upstream` for software without a register.
    pub domain: String,
    /// How many components it has.
    pub components: u64,
    /// How many records speak of it.
    pub records: u64,
}

/// Something that has to be put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Its code.
    pub code: ProblemCode,
    /// What is wrong, as a sentence.
    pub message: String,
}

/// The stable codes of what is said of vulnerabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProblemCode {
    /// A database is empty.
    V100,
    /// A database has far fewer records than before.
    V101,
    /// A database is too old.
    V102,
    /// Files of a database cannot be read.
    V103,
    /// No database speaks of a register that components are of.
    V104,
    /// A component's version cannot be compared.
    V105,
    /// Nobody has described what is in a part of an image.
    V106,
    /// A component has a vulnerability that is denied.
    V110,
    /// There is a clue, which decides nothing.
    V111,
    /// What the policy states of a vulnerability is over.
    V112,
    /// What the policy states of a vulnerability applies to nothing.
    V113,
    /// A component has no name by which databases know software.
    V114,
}

impl ProblemCode {
    /// Every code, ascending.
    pub const ALL: &[Self] = &[
        Self::V100,
        Self::V101,
        Self::V102,
        Self::V103,
        Self::V104,
        Self::V105,
        Self::V106,
        Self::V110,
        Self::V111,
        Self::V112,
        Self::V113,
        Self::V114,
    ];
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Status {
    /// Returns the code of what is said of it; none where there is nothing to do.
    #[must_use]
    pub const fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Denied => Some(ProblemCode::V110),
            Self::Undecided => Some(ProblemCode::V105),
            Self::Clue => Some(ProblemCode::V111),
            _ => None,
        }
    }

    /// Returns one word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Undecided => "undecided",
            Self::Tolerated => "tolerated",
            Self::Informational { .. } => "notice",
            Self::Clue => "clue",
            Self::Stated { .. } => "stated",
            Self::Fixed { .. } => "fixed",
        }
    }
}

impl Finding {
    /// Returns how bad it is, if that is known.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.rating.as_ref().map(|rating| rating.severity)
    }
}

impl Summary {
    pub(super) fn of(findings: &[Finding]) -> Self {
        let mut summary = Self::default();
        for finding in findings {
            let count = match &finding.status {
                Status::Denied => &mut summary.denied,
                Status::Undecided => &mut summary.undecided,
                Status::Tolerated => &mut summary.tolerated,
                Status::Informational { .. } => &mut summary.informational,
                Status::Clue => &mut summary.clues,
                Status::Stated { .. } => &mut summary.not_affected,
                Status::Fixed { .. } => &mut summary.fixed,
            };
            *count += 1;
        }
        summary
    }
}
