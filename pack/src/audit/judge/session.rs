//! One audit from beginning to end.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use store::facts::Finding;

use crate::audit::{
    Code, Diagnostic, Severity, Verdict,
    inventory::{Edge, Inventory, Relation, Unit, is_copyright},
    license::{
        Assessment, Category, Chosen, Concluded, Evidence, Meaning, Term, assess, choose,
        meaning_of_place,
    },
    policy::{Action, Clarification, Day, Exception, LicensePattern, Policy, Subject},
    reviewed,
};

use super::{
    clarification::clarification,
    combined::combine,
    decide::{Decision, decide_each, is_denied, rank},
    exception::exception,
    judgement::{Audit, Judged},
};

/// Judges `inventory` by `policy` as of `today`.
#[must_use]
pub fn judge(inventory: &Inventory, policy: &Policy, today: Day) -> Audit {
    let mut session = Session::new(inventory, policy, today);
    session.check_licenses();
    session.check_components();
    session.check_builds();
    let obligations = session.check_obligations();
    session.check_policy();
    let combined = combine(inventory, &session.assessments);
    let judged = inventory
        .units
        .iter()
        .enumerate()
        .zip(combined)
        .zip(obligations)
        .map(|(((at, unit), combined), obligations)| {
            let assessment = session.assessments.get(at).cloned();
            let chosen = session.chosen.get(at);
            let terms = chosen.iter().flat_map(|chosen| &chosen.terms);
            let categories: BTreeSet<Category> = terms.clone().filter_map(Category::of).collect();
            let relations: BTreeSet<Relation> =
                inventory.uses_of(at).map(|edge| edge.relation).collect();
            let (detected, concluded, effective, basis) = match assessment {
                Some(one) => (one.detected, one.concluded, one.effective, one.basis),
                None => (
                    Vec::new(),
                    None,
                    None,
                    crate::audit::license::Basis::Nothing,
                ),
            };
            Judged {
                key: unit.key.clone(),
                name: unit.name.clone(),
                version: unit.version.clone(),
                kind: unit.kind,
                recipe: unit.recipe.clone(),
                declared: unit.declared.clone(),
                license_evidence: unit.license_evidence.clone(),
                detected,
                concluded,
                effective,
                basis,
                chosen: terms.map(Term::to_string).collect(),
                choices: chosen
                    .map(|chosen| chosen.choices.clone())
                    .unwrap_or_default(),
                categories: categories.into_iter().collect(),
                combined,
                relations: relations.into_iter().collect(),
                obligations,
            }
        });
    let components = judged.collect();
    let mut diagnostics = session.diagnostics;
    diagnostics.sort_by(Diagnostic::order);
    diagnostics.dedup();
    Audit {
        policy: policy.name.clone(),
        date: today,
        verdict: Verdict::of(&diagnostics),
        components,
        diagnostics,
    }
}

