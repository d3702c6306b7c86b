//! An audit in numbers.

use serde::Serialize;

use crate::audit::{Audit, Severity, Verdict};

/// An audit in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The answer.
    pub verdict: Verdict,
    /// How many components there are.
    pub components: usize,
    /// How many findings say that something is damaged.
    pub damaged: usize,
    /// How many findings deny.
    pub denied: usize,
    /// How many findings leave the answer open.
    pub undecided: usize,
    /// How many findings are warnings.
    pub warnings: usize,
    /// What the findings are about that are no warnings: the sum of their [bits](crate::audit::Code::bit).
    pub bits: u8,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(audit: &Audit) -> Self {
        let count = |severity| {
            audit
                .diagnostics
                .iter()
                .filter(|one| one.severity == severity)
                .count()
        };
        Self {
            verdict: audit.verdict,
            components: audit.components.len(),
            damaged: count(Severity::Damaged),
            denied: count(Severity::Denied),
            undecided: count(Severity::Undecided),
            warnings: count(Severity::Warning),
            bits: audit
                .diagnostics
                .iter()
                .filter(|one| one.severity != Severity::Warning)
                .fold(0, |bits, one| bits | one.code.bit()),
        }
    }

    /// Returns it as a sentence without an end.
    #[must_use]
    pub fn sentence(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Clean => "may be shipped",
            Verdict::Damaged => "damaged",
            Verdict::Denied => "may not be shipped",
            Verdict::Undecided => "cannot be decided: facts are missing or contradict each other",
        };
        let plural = |count: usize, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {more}")),
        };
        let parts = [
            plural(self.damaged, "damaged", "damaged"),
            plural(self.denied, "denied", "denied"),
            plural(self.undecided, "undecided", "undecided"),
            plural(self.warnings, "warning", "warnings"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let components = plural(self.components, "component", "components")
            .unwrap_or_else(|| "no components".to_owned());
        let counts = if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join(", "))
        };
        format!("{components}: {verdict}{counts}")
    }
}
