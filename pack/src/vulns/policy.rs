//! What a policy says of vulnerabilities: the table `[vulnerabilities]`. Pure.
//!
//! In a policy file it is a table of its own; in a project's settings it lies below `[audit]`. Other tables are others' to read.

use std::{collections::BTreeSet, fmt::Write as _};

use chrono::NaiveDate;
use serde::Deserialize;
use toml::Spanned;

use super::{Claim, Justification, Selector, Severity, Waiver};

/// What a policy says of vulnerabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// For how many days a database is relied on.
    pub max_age_days: Option<u64>,
    /// From which severity on a vulnerability is denied.
    pub fail_on: Option<Severity>,
    /// Registers of which no database needs to speak.
    pub not_covered: BTreeSet<String>,
    /// What is stated of single ones.
    pub waivers: Vec<Waiver>,
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is no TOML, or has keys or values that it cannot have.
    #[error("`{file}` is not a valid policy")]
    Parse {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("`{file}:{line}`: {problem}")]
    Value {
        /// The file.
        file: String,
        /// The line, counted from one.
        line: usize,
        /// What is wrong, as a sentence.
        problem: String,
    },
}

#[derive(Deserialize, Default)]
struct File {
    vulnerabilities: Option<Table>,
    #[serde(default)]
    audit: Audit,
}

