//! What components were built with, where a rule of the policy asks that.

use crate::audit::{
    Code, Diagnostic, Place, Severity,
    inventory::{Relation, Unit, UnitKind},
};

use super::session::Session;

impl Session<'_> {
    /// Whoever has a rule about what builds has to be told of what it cannot be asked about.
    pub(super) fn check_builds(&mut self) {
        let Some(rule) = self.policy.rule_about(Relation::Build) else {
            return;
        };
        let place = rule.place.clone();
        let built = self.built();
        let unknown = self.labels(|at, unit| {
            let is_built = built.get(at).is_some_and(|built| *built);
            matches!(unit.kind, UnitKind::Object | UnitKind::Linked) && !is_built
        });
        let unlicensed = self.labels(|at, _| {
            let known = self.assessments.get(at);
            self.only_builds(at) && known.is_none_or(|known| known.effective.is_none())
        });
        let message = match &unknown[..] {
            [one] => format!("nothing says what built `{one}`"),
            all => format!("nothing says what built {} components", all.len()),
        };
        self.tell_unknown(message, unknown, &place);
        let message = match &unlicensed[..] {
            [one] => format!("nothing says under which license `{one}` is, which builds others"),
            all => format!(
                "nothing says under which licenses {} components are, which build others",
                all.len()
            ),
        };
        self.tell_unknown(message, unlicensed, &place);
    }

    /// What the components are called of which something holds, without those that an exception is about.
    fn labels(&self, holds: impl Fn(usize, &Unit) -> bool) -> Vec<String> {
        let units = self.inventory.units.iter().enumerate();
        let found = units.filter(|(at, unit)| {
            let excepted = || self.is_excepted(unit, None, Some(Relation::Build), false, 0);
            holds(*at, unit) && !excepted()
        });
        found.map(|(_, unit)| unit.label()).collect()
    }

    fn tell_unknown(&mut self, message: String, labels: Vec<String>, place: &Place) {
        if !labels.is_empty() {
            let mut diagnostic = Diagnostic::new(Code::I111, Severity::Undecided, message);
            diagnostic.evidence = labels;
            diagnostic.decided_by = Some(place.clone());
            self.diagnostics.push(diagnostic);
        }
    }

    /// Of which components it is known what built them.
    fn built(&self) -> Vec<bool> {
        let mut built = vec![false; self.inventory.units.len()];
        let builds = self.inventory.edges.iter();
        for edge in builds.filter(|edge| edge.relation == Relation::Build) {
            if let Some(built) = built.get_mut(edge.from) {
                *built = true;
            }
        }
        built
    }
}
