//! One finding, with what a reader needs to believe it and to do something about it.

use serde::Serialize;

use super::Code;

/// One thing that an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What kind of thing.
    pub code: Code,
    /// What it means for the answer.
    pub severity: Severity,
    /// What is the matter, in half a sentence.
    pub message: String,
    /// The component that it is about: name and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// The store path that it is about or that the component is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The license that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The line that has to be looked at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The line of the policy that decided, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Place>,
    /// How the component comes in: from what was asked for down to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Step>,
    /// What was seen, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What may be done in this very case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// What may be put into a policy in this very case, in TOML; `…` stands for what only a person can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paste: Option<String>,
}

/// What a finding means for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is damaged: nothing can be said until it is put right.
    Damaged,
    /// The policy says no.
    Denied,
    /// Facts are missing or contradict each other: the policy cannot answer.
    Undecided,
    /// To look at; the answer stays.
    Warning,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file, as a reader would call it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// One step of a chain: what the component before uses, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Step {
    /// The component: name and version.
    pub component: String,
    /// How the one before it uses it; none for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<&'static str>,
    /// Where that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

impl Place {
    /// Reads a label with a line, for instance `//zlib/recipe.star:3`.
    #[must_use]
    pub fn of_label(label: &str) -> Option<Self> {
        let (file, line) = label.rsplit_once(':')?;
        Some(Self {
            file: file.to_owned(),
            line: line.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Diagnostic {
    /// Returns a finding with nothing but what it is.
    #[must_use]
    pub fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            message: message.into(),
            component: None,
            path: None,
            license: None,
            place: None,
            decided_by: None,
            chain: Vec::new(),
            evidence: Vec::new(),
            help: None,
            paste: None,
        }
    }

    /// The order in which findings are shown: the worst first, then by code and subject.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |one: &Self| {
            (
                one.severity,
                one.code,
                one.component.clone(),
                one.path.clone(),
                one.license.clone(),
                one.message.clone(),
            )
        };
        key(self).cmp(&key(other))
    }
}

/// The answer of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may be shipped.
    Clean,
    /// Something is damaged.
    Damaged,
    /// The policy says no.
    Denied,
    /// The facts do not suffice for an answer.
    Undecided,
}

impl Verdict {
    /// Returns the answer that follows from findings: the worst of them, warnings none.
    #[must_use]
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        match diagnostics.iter().map(|one| one.severity).min() {
            Some(Severity::Damaged) => Self::Damaged,
            Some(Severity::Denied) => Self::Denied,
            Some(Severity::Undecided) => Self::Undecided,
            Some(Severity::Warning) | None => Self::Clean,
        }
    }
}