#[derive(Deserialize, Default)]
struct Audit {
    vulnerabilities: Option<Table>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Table {
    database_max_age: Option<Spanned<String>>,
    fail_on: Option<Severity>,
    not_covered: BTreeSet<String>,
    ignore: Vec<Spanned<Ignore>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignore {
    id: String,
    component: Option<String>,
    status: Option<IgnoreStatus>,
    justification: Option<Justification>,
    reason: String,
    until: toml::value::Datetime,
    /// For people: who answers for it, and where it was discussed.
    owner: Option<String>,
    ticket: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum IgnoreStatus {
    NotAffected,
    Fixed,
}

impl Policy {
    /// Parses a policy file, or a project's settings; one that says nothing of vulnerabilities is an empty policy. `file` is its name, for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, PolicyError> {
        let parsed: File = toml::from_str(text).map_err(|source| PolicyError::Parse {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
        let table = parsed.vulnerabilities.or(parsed.audit.vulnerabilities);
        let table = table.unwrap_or_default();
        let wrong = |at: usize, problem: String| PolicyError::Value {
            file: file.to_owned(),
            line: text.get(..at).unwrap_or_default().matches('\n').count() + 1,
            problem,
        };
        let max_age_days = match &table.database_max_age {
            None => None,
            Some(age) => Some(parse_age(age.get_ref()).ok_or_else(|| {
                let problem = format!(
                    "`database-max-age` is `{}`, and must be a number of days such as `14d`",
                    age.get_ref()
                );
                wrong(age.span().start, problem)
            })?),
        };
        let mut waivers = Vec::with_capacity(table.ignore.len());
        for ignore in table.ignore {
            let at = ignore.span().start;
            let waiver = waiver(ignore.into_inner(), file);
            waivers.push(waiver.map_err(|problem| wrong(at, problem.to_owned()))?);
        }
        Ok(Self {
            max_age_days,
            fail_on: table.fail_on,
            not_covered: table.not_covered,
            waivers,
        })
    }
}

fn waiver(ignore: Ignore, file: &str) -> Result<Waiver, &'static str> {
    if ignore.id.trim().is_empty() {
        return Err("`id` of `[[vulnerabilities.ignore]]` is empty");
    }
    if ignore.reason.trim().is_empty() {
        return Err("`reason` of `[[vulnerabilities.ignore]]` is empty");
    }
    let date = ignore.until.date.filter(|_| ignore.until.time.is_none());
    let until = date.and_then(|date| {
        NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
    });
    let until = until.ok_or("`until` must be a date such as `2027-01-31`")?;
    let claim = match (
        ignore.status.unwrap_or(IgnoreStatus::NotAffected),
        ignore.justification,
    ) {
        (IgnoreStatus::NotAffected, justification) => Claim::NotAffected(justification),
        (IgnoreStatus::Fixed, None) => Claim::Fixed,
        (IgnoreStatus::Fixed, Some(_)) => {
            return Err(
                "`justification` says why software is not affected, and `status` that it was fixed",
            );
        }
    };
    let mut reason = ignore.reason;
    for (what, text) in [("owner", ignore.owner), ("ticket", ignore.ticket)] {
        if let Some(text) = text {
            // Writing to a String cannot fail.
            let _ = write!(reason, " ({what}: {text})");
        }
    }
    Ok(Waiver {
        ids: vec![ignore.id],
        software: match ignore.component {
            None => Selector::Any,
            Some(name) => match name.parse() {
                Ok(purl) => Selector::Purls(vec![purl]),
                Err(_) => Selector::Name(name),
            },
        },
        claim,
        reason: Some(reason),
        until: Some(until),
        origin: file.to_owned(),
        must_apply: true,
    })
}

/// Reads a number of days, as `14d` or `2w`.
#[must_use]
pub fn parse_age(text: &str) -> Option<u64> {
    let (number, days) = match text.strip_suffix('w') {
        Some(number) => (number, 7),
        None => (text.strip_suffix('d')?, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_says_what_is_ignored_and_until_when() {
        let text = "\
[licenses]
allow = [\"MIT\"]
[vulnerabilities]
database-max-age = \"2w\"
fail-on = \"high\"
not-covered = [\"npm\"]
[[vulnerabilities.ignore]]
id = \"CVE-2023-50246\"
component = \"jq\"
justification = \"vulnerable_code_not_in_execute_path\"
reason = \"no decimal numbers are read\"
owner = \"jane@example.org\"
until = 2027-01-31
";
        let policy = Policy::parse(text, "policy.toml").unwrap();
        assert_eq!(policy.max_age_days, Some(14));
        assert_eq!(policy.fail_on, Some(Severity::High));
        let [waiver] = policy.waivers.as_slice() else {
            panic!("{:?}", policy.waivers)
        };
        assert_eq!(waiver.software, Selector::Name("jq".to_owned()));
        assert_eq!(
            waiver.claim,
            Claim::NotAffected(Some(Justification::VulnerableCodeNotInExecutePath))
        );
        assert_eq!(
            waiver.reason.as_deref(),
            Some("no decimal numbers are read (owner: jane@example.org)")
        );
        assert_eq!(waiver.until, NaiveDate::from_ymd_opt(2027, 1, 31));
        let in_settings = text
            .replace("[vuln", "[audit.vuln")
            .replace("[[vuln", "[[audit.vuln");
        let mut found = Policy::parse(&in_settings, "policy.toml").unwrap();
        assert_eq!(found, policy);
        found = Policy::parse("jobs = 3", "pith.toml").unwrap();
        assert_eq!(found, Policy::default());
    }

    #[test]
    fn what_a_policy_cannot_say_is_refused_with_its_line() {
        let ignore = "[[vulnerabilities.ignore]]\nid = \"CVE-1\"\n";
        for (text, expected) in [
            (
                "\n[vulnerabilities]\ndatabase-max-age = \"soon\"".to_owned(),
                "line 3",
            ),
            (
                "[vulnerabilities]\nfail_on = \"high\"".to_owned(),
                "fail_on",
            ),
            ("[vulnerabilities]\nfail-on = \"bad\"".to_owned(), "bad"),
            (format!("{ignore}until = 2027-01-31"), "reason"),
            (format!("{ignore}reason = \"x\""), "until"),
            (
                format!("{ignore}reason = \" \"\nuntil = 2027-01-31"),
                "line 1",
            ),
            (
                format!("{ignore}reason = \"x\"\nuntil = 10:00:00"),
                "line 1",
            ),
            (
                format!(
                    "{ignore}reason = \"x\"\nuntil = 2027-01-31\nstatus = \"fixed\"\njustification = \"component_not_present\""
                ),
                "line 1",
            ),
            (
                format!("{ignore}reason = \"x\"\nuntil = 2027-01-31\njustification = \"because\""),
                "because",
            ),
        ] {
            let message = match Policy::parse(&text, "p.toml") {
                Err(PolicyError::Parse { source, .. }) => source.to_string(),
                Err(PolicyError::Value { line, problem, .. }) => format!("line {line}: {problem}"),
                Ok(policy) => panic!("{text}: {policy:?}"),
            };
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
