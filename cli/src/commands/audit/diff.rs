//! `pith audit --diff`: what differs between two targets or images.

use pack::audit::{
    Drift, judge,
    policy::{Day, Policy},
};
use pack::vulns::VulnerabilityDrift;
use serde::Serialize;

use super::subject::Audited;
use crate::commands::vulns::Question;
use crate::context::Context;
use crate::error::CommandError;

/// All that differs.
#[derive(Serialize)]
pub(super) struct Difference<'a> {
    #[serde(flatten)]
    pub(super) drift: &'a Drift,
    /// Where databases were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vulnerabilities: Option<&'a VulnerabilityDrift>,
}

impl Difference<'_> {
    pub(super) fn to_text(&self) -> String {
        let vulnerabilities = self.vulnerabilities.map(VulnerabilityDrift::to_text);
        self.drift.to_text() + &vulnerabilities.unwrap_or_default()
    }

    pub(super) fn to_markdown(&self) -> String {
        let vulnerabilities = self.vulnerabilities.map(VulnerabilityDrift::to_markdown);
        self.drift.to_markdown() + &vulnerabilities.unwrap_or_default()
    }
}

/// Judges both by the same policy on the same day, and compares.
pub(super) fn diff(old: &Audited, new: &Audited, policy: &Policy, today: Day) -> Drift {
    let (old, new) = (&old.inventory, &new.inventory);
    let (old_audit, new_audit) = (judge(old, policy, today), judge(new, policy, today));
    Drift::between((old, &old_audit), (new, &new_audit))
}

/// Asks the same databases about both; none where there are none to ask.
pub(super) fn diff_vulnerabilities(
    question: &Question<'_>,
    old: &str,
    new: &str,
    context: &Context,
) -> Result<Option<VulnerabilityDrift>, CommandError> {
    if question.databases.is_empty() {
        return Ok(None);
    }
    let (old, new) = (question.ask(old, context)?, question.ask(new, context)?);
    Ok(Some(VulnerabilityDrift::between(&old, &new)))
}
