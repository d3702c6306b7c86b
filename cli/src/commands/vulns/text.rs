//! A report as people read it.

use std::fmt::Write as _;

use pack::vulns::{Finding, Fix, Report, Status};

use crate::output::plural;

/// How many places of a component are named.
const MAX_PLACES: usize = 3;

/// What was found, a block for each vulnerability that is worth one; `all` has those that are settled too.
pub(super) fn table(report: &Report, all: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let is_settled = matches!(
            finding.status,
            Status::Fixed { .. } | Status::Stated { .. } | Status::Clue
        );
        if all || !is_settled {
            write_finding(&mut text, finding);
        }
    }
    text.replace(|c: char| c.is_control() && c != '\n', "?")
}

// Writing to a String cannot fail.
fn write_finding(text: &mut String, finding: &Finding) {
    let severity = match &finding.rating {
        Some(rating) => match rating.score {
            Some(score) => format!("{} {score}", rating.severity),
            None => rating.severity.to_string(),
        },
        None => "unrated".to_owned(),
    };
    let version = finding.version.as_deref().unwrap_or_default();
    let _ = writeln!(
        text,
        "{:<9}  {:<12}  {:<16}  {} {version}",
        finding.status.word(),
        severity,
        finding.id,
        finding.component
    );
    let mut say = |what: &str, line: &str| {
        let _ = writeln!(text, "    {what:<9}  {line}");
    };
    if let Some(summary) = &finding.summary {
        say("", summary);
    }
    if !finding.aliases.is_empty() {
        say("also", &finding.aliases.join(", "));
    }
    match &finding.status {
        Status::Fixed {
            by: Fix::Patch(patch),
        } => say("by", &patch.name),
        Status::Fixed {
            by: Fix::DebianRevision { source, version },
        } => say("by", &format!("Debian's {source} {version}")),
        Status::Stated { origin, reason, .. } => {
            let reason = reason.as_deref().unwrap_or("no reason is given");
            say("stated in", &format!("{origin}: {reason}"));
        }
        Status::Informational { kind } => say("kind", kind),
        _ if !finding.fixed_in.is_empty() => say("fixed in", &finding.fixed_in.join(", ")),
        _ => {}
    }
    for one in &finding.matches {
        let rule = format!("{:?}", one.version_rule).to_lowercase();
        say(
            "record",
            &format!("{}, by {} ({rule})", one.record, one.name),
        );
    }
    for place in finding.places.iter().take(MAX_PLACES) {
        let relation = match place.relation {
            pack::vulns::Relation::Itself => "at",
            pack::vulns::Relation::Vendored => "part of",
            pack::vulns::Relation::Static => "linked in",
        };
        say(relation, &place.within);
    }
    if let Some(more @ 1..) = finding.places.len().checked_sub(MAX_PLACES) {
        say("", &format!("and in {}", plural(more, "other place")));
    }
}

/// One line about all of it.
pub(super) fn summary(report: &Report) -> String {
    let summary = &report.summary;
    let mut parts = Vec::new();
    for (count, what) in [
        (summary.denied, "denied"),
        (summary.undecided, "undecided"),
        (summary.tolerated, "tolerated"),
        (summary.informational, "notices"),
        (summary.fixed, "fixed"),
        (summary.not_affected, "stated to be harmless"),
        (summary.clues, "clues"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let found = if parts.is_empty() {
        "no vulnerability is known".to_owned()
    } else {
        parts.join(", ")
    };
    let records: u64 = report.databases.iter().map(|one| one.records).sum();
    format!(
        "{}, {records} records, {}: {found}",
        plural(report.components, "component"),
        report.date
    )
}
