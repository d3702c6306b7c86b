//! What an audit says.

use serde::Serialize;

use crate::audit::{
    Diagnostic, Verdict,
    inventory::{Relation, UnitKind},
    license::{Basis, Category, Choice, Detected, Expression},
    policy::{Day, Obligation},
};

/// What an audit says: the same for the same facts, policy and day.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// The policy's name.
    pub policy: String,
    /// The day on which exceptions were looked at.
    pub date: Day,
    /// The answer.
    pub verdict: Verdict,
    /// Every component, ascending by key.
    pub components: Vec<Judged>,
    /// What was found, the worst first.
    pub diagnostics: Vec<Diagnostic>,
}

/// What an audit says of one component.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// What distinguishes it: its store path, its package URL or its name in the toolchain.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is.
    pub kind: UnitKind,
    /// The line of its recipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// What it declares, as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// Where that was read, if no recipe declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license_evidence: Option<String>,
    /// What its sources say: evidence and clues.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detected: Vec<Detected>,
    /// What somebody concluded, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concluded: Option<crate::audit::license::Concluded>,
    /// The license that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<Expression>,
    /// What that rests on.
    pub basis: Basis,
    /// What of it is complied with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<String>,
    /// The alternatives among which a choice was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// The categories of what is complied with, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    /// The license together with those of all that is linked in statically or vendored; none where one of them is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub combined: Option<Expression>,
    /// In which ways it is used, each once; none where it was asked for itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
    /// What has to be delivered with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
}

impl Audit {
    /// Returns the audit with what others have found, and the answer that follows from all of it.
    #[must_use]
    pub fn with(mut self, found: impl IntoIterator<Item = Diagnostic>) -> Self {
        self.diagnostics.extend(found);
        self.diagnostics.sort_by(Diagnostic::order);
        self.verdict = Verdict::of(&self.diagnostics);
        self
    }
}

impl Judged {
    /// Returns its name and version, as people say it.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.version {
            Some(version) => format!("{}-{version}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns the license that counts, or what stands in its place.
    #[must_use]
    pub fn license_text(&self) -> String {
        match (&self.effective, &self.declared) {
            (Some(effective), _) => effective.to_string(),
            (None, Some(declared)) => format!("? ({declared})"),
            (None, None) => "none".to_owned(),
        }
    }
}
