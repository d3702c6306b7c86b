//! What has to be delivered with components, and whether it is at hand.

use std::collections::BTreeSet;

use crate::audit::{
    Code, Diagnostic, Severity,
    inventory::UnitKind,
    policy::{Action, Obligation},
};

use super::{
    decide::Decision,
    session::{Session, terms_of},
};

impl Session<'_> {
    /// Returns what has to be delivered with each component. Reports what is not recorded.
    pub(super) fn check_obligations(&mut self) -> Vec<Vec<Obligation>> {
        let mut all = Vec::new();
        for at in 0..self.inventory.units.len() {
            let mut asked: BTreeSet<Obligation> = BTreeSet::new();
            for term in terms_of(&self.chosen, at).to_vec() {
                let decisions = self.decisions(at, &term);
                let allowed = decisions
                    .iter()
                    .filter(|(_, decision)| decision.action != Action::Deny);
                for (_, decision) in allowed {
                    for obligation in &decision.require {
                        if asked.insert(*obligation) {
                            self.check_obligation(at, term.as_str(), *obligation, decision);
                        }
                    }
                }
            }
            all.push(asked.into_iter().collect());
        }
        all
    }

    fn check_obligation(
        &mut self,
        at: usize,
        license: &str,
        obligation: Obligation,
        decision: &Decision,
    ) {
        let Some(unit) = self.inventory.units.get(at) else {
            return;
        };
        let label = unit.label();
        let (code, message) = match obligation {
            // A bill of materials says nothing of sources; what came with the toolchain has those of the toolchain.
            Obligation::Source
                if unit.sources.is_empty()
                    && !self.inventory.is_bill
                    && unit.kind != UnitKind::Toolchain =>
            {
                (
                    Code::S110,
                    format!("`{license}` asks for the source of `{label}`, and none is recorded"),
                )
            }
            Obligation::Text if unit.texts.is_empty() && unit.findings.is_some() => (
                Code::N101,
                format!("`{license}` asks for its text with `{label}`, and its sources have none"),
            ),
            _ => return,
        };
        if self.is_excepted(unit, None, None, false, decision.layer) {
            return;
        }
        let mut diagnostic = Diagnostic::new(code, Severity::Denied, message);
        diagnostic.decided_by = Some(decision.place.clone());
        diagnostic.license = Some(license.to_owned());
        self.report(at, None, diagnostic);
    }
}
