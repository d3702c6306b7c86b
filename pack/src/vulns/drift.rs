//! What changed between two reports: what was fixed, what came, and what is still there. Pure.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;

use super::{Finding, Report, Status};

/// What changed between an older and a newer report by the same databases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VulnerabilityDrift {
    /// What only the older one has open, by name and component.
    pub fixed: Vec<Drifted>,
    /// What only the newer one has open.
    pub new: Vec<Drifted>,
    /// What both have open.
    pub remaining: Vec<Drifted>,
    /// Why nothing can be concluded from what is not listed, each reason once.
    pub undecided: Vec<String>,
}

/// One vulnerability in one component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drifted {
    /// Its name.
    pub id: String,
    /// The component: its name, and the version in which it is, or was.
    pub component: String,
    /// What is the case in the newer report, where it is open there, else in the older one: `denied`, `undecided` or `tolerated`.
    pub status: &'static str,
    /// How bad it is, where somebody says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What became of it, where it is open no more: the status there, or that the component is gone or another version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

impl VulnerabilityDrift {
    /// Compares. A vulnerability is open that is denied, tolerated, or of which it cannot be told.
    #[must_use]
    pub fn between(old: &Report, new: &Report) -> Self {
        let (before, after) = (open(old), open(new));
        let mut drift = Self {
            fixed: Vec::new(),
            new: Vec::new(),
            remaining: Vec::new(),
            undecided: Vec::new(),
        };
        for (key, finding) in &before {
            if !after.contains_key(key) {
                let how = Some(what_became(finding, new));
                drift.fixed.push(Drifted {
                    how,
                    ..drifted(finding)
                });
            }
        }
        for (key, finding) in &after {
            let list = if before.contains_key(key) {
                &mut drift.remaining
            } else {
                &mut drift.new
            };
            list.push(drifted(finding));
        }
        let problems = old.undecided.iter().chain(&new.undecided);
        drift.undecided = problems
            .map(|problem| format!("{}: {}", problem.code, problem.message))
            .collect();
        drift.undecided.sort();
        drift.undecided.dedup();
        drift
    }

    /// Returns it for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (word, list) in self.lists() {
            for one in list {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{word}: {one}");
            }
        }
        for problem in &self.undecided {
            let _ = writeln!(text, "undecided: {problem}");
        }
        text.replace(|c: char| c.is_control() && c != '\n', "?")
    }

    /// Returns it as Markdown, for a comment where the change is discussed.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("\n**Vulnerabilities**\n\n");
        if self.lists().into_iter().all(|(_, list)| list.is_empty()) {
            text.push_str("None is open before or after.\n");
        }
        for (word, list) in self.lists() {
            for one in list {
                let _ = writeln!(text, "* {word}: {}", escape(&one.to_string()));
            }
        }
        for problem in &self.undecided {
            let _ = writeln!(text, "* undecided: {}", escape(problem));
        }
        text
    }

    const fn lists(&self) -> [(&'static str, &Vec<Drifted>); 3] {
        [
            ("fixed", &self.fixed),
            ("new", &self.new),
            ("still there", &self.remaining),
        ]
    }
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = self.severity.as_deref().unwrap_or("unrated");
        write!(
            f,
            "{} in {} ({severity}, {})",
            self.id, self.component, self.status
        )?;
        match &self.how {
            Some(how) => write!(f, ": {how}"),
            None => Ok(()),
        }
    }
}

/// What is open, by name and component: the same in another version of the component is the same.
fn open(report: &Report) -> BTreeMap<(&str, &str), &Finding> {
    let is_open = |finding: &&Finding| {
        matches!(
            finding.status,
            Status::Denied | Status::Undecided | Status::Tolerated
        )
    };
    let open = report.findings.iter().filter(is_open);
    open.map(|finding| ((finding.id.as_str(), finding.component.as_str()), finding))
        .collect()
}

fn drifted(finding: &Finding) -> Drifted {
    let version = finding.version.as_deref();
    Drifted {
        id: finding.id.clone(),
        component: match version {
            Some(version) => format!("{} {version}", finding.component),
            None => finding.component.clone(),
        },
        status: finding.status.word(),
        severity: finding
            .rating
            .as_ref()
            .map(|rating| rating.severity.to_string()),
        how: None,
    }
}

fn what_became(finding: &Finding, new: &Report) -> String {
    let mut same = new.findings.iter();
    let settled = same.find(|one| one.id == finding.id && one.component == finding.component);
    match settled {
        Some(settled) => settled.status.word().to_owned(),
        None => "it is found no more".to_owned(),
    }
}

/// Words of others are no markup.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            c if c.is_control() => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '|' | '\\' | '*' | '_' | '[' | ']' | '@' | '#' | '`' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::super::{Outcome, Problem, ProblemCode, Summary};
    use super::*;

    fn finding(id: &str, version: &str, status: Status) -> Finding {
        Finding {
            id: id.to_owned(),
            aliases: Vec::new(),
            component: "jq".to_owned(),
            version: Some(version.to_owned()),
            purl: None,
            cpe: None,
            status,
            rating: None,
            summary: None,
            fixed_in: Vec::new(),
            matches: Vec::new(),
            places: Vec::new(),
        }
    }

    fn report(findings: Vec<Finding>) -> Report {
        Report {
            date: NaiveDate::default(),
            outcome: Outcome::Clean,
            databases: Vec::new(),
            components: 1,
            summary: Summary::default(),
            findings,
            undecided: Vec::new(),
            warnings: Vec::new(),
            coverage: Vec::new(),
            unidentified: Vec::new(),
        }
    }

    #[test]
    fn what_is_fixed_new_and_still_there_is_told_apart() {
        let stated = Status::Informational {
            kind: "notice".to_owned(),
        };
        let old = report(vec![
            finding("CVE-1", "1.5", Status::Denied),
            finding("CVE-2", "1.5", Status::Tolerated),
            finding("CVE-3", "1.5", Status::Denied),
            finding("CVE-4", "1.5", stated.clone()),
        ]);
        let mut new = report(vec![
            finding("CVE-2", "1.6", Status::Denied),
            finding("CVE-3", "1.6", stated),
            finding("CVE-5", "1.6", Status::Undecided),
        ]);
        new.undecided.push(Problem {
            code: ProblemCode::V102,
            message: "it is *old*".to_owned(),
        });
        let drift = VulnerabilityDrift::between(&old, &new);
        assert_eq!(
            drift.to_text(),
            "fixed: CVE-1 in jq 1.5 (unrated, denied): it is found no more\n\
             fixed: CVE-3 in jq 1.5 (unrated, denied): notice\n\
             new: CVE-5 in jq 1.6 (unrated, undecided)\n\
             still there: CVE-2 in jq 1.6 (unrated, denied)\n\
             undecided: V102: it is *old*\n"
        );
        assert!(
            drift
                .to_markdown()
                .contains("* undecided: V102: it is \\*old\\*\n")
        );
        let same = VulnerabilityDrift::between(&new, &new);
        assert_eq!(
            (same.fixed.len(), same.new.len(), same.remaining.len()),
            (0, 0, 2)
        );
    }
}