/// What is known while an audit is made.
pub(super) struct Session<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) policy: &'a Policy,
    pub(super) today: Day,
    pub(super) assessments: Vec<Assessment>,
    /// What of each component's license is complied with.
    pub(super) chosen: Vec<Chosen>,
    /// The edge by which each component is reached first.
    tree: Vec<Option<&'a Edge>>,
    /// How each component is used.
    pub(super) uses: Vec<Vec<&'a Edge>>,
    pub(super) used_clarifications: BTreeSet<usize>,
    pub(super) used_exceptions: RefCell<BTreeSet<usize>>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl<'a> Session<'a> {
    fn new(inventory: &'a Inventory, policy: &'a Policy, today: Day) -> Self {
        let mut used_clarifications = BTreeSet::new();
        let assessments: Vec<Assessment> = inventory
            .units
            .iter()
            .map(|unit| assess_unit(unit, &policy.clarifications, &mut used_clarifications))
            .collect();
        let mut uses: Vec<Vec<&Edge>> = vec![Vec::new(); inventory.units.len()];
        for edge in &inventory.edges {
            if let Some(list) = uses.get_mut(edge.to) {
                list.push(edge);
            }
        }
        let first = choose_all(&assessments, &|_, term| rank(policy, term, false));
        // An alternative that is denied in one of the ways in which it is used is none.
        let is_denied_here = |unit: usize, term: &Term| {
            let uses = uses.get(unit).into_iter().flatten();
            let mut uses = uses.map(|edge| (Some(edge.relation), terms_of(&first, edge.from)));
            uses.any(|(relation, consumer)| is_denied(policy, term, relation, consumer))
        };
        let chosen = choose_all(&assessments, &|unit, term| {
            rank(policy, term, is_denied_here(unit, term))
        });
        Self {
            inventory,
            policy,
            today,
            assessments,
            chosen,
            tree: inventory.shortest_tree(),
            uses,
            used_clarifications,
            used_exceptions: RefCell::default(),
            diagnostics: Vec::new(),
        }
    }

    /// What the policy says of a license of `unit` in every way in which that is used; none stands for being asked for itself.
    pub(super) fn decisions(&self, unit: usize, term: &Term) -> Vec<(Option<&'a Edge>, Decision)> {
        let mut decisions = Vec::new();
        if self.inventory.roots.contains(&unit) || self.uses.get(unit).is_none_or(Vec::is_empty) {
            let all = decide_each(self.policy, term, None, &[]);
            decisions.extend(all.into_iter().map(|decision| (None, decision)));
        }
        for edge in self.uses.get(unit).into_iter().flatten().copied() {
            let consumer = terms_of(&self.chosen, edge.from);
            let all = decide_each(self.policy, term, Some(edge.relation), consumer);
            decisions.extend(all.into_iter().map(|decision| (Some(edge), decision)));
        }
        decisions
    }

    /// Whether nothing but builds use it: it is not shipped.
    pub(super) fn only_builds(&self, unit: usize) -> bool {
        let uses = self.uses.get(unit);
        !self.inventory.roots.contains(&unit)
            && uses.is_some_and(|uses| {
                !uses.is_empty() && uses.iter().all(|edge| edge.relation == Relation::Build)
            })
    }

    /// Returns whether an exception that has not ended is about this and may lift what the policy number `layer` says; it counts as used then.
    pub(super) fn is_excepted(
        &self,
        unit: &Unit,
        term: Option<&Term>,
        relation: Option<Relation>,
        must_name: bool,
        layer: usize,
    ) -> bool {
        let fits = |exception: &Exception| {
            let license = match (&exception.license, term) {
                (Some(pattern), Some(term)) => pattern.fits(term),
                (Some(_), None) => false,
                (None, _) => !must_name,
            };
            let relation = exception.relation.is_empty()
                || relation.is_some_and(|relation| exception.relation.contains(&relation));
            !exception.is_expired(self.today)
                && exception.reach <= layer
                && license
                && relation
                && exception.component.fits(unit)
        };
        let found = self.policy.exceptions.iter().position(fits);
        if let Some(at) = found {
            self.used_exceptions.borrow_mut().insert(at);
        }
        found.is_some()
    }

    /// Adds a finding about a component, with the chain that leads to it.
    pub(super) fn report(
        &mut self,
        unit: usize,
        last: Option<&'a Edge>,
        mut diagnostic: Diagnostic,
    ) {
        if let Some(one) = self.inventory.units.get(unit) {
            diagnostic.component = Some(one.label());
            diagnostic.path = one.key.starts_with('/').then(|| one.key.clone());
            if diagnostic.place.is_none() {
                diagnostic.place = one
                    .recipe
                    .as_deref()
                    .and_then(crate::audit::Place::of_label);
            }
        }
        diagnostic.chain = self.inventory.chain(&self.tree, unit, last);
        self.diagnostics.push(diagnostic);
    }

    fn check_licenses(&mut self) {
        for unit in 0..self.inventory.units.len() {
            let terms = terms_of(&self.chosen, unit).to_vec();
            for term in terms {
                self.check_license(unit, &term);
            }
        }
    }

    /// One finding for each code, with the first way in which it comes up and the number of the others.
    fn check_license(&mut self, at: usize, term: &Term) {
        let Some(unit) = self.inventory.units.get(at) else {
            return;
        };
        let mut found: Vec<(Code, Option<&'a Edge>, Decision, usize)> = Vec::new();
        for (edge, decision) in self.decisions(at, term) {
            let Some(code) = decision.code.filter(|_| decision.action != Action::Allow) else {
                continue;
            };
            let relation = edge.map(|edge| edge.relation);
            let must_name = code == Code::L110;
            if self.is_excepted(unit, Some(term), relation, must_name, decision.layer) {
                continue;
            }
            match found
                .iter_mut()
                .find(|(known, _, other, _)| *known == code && other.place == decision.place)
            {
                Some((.., count)) => *count += 1,
                None => found.push((code, edge, decision, 0)),
            }
        }
        for (code, edge, decision, others) in found {
            let severity = if decision.action == Action::Deny {
                Severity::Denied
            } else {
                Severity::Warning
            };
            let user = edge.filter(|_| matches!(code, Code::L120 | Code::L121));
            let (label, title) = (unit.label(), code.title());
            let message = match user {
                Some(edge) => {
                    let (user, verb) = (self.label(edge.from), edge.relation.verb());
                    format!("`{user}` {verb} `{label}`, which is under `{term}`: {title}")
                }
                None => format!("`{label}` is under `{term}`: {title}"),
            };
            let mut diagnostic = Diagnostic::new(code, severity, message);
            diagnostic.license = Some(term.to_string());
            diagnostic.decided_by = Some(decision.place.clone());
            // What is unknown is to be looked at in the recipe.
            diagnostic.place = (code != Code::L112).then_some(decision.place);
            if code == Code::L112 {
                diagnostic.paste = clarification(unit);
            }
            if matches!(code, Code::L110 | Code::L120) {
                // What is denied by name is denied however it is used.
                let relation = edge.map(|edge| edge.relation);
                let relation = relation.filter(|_| code == Code::L120);
                diagnostic.paste = Some(exception(unit, term, relation));
            }
            diagnostic.evidence.extend(self.basis_of(at));
            if others > 0 {
                diagnostic
                    .evidence
                    .push(format!("used so by {others} more"));
            }
            diagnostic.help = decision.reason;
            self.report(at, edge, diagnostic);
        }
    }

    fn label(&self, unit: usize) -> String {
        self.inventory
            .units
            .get(unit)
            .map(Unit::label)
            .unwrap_or_default()
    }

    /// Where a component's license is from.
    fn basis_of(&self, at: usize) -> Option<String> {
        let unit = self.inventory.units.get(at)?;
        let assessment = self.assessments.get(at)?;
        Some(
            match (&assessment.concluded, &unit.recipe, &unit.license_evidence) {
                (Some(concluded), ..) => format!(
                    "concluded: `{}`: {}",
                    concluded.expression, concluded.reason
                ),
                (None, Some(recipe), None) => format!("declared at {recipe}"),
                (None, _, Some(evidence)) => format!("read in {evidence}"),
                (None, None, None) => {
                    format!("declared by {}", unit.purl.as_deref().unwrap_or(&unit.key))
                }
            },
        )
    }
}

/// What of a component's license is complied with.
pub(super) fn terms_of(chosen: &[Chosen], unit: usize) -> &[Term] {
    chosen
        .get(unit)
        .map(|chosen| chosen.terms.as_slice())
        .unwrap_or_default()
}

fn choose_all(assessments: &[Assessment], rank: &dyn Fn(usize, &Term) -> u64) -> Vec<Chosen> {
    let all = assessments
        .iter()
        .enumerate()
        .map(|(at, assessment)| match &assessment.effective {
            Some(effective) => choose(effective, &|term| rank(at, term)),
            None => Chosen {
                terms: Vec::new(),
                choices: Vec::new(),
            },
        });
    all.collect()
}

pub(super) fn assess_unit(
    unit: &Unit,
    clarifications: &[Clarification],
    used: &mut BTreeSet<usize>,
) -> Assessment {
    let numbered = || clarifications.iter().enumerate();
    let of_component = numbered()
        .find(|(_, one)| matches!(&one.subject, Subject::Component(pattern) if pattern.fits(unit)));
    let concluded = of_component.and_then(|(at, one)| {
        used.insert(at);
        let expression = one.expression.clone()?;
        Some(Concluded {
            expression,
            reason: one.reason.clone(),
        })
    });
    let seen: Cell<BTreeSet<usize>> = Cell::default();
    let meaning = |finding: &Finding| {
        // What a package of Debian says of its license, it says there alone.
        let is_whole = unit.is_debian() && is_copyright(&finding.path);
        let is_it = |one: &Clarification| matches!(&one.subject, Subject::Notice(digest) if *digest == finding.notice);
        let Some((at, one)) = numbered().find(|(_, one)| is_it(one)) else {
            let reviewed = is_whole.then(|| reviewed::find(&finding.notice, &unit.name));
            return match reviewed.flatten() {
                Some(reviewed) => Some(Meaning {
                    expression: Some(&reviewed.expression),
                    reason: &reviewed.reason,
                    is_whole,
                }),
                None => meaning_of_place(&unit.unshipped, finding),
            };
        };
        let mut so_far = seen.take();
        so_far.insert(at);
        seen.set(so_far);
        Some(Meaning {
            expression: one.expression.as_ref(),
            reason: &one.reason,
            is_whole,
        })
    };
    let assessment = assess(&Evidence {
        declared: unit.declared.as_deref(),
        findings: unit.findings.as_deref(),
        concluded,
        meaning: &meaning,
    });
    used.append(&mut seen.into_inner());
    assessment
}

/// Whether an entry of `allow` is what lets one of the licenses in.
pub(super) fn is_needed(pattern: &LicensePattern, chosen: &[Chosen]) -> bool {
    chosen
        .iter()
        .flat_map(|chosen| &chosen.terms)
        .any(|term| pattern.fits(term))
}
