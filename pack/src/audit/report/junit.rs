//! JUnit's XML, which build servers show as tests: one for each component, and one for the policy.

use std::fmt::Write as _;

use super::escape::escape;
use crate::audit::{Audit, Diagnostic, Severity};

/// Returns the document. What is undecided is an error, what is denied a failure; warnings are in the output of a test that passes.
#[must_use]
pub fn to_junit(audit: &Audit) -> String {
    let count = |severities: &[Severity]| {
        let cases = audit
            .components
            .iter()
            .map(|one| of(audit, Some(&one.label())));
        let cases = cases.chain([of(audit, None)]);
        cases
            .filter(|found| found.iter().any(|one| severities.contains(&one.severity)))
            .count()
    };
    let failures = count(&[Severity::Denied]);
    let errors = count(&[Severity::Undecided, Severity::Damaged]);
    let tests = audit.components.len() + 1;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"pith audit\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" timestamp=\"{}T00:00:00\">\n",
        audit.date
    );
    for component in &audit.components {
        write_case(
            &mut text,
            &component.key,
            &component.label(),
            &of(audit, Some(&component.label())),
        );
    }
    write_case(&mut text, "policy", &audit.policy, &of(audit, None));
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

/// The findings about one component, or about none.
fn of<'a>(audit: &'a Audit, component: Option<&str>) -> Vec<&'a Diagnostic> {
    audit
        .diagnostics
        .iter()
        .filter(|one| one.component.as_deref() == component)
        .collect()
}

fn write_case(text: &mut String, class: &str, name: &str, found: &[&Diagnostic]) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<testcase classname=\"{}\" name=\"{}\"",
        escape(class),
        escape(name)
    );
    if found.is_empty() {
        text.push_str("/>\n");
        return;
    }
    text.push_str(">\n");
    let mut warnings = String::new();
    for one in found {
        let element = match one.severity {
            Severity::Warning => {
                let _ = writeln!(warnings, "{}: {}", one.code, escape(&one.message));
                continue;
            }
            Severity::Denied => "failure",
            Severity::Undecided | Severity::Damaged => "error",
        };
        let message = escape(&one.message);
        let body: Vec<String> = one
            .evidence
            .iter()
            .chain(&one.help)
            .chain(&one.paste)
            .map(|line| escape(line))
            .collect();
        let _ = writeln!(
            text,
            "<{element} type=\"{}\" message=\"{message}\">{}</{element}>",
            one.code,
            body.join("\n")
        );
    }
    if !warnings.is_empty() {
        let _ = writeln!(text, "<system-out>{warnings}</system-out>");
    }
    text.push_str("</testcase>\n");
}
