//! The license of one component: what it declares, what was found, what somebody concluded, and what counts.

use std::collections::BTreeMap;

use serde::Serialize;
use store::facts::{Class, Finding, Matcher};

use super::{
    Expression, LicenseError,
    covers::{Statement, covers},
    is_shipped,
};

/// The license of one component, from every side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What it declares, as it is written there.
    pub declared: Option<String>,
    /// Why that is no expression.
    pub problem: Option<LicenseError>,
    /// What its sources say, in the order of the facts.
    pub detected: Vec<Detected>,
    /// What the policy says that it is, and why.
    pub concluded: Option<Concluded>,
    /// What counts; none where that is not known.
    pub effective: Option<Expression>,
    /// What that rests on.
    pub basis: Basis,
    /// Evidence that what counts does not cover, by its place in `detected`.
    pub uncovered: Vec<usize>,
}

/// What the license that counts rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Somebody concluded it, in the policy.
    Concluded,
    /// It is declared, and covers all evidence.
    Covered,
    /// It is declared, and there is evidence that it does not cover.
    Contradicted,
    /// It is declared, and nothing was observed.
    DeclaredOnly,
    /// There is none.
    Nothing,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// The license, where the words are known.
    pub expression: Option<Expression>,
    /// What it is worth.
    pub class: Class,
    /// How it was found.
    pub matcher: Matcher,
    /// The first file that says it.
    pub path: String,
    /// How many files say it.
    pub files: u64,
    /// The digest of the words, by which a policy clarifies them.
    pub notice: String,
    /// Whether such a file can be part of what is shipped.
    pub shipped: bool,
}

/// What somebody decided about a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Concluded {
    /// The license.
    pub expression: Expression,
    /// Why.
    pub reason: String,
}

/// What somebody says of words that were found.
#[derive(Debug, Clone, Copy)]
pub struct Meaning<'a> {
    /// The license; none where the words do not concern what is shipped.
    pub expression: Option<&'a Expression>,
    /// Why.
    pub reason: &'a str,
    /// Whether the words are all that the component says of its license, so that they count in place of what was read there.
    pub is_whole: bool,
}

/// What [`assess`] is told of a component.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct Evidence<'a> {
    /// What it declares.
    pub declared: Option<&'a str>,
    /// What was found in its sources; none where nobody has looked.
    pub findings: Option<&'a [Finding]>,
    /// What the policy says that the component is.
    pub concluded: Option<Concluded>,
    /// What somebody who has read it says of a finding: the policy of its notice, the recipe of its place.
    pub meaning: &'a dyn Fn(&Finding) -> Option<Meaning<'a>>,
}

/// Finds the license that counts: concluded, else declared.
///
/// Detection never concludes: a finding can only contradict what is declared. Approximate findings and clues do not even that.
pub fn assess(evidence: &Evidence<'_>) -> Assessment {
    let (declared, problem) = match evidence.declared.map(Expression::parse) {
        Some(Ok(expression)) => (Some(expression), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let findings = evidence.findings.unwrap_or_default();
    let detected: Vec<Detected> = findings.iter().map(Detected::of).collect();
    // What the words mean that somebody has read.
    let meanings: Vec<Option<Meaning<'_>>> = findings.iter().map(evidence.meaning).collect();
    let concluded = evidence
        .concluded
        .clone()
        .or_else(|| conclude(declared.as_ref(), &meanings));
    let effective = concluded
        .as_ref()
        .map(|concluded| &concluded.expression)
        .or(declared.as_ref())
        .cloned();
    let uncovered = match &effective {
        Some(effective) => (0..detected.len())
            .filter(|at| {
                meanings.get(*at).is_some_and(Option::is_none)
                    && detected
                        .get(*at)
                        .is_some_and(|one| one.contradicts(effective))
            })
            .collect(),
        None => Vec::new(),
    };
    let basis = match (&effective, &concluded) {
        (None, _) => Basis::Nothing,
        _ if !uncovered.is_empty() => Basis::Contradicted,
        (_, Some(_)) => Basis::Concluded,
        _ if evidence.findings.is_none() => Basis::DeclaredOnly,
        _ => Basis::Covered,
    };
    Assessment {
        declared: evidence.declared.map(str::to_owned),
        problem,
        detected,
        concluded,
        effective,
        basis,
        uncovered,
    }
}

/// What a recipe says of the place of a finding: `unshipped` has what paths in the sources begin with that are in nothing that is shipped, and why.
pub fn meaning_of_place<'a>(
    unshipped: &'a BTreeMap<String, String>,
    finding: &Finding,
) -> Option<Meaning<'a>> {
    let is_below = |(place, _): &(&String, &String)| finding.path.starts_with(place.as_str());
    let (_, reason) = unshipped.iter().find(is_below)?;
    Some(Meaning {
        expression: None,
        reason,
        is_whole: false,
    })
}

