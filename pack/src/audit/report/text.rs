//! An audit for people, in the manner of a compiler.

use std::fmt::Write as _;

use super::Summary;
use crate::audit::{Audit, Code, Diagnostic, Place, Severity};

/// Returns the findings, each with its evidence and its chain; what a code means is said once.
#[must_use]
pub fn to_text(audit: &Audit) -> String {
    let mut text = String::new();
    let mut explained: Vec<Code> = Vec::new();
    for diagnostic in &audit.diagnostics {
        write_one(&mut text, diagnostic, !explained.contains(&diagnostic.code));
        explained.push(diagnostic.code);
        text.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", Summary::of(audit).sentence());
    let _ = writeln!(text, "  by {} as of {}", audit.policy, audit.date);
    text
}

fn write_one(text: &mut String, diagnostic: &Diagnostic, first_of_its_kind: bool) {
    let word = match diagnostic.severity {
        Severity::Damaged => "damaged",
        Severity::Denied => "error",
        Severity::Undecided => "undecided",
        Severity::Warning => "warning",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{word}[{}]: {}",
        diagnostic.code,
        plain(&diagnostic.message)
    );
    if let Some(place) = &diagnostic.place {
        let _ = writeln!(text, "  --> {}:{}", plain(&place.file), place.line);
    }
    let elsewhere = |by: &&Place| diagnostic.place.as_ref() != Some(*by);
    if let Some(by) = diagnostic.decided_by.as_ref().filter(elsewhere) {
        let _ = writeln!(text, "   = decided by {}:{}", plain(&by.file), by.line);
    }
    for line in &diagnostic.evidence {
        let _ = writeln!(text, "   | {}", plain(line));
    }
    if diagnostic.chain.len() > 1 {
        for (depth, step) in diagnostic.chain.iter().enumerate() {
            let evidence = step
                .evidence
                .as_deref()
                .map(|evidence| format!("  ({})", plain(evidence)))
                .unwrap_or_default();
            let component = plain(&step.component);
            let _ = match step.relation {
                None => writeln!(text, "   = {component}"),
                Some(relation) => writeln!(
                    text,
                    "   = {}└ {relation} {component}{evidence}",
                    "  ".repeat(depth - 1)
                ),
            };
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "   = help: {}", plain(help));
    }
    if let Some(paste) = &diagnostic.paste {
        let _ = writeln!(text, "   = in the policy:");
        for line in paste.lines() {
            let _ = writeln!(text, "       {}", plain(line));
        }
    }
    if first_of_its_kind {
        let _ = writeln!(text, "   = way out: {}", diagnostic.code.way_out());
    }
}

/// What others wrote must not reach a terminal as commands.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
