//! What is wrong with a component whatever its license allows.

use std::collections::BTreeMap;

use crate::audit::{
    Code, Diagnostic, Severity,
    inventory::{Unit, UnitKind, copyright_place},
    license::{Basis, Expression, Statement, Term, choose, covers},
    policy::{Action, MissingFacts, SandboxLevel},
};

use super::{clarification::clarification, decide::rank, session::Session};

/// Files that are named as evidence of one license.
const SHOWN_FILES: usize = 4;

/// Whether the license texts of a component have words of licenses: it has one, and nobody has said which.
fn says_in_texts(unit: &Unit) -> bool {
    let findings = unit.findings.as_deref().unwrap_or_default();
    unit.texts.iter().any(|text| {
        let mut of_text = findings
            .iter()
            .filter(|finding| finding.notice == text.normal);
        of_text.any(|finding| finding.expression.is_some())
    })
}

impl Session<'_> {
    pub(super) fn check_components(&mut self) {
        for unit in 0..self.inventory.units.len() {
            if !self.only_builds(unit) {
                self.check_declared(unit);
                self.check_covered(unit);
                self.check_deprecated(unit);
                self.check_sandbox(unit);
            }
        }
        self.check_facts();
        self.check_unrecorded_sandboxes();
        for place in &self.inventory.undescribed {
            let message = format!(
                "{} bytes from `{}` are not described",
                place.size_bytes, place.place
            );
            let mut diagnostic = Diagnostic::new(Code::B120, Severity::Undecided, message);
            diagnostic.evidence.extend(
                place
                    .made_by
                    .iter()
                    .map(|made_by| format!("made by `{}`", made_by.escape_debug())),
            );
            let foreign = place.foreign.iter();
            let foreign =
                foreign.map(|why| format!("pith did not write it: {}", why.escape_debug()));
            diagnostic.evidence.extend(foreign);
            self.diagnostics.push(diagnostic);
        }
    }

    /// A license that is none, or none at all.
    fn check_declared(&mut self, at: usize) {
        let (Some(unit), Some(assessment)) =
            (self.inventory.units.get(at), self.assessments.get(at))
        else {
            return;
        };
        if assessment.effective.is_some() || unit.kind == UnitKind::Set {
            return;
        }
        let excepted = |layer: usize| self.is_excepted(unit, None, None, false, layer);
        let label = unit.label();
        if let Some(problem) = &assessment.problem {
            let declared = unit.declared.clone().unwrap_or_default();
            let message = format!(
                "`{label}` declares `{}`: {problem}",
                declared.escape_debug()
            );
            let mut diagnostic = Diagnostic::new(Code::L101, Severity::Denied, message);
            diagnostic.license = Some(declared);
            diagnostic.evidence.extend(
                unit.license_evidence
                    .iter()
                    .map(|evidence| format!("read in {evidence}")),
            );
            diagnostic.help = problem
                .meant()
                .map(|meant| format!("did you mean `{meant}`?"));
            if !excepted(0) {
                self.report(at, None, diagnostic);
            }
            return;
        }
        let (code, severity, message) = self.unlicensed(unit);
        let mut diagnostic = Diagnostic::new(code, severity, message);
        let found = assessment
            .detected
            .iter()
            .filter_map(|one| Some((one.expression.as_ref()?, one)));
        diagnostic.evidence = found
            .take(SHOWN_FILES)
            .map(|(expression, one)| format!("{} says `{expression}`", one.path))
            .collect();
        if code == Code::L106 {
            diagnostic.paste = clarification(unit);
        }
        let by_policy = code == Code::L102 && severity != Severity::Undecided;
        let decided_by = by_policy.then_some(&self.policy.unlicensed);
        diagnostic.decided_by = decided_by.map(|setting| setting.place.clone());
        if !excepted(decided_by.map_or(0, |setting| setting.layer)) {
            self.report(at, None, diagnostic);
        }
    }

    /// What it means that a component has no license that is known.
    fn unlicensed(&self, unit: &Unit) -> (Code, Severity, String) {
        let label = unit.label();
        match (unit.kind, self.policy.unlicensed.value) {
            (UnitKind::Linked | UnitKind::Toolchain, _) if unit.findings.is_none() => (
                Code::L104,
                Severity::Undecided,
                format!("`{label}` is linked in, and nothing is known of it here"),
            ),
            _ if unit.is_debian() => {
                let said = match unit.copyright_findings().next() {
                    Some(finding) => {
                        let place = copyright_place(&finding.path);
                        format!("`{label}` says its license in `{place}`, in prose")
                    }
                    None if self.inventory.is_bill => format!(
                        "`{label}` says its license in `usr/share/doc/{}/copyright`, in prose",
                        unit.name
                    ),
                    None => format!("no copyright file of `{label}` is here"),
                };
                (Code::L106, Severity::Undecided, said)
            }
            (UnitKind::Vendored, _) if says_in_texts(unit) => (
                Code::L106,
                Severity::Undecided,
                format!(
                    "`{label}` declares no license but in `{}`, which is not one license in its exact words",
                    unit.texts
                        .iter()
                        .map(|text| text.path.as_str())
                        .next()
                        .unwrap_or_default()
                ),
            ),
            _ if self.inventory.is_bill => (
                Code::L102,
                Severity::Undecided,
                format!("the bill of materials says no license of `{label}`"),
            ),
            (_, Action::Deny) => (
                Code::L102,
                Severity::Denied,
                format!("`{label}` declares no license"),
            ),
            (_, _) => (
                Code::L102,
                Severity::Warning,
                format!("`{label}` declares no license"),
            ),
        }
    }

    /// Evidence that the license does not cover: where the policy allows that license too, the answer is the same.
    fn check_covered(&mut self, at: usize) {
        let (Some(unit), Some(assessment)) =
            (self.inventory.units.get(at), self.assessments.get(at))
        else {
            return;
        };
        let Some(effective) = assessment.effective.clone() else {
            return;
        };
        let mut found: BTreeMap<Expression, Vec<String>> = BTreeMap::new();
        for detected in assessment
            .uncovered
            .iter()
            .filter_map(|at| assessment.detected.get(*at))
        {
            if let Some(expression) = &detected.expression {
                let files = if detected.files == 1 {
                    String::new()
                } else {
                    format!(" and {} more files", detected.files - 1)
                };
                let line = format!(
                    "{}{files}, notice sha256:{}",
                    detected.path, detected.notice
                );
                found.entry(expression.clone()).or_default().push(line);
            }
        }
        for (expression, mut places) in found {
            let chosen = choose(&expression, &|term| rank(self.policy, term, false));
            let is_allowed = |term: &Term| {
                self.decisions(at, term)
                    .iter()
                    .all(|(_, decision)| decision.action != Action::Deny)
            };
            // Whoever denies it has to be reached.
            let excepted = |term: &Term| {
                let denied = self.decisions(at, term).into_iter();
                let mut layers = denied
                    .filter(|(_, decision)| decision.action == Action::Deny)
                    .map(|(_, decision)| decision.layer);
                layers.all(|layer| self.is_excepted(unit, Some(term), None, false, layer))
            };
            let missing: Vec<&Term> = chosen
                .terms
                .iter()
                .filter(|term| {
                    !covers(
                        &effective,
                        &Expression::Term((*term).clone()),
                        Statement::Header,
                    )
                })
                .collect();
            let (code, severity) = if missing.iter().all(|term| is_allowed(term)) {
                (Code::L105, Severity::Warning)
            } else if missing
                .iter()
                .all(|term| is_allowed(term) || excepted(term))
            {
                continue;
            } else {
                (Code::L103, Severity::Undecided)
            };
            let more = places.len().saturating_sub(SHOWN_FILES);
            places.truncate(SHOWN_FILES);
            if more > 0 {
                places.push(format!("and {more} more notices"));
            }
            let message = format!(
                "`{}` is `{effective}`, and its sources also say `{expression}`",
                unit.label()
            );
            let mut diagnostic = Diagnostic::new(code, severity, message);
            diagnostic.license = Some(expression.to_string());
            diagnostic.evidence = places;
            self.report(at, None, diagnostic);
        }
    }

    fn check_deprecated(&mut self, at: usize) {
        let Some(unit) = self.inventory.units.get(at) else {
            return;
        };
        let setting = &self.policy.deprecated;
        let severity = match setting.value {
            Action::Allow => return,
            Action::Warn => Severity::Warning,
            Action::Deny => Severity::Denied,
        };
        if let Some(reason) = &unit.deprecated
            && !self.is_excepted(unit, None, None, false, setting.layer)
        {
            let message = format!("`{}` is deprecated: {reason}", unit.label());
            let mut diagnostic = Diagnostic::new(Code::I120, severity, message);
            diagnostic.decided_by = Some(setting.place.clone());
            self.report(at, None, diagnostic);
        }
    }

    /// The best of the builds that made the object counts: they made the same bytes.
    fn check_sandbox(&mut self, at: usize) {
        let (Some(unit), Some(setting)) = (self.inventory.units.get(at), &self.policy.sandbox)
        else {
            return;
        };
        let wanted = setting.value;
        let levels = unit
            .sandboxes
            .iter()
            .map(|name| SandboxLevel::of_record(name));
        let is_enough = levels.max().flatten().is_some_and(|level| level >= wanted);
        let excepted = || self.is_excepted(unit, None, None, false, setting.layer);
        if unit.sandboxes.is_empty() || is_enough || excepted() {
            return;
        }
        let message = format!(
            "`{}` was built in the sandbox `{}`, and the policy asks for `{}`",
            unit.label(),
            unit.sandboxes.join("`, `"),
            wanted.as_str()
        );
        let mut diagnostic = Diagnostic::new(Code::I110, Severity::Denied, message);
        diagnostic.decided_by = Some(setting.place.clone());
        self.report(at, None, diagnostic);
    }

    /// One finding for all objects of which nobody has recorded how they were built, such as those of an image of which there is only its bill.
    fn check_unrecorded_sandboxes(&mut self) {
        let Some(setting) = &self.policy.sandbox else {
            return;
        };
        let units = self.inventory.units.iter().enumerate();
        let bare: Vec<String> = units
            .filter(|(at, unit)| {
                unit.kind == UnitKind::Object
                    && unit.sandboxes.is_empty()
                    && !self.only_builds(*at)
                    && !self.is_excepted(unit, None, None, false, setting.layer)
            })
            .map(|(_, unit)| unit.label())
            .collect();
        let Some(first) = bare.first() else {
            return;
        };
        let what = match bare.len() {
            1 => format!("`{first}` was"),
            count => format!("{count} components were"),
        };
        let message = format!(
            "nothing says in which sandbox {what} built, and the policy asks for `{}`",
            setting.value.as_str()
        );
        let mut diagnostic = Diagnostic::new(Code::I110, Severity::Undecided, message);
        diagnostic.evidence = bare;
        diagnostic.decided_by = Some(setting.place.clone());
        self.diagnostics.push(diagnostic);
    }

    /// One finding for all components of which nothing was observed. A bill has no observations in it: it is the word of who had them.
    fn check_facts(&mut self) {
        if self.inventory.is_bill {
            return;
        }
        let severity = match self.policy.missing_facts.value {
            MissingFacts::Allow => return,
            MissingFacts::Warn => Severity::Warning,
            MissingFacts::Undecided => Severity::Undecided,
        };
        let units = self
            .inventory
            .units
            .iter()
            .zip(&self.assessments)
            .enumerate();
        let bare: Vec<String> = units
            .filter(|(at, (_, assessment))| {
                assessment.basis == Basis::DeclaredOnly && !self.only_builds(*at)
            })
            .map(|(_, (unit, _))| unit.label())
            .collect();
        if let Some(first) = bare.first() {
            let message = match bare.len() {
                1 => {
                    format!("nothing was observed of `{first}`: its declared license stands alone")
                }
                count => format!(
                    "nothing was observed of {count} components: their declared licenses stand alone"
                ),
            };
            let mut diagnostic = Diagnostic::new(Code::L104, severity, message);
            diagnostic.evidence = bare;
            diagnostic.decided_by = Some(self.policy.missing_facts.place.clone());
            self.diagnostics.push(diagnostic);
        }
    }
}