/// What is declared, or what somebody has read where that stands, and what somebody has read in the sources beside it.
fn conclude(declared: Option<&Expression>, meanings: &[Option<Meaning<'_>>]) -> Option<Concluded> {
    let read = meanings.iter().flatten();
    let read = read.filter_map(|meaning| Some((meaning, meaning.expression?)));
    let (whole, beside): (Vec<_>, Vec<_>) = read.partition(|(meaning, _)| meaning.is_whole);
    let mut parts: Vec<Expression> = Vec::new();
    let mut reasons: Vec<&str> = Vec::new();
    if whole.is_empty() {
        parts.push(declared?.clone());
    }
    for (meaning, expression) in whole.into_iter().chain(beside) {
        let is_covered = parts
            .iter()
            .any(|part| covers(part, expression, Statement::Header));
        if !is_covered {
            parts.push(expression.clone());
            if !reasons.contains(&meaning.reason) {
                reasons.push(meaning.reason);
            }
        }
    }
    (!reasons.is_empty()).then(|| Concluded {
        expression: Expression::all(parts),
        reason: reasons.join("; "),
    })
}

impl Detected {
    fn of(finding: &Finding) -> Self {
        let expression = finding
            .expression
            .as_deref()
            .and_then(|text| Expression::parse(text).ok());
        Self {
            expression,
            class: finding.class,
            matcher: finding.matcher,
            path: finding.path.clone(),
            files: finding.files,
            notice: finding.notice.clone(),
            shipped: is_shipped(&finding.path),
        }
    }

    fn contradicts(&self, effective: &Expression) -> bool {
        let statement = match self.matcher {
            Matcher::Text => Statement::Text,
            _ => Statement::Header,
        };
        self.class == Class::Exact
            && self.shipped
            && self
                .expression
                .as_ref()
                .is_some_and(|found| !covers(effective, found, statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(path: &str, expression: &str, class: Class) -> Finding {
        Finding {
            source: 0,
            path: path.to_owned(),
            files: 1,
            notice: format!("notice of {path}"),
            matcher: Matcher::Header,
            class,
            expression: Some(expression.to_owned()),
        }
    }

    fn of(declared: Option<&str>, findings: Option<&[Finding]>) -> Assessment {
        assess(&Evidence {
            declared,
            findings,
            concluded: None,
            meaning: &|_| None,
        })
    }

    #[test]
    fn what_counts_is_declared_unless_evidence_contradicts_it() {
        let exact = |path, expression| [finding(path, expression, Class::Exact)];
        let clue = [finding("src/a.c", "GPL-2.0-only", Class::Approximate)];
        for (declared, findings, basis) in [
            (
                Some("MIT"),
                Some(&exact("src/a.c", "MIT")[..]),
                Basis::Covered,
            ),
            (
                Some("MIT"),
                Some(&exact("src/a.c", "GPL-2.0-only")[..]),
                Basis::Contradicted,
            ),
            (
                Some("MIT"),
                Some(&exact("tests/a.c", "GPL-2.0-only")[..]),
                Basis::Covered,
            ),
            (Some("MIT"), Some(&clue[..]), Basis::Covered),
            (Some("MIT"), None, Basis::DeclaredOnly),
            (Some("MIT license"), None, Basis::Nothing),
            (None, Some(&exact("COPYING", "MIT")[..]), Basis::Nothing),
        ] {
            assert_eq!(
                of(declared, findings).basis,
                basis,
                "{declared:?} {findings:?}"
            );
        }
    }

    #[test]
    fn what_is_not_shipped_contradicts_nothing() {
        let reason = "a module of perl that only builds use".to_owned();
        let unshipped = BTreeMap::from([("external/perl/".to_owned(), reason)]);
        for (path, basis) in [
            ("external/perl/LICENSE", Basis::Covered),
            ("external/perl5/LICENSE", Basis::Contradicted),
        ] {
            let findings = [finding(path, "Artistic-1.0", Class::Exact)];
            let assessment = assess(&Evidence {
                declared: Some("Apache-2.0"),
                findings: Some(&findings),
                concluded: None,
                meaning: &|finding| meaning_of_place(&unshipped, finding),
            });
            assert_eq!(assessment.basis, basis, "{path}");
        }
    }

    #[test]
    fn an_or_stays_an_or() {
        let both = of(Some("MIT OR Apache-2.0"), Some(&[]));
        assert_eq!(
            both.effective.map(|one| one.to_string()).as_deref(),
            Some("MIT OR Apache-2.0")
        );
    }

    #[test]
    fn what_somebody_has_read_where_all_is_said_counts_in_its_place() {
        let (mit, isc) = (
            Expression::parse("MIT").unwrap(),
            Expression::parse("ISC").unwrap(),
        );
        let findings = [
            finding("copyright", "Zlib", Class::Exact),
            finding("a.c", "ISC", Class::Exact),
        ];
        let meaning = |finding: &Finding| {
            let is_whole = finding.path == "copyright";
            Some(Meaning {
                expression: Some(if is_whole { &mit } else { &isc }),
                reason: if is_whole { "whole" } else { "part" },
                is_whole,
            })
        };
        for declared in [None, Some("LicenseRef-odd")] {
            let assessment = assess(&Evidence {
                declared,
                findings: Some(&findings),
                concluded: None,
                meaning: &meaning,
            });
            let effective = assessment.effective.map(|one| one.to_string());
            assert_eq!(effective.as_deref(), Some("MIT AND ISC"), "{declared:?}");
            assert_eq!(assessment.basis, Basis::Concluded);
            let reason = assessment.concluded.map(|concluded| concluded.reason);
            assert_eq!(reason.as_deref(), Some("whole; part"));
        }
    }

    #[test]
    fn what_somebody_has_read_is_added_to_what_is_declared() {
        let dtoa = Expression::parse("dtoa").unwrap();
        let findings = [finding(
            "src/jv_dtoa.c",
            "MIT AND GPL-2.0-only",
            Class::Exact,
        )];
        for (expression, effective, basis) in [
            (Some(&dtoa), "MIT AND dtoa", Basis::Concluded),
            (None, "MIT", Basis::Covered),
        ] {
            let meaning = |_: &Finding| {
                Some(Meaning {
                    expression,
                    reason: "read",
                    is_whole: false,
                })
            };
            let assessment = assess(&Evidence {
                declared: Some("MIT"),
                findings: Some(&findings),
                concluded: None,
                meaning: &meaning,
            });
            let found = assessment.effective.map(|one| one.to_string());
            assert_eq!(
                (found.as_deref(), assessment.basis),
                (Some(effective), basis)
            );
        }
    }
}
