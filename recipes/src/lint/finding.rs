//! One breach of a rule.

use std::collections::BTreeMap;

use super::{Rule, Severity};
use crate::model::Location;

/// A rule that is not kept, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The package.
    pub package: String,
    /// The place in its recipe.
    pub place: Location,
    /// The rule.
    pub rule: Rule,
    /// What was found, as the rest of a sentence about the package.
    pub message: String,
}

impl Finding {
    /// Removes the findings of `package` that its recipe accepts, and adds those about what it accepts for nothing.
    ///
    /// `is_whole` tells whether all that can be checked was: what nobody looked for cannot be unneeded.
    pub fn accept(
        findings: Vec<Self>,
        package: &str,
        place: &Location,
        accepted: &BTreeMap<String, String>,
        is_whole: bool,
    ) -> Vec<Self> {
        let mut kept: Vec<Self> = findings
            .iter()
            .filter(|finding| !accepted.contains_key(finding.rule.code()))
            .cloned()
            .collect();
        let finding = |rule, message| Self {
            package: package.to_owned(),
            place: place.clone(),
            rule,
            message,
        };
        for code in accepted.keys() {
            let is_found = findings.iter().any(|finding| finding.rule.code() == *code);
            if Rule::find(code).is_none() {
                let message = format!("accepts `{}`, which is no rule", code.escape_debug());
                kept.push(finding(Rule::AcceptUnknown, message));
            } else if is_whole && !is_found {
                let message = format!("accepts `{code}`, which it keeps");
                kept.push(finding(Rule::AcceptUnneeded, message));
            }
        }
        kept
    }

    /// Returns whether it has to be put right.
    pub fn is_error(&self) -> bool {
        self.rule.severity() == Severity::Error
    }
}
