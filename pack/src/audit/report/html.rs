//! One page that needs nothing else: no network, no fonts, no other file.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{Summary, escape::escape};
use crate::audit::{
    Audit, Diagnostic, Judged, Severity, Verdict,
    inventory::{Edge, Inventory},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What is deeper in the tree is found by the search.
const MAX_DEPTH: usize = 40;

/// Returns the page: the answer, the findings, a tree of how components use each other, and a table of them. Each component is opened once in the tree.
///
/// It can be read with the keyboard and by screen readers: headings, labels, `details` for branches, and a live region for the search.
#[must_use]
pub fn to_html(audit: &Audit, inventory: &Inventory, title: &str) -> String {
    let class = match audit.verdict {
        Verdict::Clean => "clean",
        Verdict::Damaged => "damaged",
        Verdict::Denied => "denied",
        Verdict::Undecided => "undecided",
    };
    let title = escape(title);
    let sentence = escape(&Summary::of(audit).sentence());
    let (policy, date) = (escape(&audit.policy), audit.date);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>Audit of {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Audit of {title}</h1>\n\
         <p class=\"verdict {class}\">{sentence}<br>by {policy} as of {date}</p>\n\
         <p><label for=\"search\">Search components, licenses and findings</label><input id=\"search\" type=\"search\"></p>\n\
         <p id=\"said\" role=\"status\"></p>\n"
    );
    page.push_str("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
    if audit.diagnostics.is_empty() {
        page.push_str("<p>None.</p>\n");
    }
    for diagnostic in &audit.diagnostics {
        write_finding(&mut page, diagnostic);
    }
    page.push_str("</section>\n<section aria-labelledby=\"uses\">\n<h2 id=\"uses\">What uses what</h2>\n<div id=\"tree\">\n<ul class=\"tree\">\n");
    let mut tree = Tree {
        inventory,
        audit,
        outgoing: inventory.outgoing(),
        opened: BTreeSet::new(),
    };
    for root in &inventory.roots {
        tree.write(&mut page, *root, None, 0);
    }
    page.push_str("</ul>\n</div>\n</section>\n<section aria-labelledby=\"components\">\n<h2 id=\"components\">Components</h2>\n<table>\n<thead><tr><th scope=\"col\">Component</th><th scope=\"col\">License</th><th scope=\"col\">Rests on</th><th scope=\"col\">Used</th><th scope=\"col\">To deliver</th></tr></thead>\n<tbody>\n");
    for component in &audit.components {
        write_row(&mut page, component);
    }
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "</tbody>\n</table>\n</section>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    page
}

fn write_finding(page: &mut String, diagnostic: &Diagnostic) {
    let word = match diagnostic.severity {
        Severity::Damaged => "damaged",
        Severity::Denied => "denied",
        Severity::Undecided => "undecided",
        Severity::Warning => "warning",
    };
    let message = escape(&diagnostic.message);
    let text = format!("{} {word} {}", diagnostic.code, diagnostic.message);
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<article data-text=\"{}\">\n<h3><span class=\"tag\">{} {word}</span> {message}</h3>",
        escape(&text.to_lowercase()),
        diagnostic.code
    );
    if let Some(place) = &diagnostic.place {
        let _ = writeln!(page, "<p class=\"mono\">{}</p>", escape(&place.to_string()));
    }
    if !diagnostic.evidence.is_empty() {
        page.push_str("<ul>\n");
        for line in &diagnostic.evidence {
            let _ = writeln!(page, "<li class=\"mono\">{}</li>", escape(line));
        }
        page.push_str("</ul>\n");
    }
    if diagnostic.chain.len() > 1 {
        page.push_str("<ol>\n");
        for step in &diagnostic.chain {
            let relation = step
                .relation
                .map(|relation| format!("{relation} "))
                .unwrap_or_default();
            let evidence = step
                .evidence
                .as_deref()
                .map(|evidence| format!(" <code>{}</code>", escape(evidence)))
                .unwrap_or_default();
            let _ = writeln!(
                page,
                "<li>{relation}<strong>{}</strong>{evidence}</li>",
                escape(&step.component)
            );
        }
        page.push_str("</ol>\n");
    }
    if let Some(paste) = &diagnostic.paste {
        let _ = writeln!(page, "<p>In the policy:</p>\n<pre>{}</pre>", escape(paste));
    }
    let help = diagnostic
        .help
        .as_deref()
        .map(|help| format!("{} — ", escape(help)))
        .unwrap_or_default();
    let _ = writeln!(
        page,
        "<p>{help}{}</p>\n</article>",
        escape(diagnostic.code.way_out())
    );
}

struct Tree<'a> {
    inventory: &'a Inventory,
    audit: &'a Audit,
    outgoing: Vec<Vec<&'a Edge>>,
    /// Components whose branch was written: a closure has far more ways than components.
    opened: BTreeSet<usize>,
}

impl Tree<'_> {
    fn write(&mut self, page: &mut String, unit: usize, edge: Option<&Edge>, depth: usize) {
        let Some(component) = self.audit.components.get(unit) else {
            return;
        };
        let label = component.label();
        let license = component.license_text();
        let text = format!("{label} {license}").to_lowercase();
        let relation = edge
            .map(|edge| format!("{} ", edge.relation.verb()))
            .unwrap_or_default();
        let line = format!(
            "{relation}<strong>{}</strong> <code>{}</code>",
            escape(&label),
            escape(&license)
        );
        // Writing to a String cannot fail.
        let _ = write!(page, "<li data-text=\"{}\">", escape(&text));
        let below: Vec<&Edge> = self.outgoing.get(unit).cloned().unwrap_or_default();
        let is_new = self.opened.insert(unit);
        if below.is_empty()
            || !is_new
            || depth >= MAX_DEPTH
            || self.inventory.units.get(unit).is_none()
        {
            let again = if is_new || below.is_empty() {
                ""
            } else {
                " (shown above)"
            };
            let _ = writeln!(page, "{line}{again}</li>");
            return;
        }
        let open = if depth < 2 { " open" } else { "" };
        let _ = writeln!(
            page,
            "<details{open}><summary>{line}</summary>\n<ul class=\"tree\">"
        );
        for edge in below {
            self.write(page, edge.to, Some(edge), depth + 1);
        }
        page.push_str("</ul></details></li>\n");
    }
}

fn write_row(page: &mut String, component: &Judged) {
    let license = component.license_text();
    let text = format!("{} {license}", component.label()).to_lowercase();
    let taken: Vec<String> = component
        .choices
        .iter()
        .map(|choice| format!("taken: {}", escape(&choice.taken)))
        .collect();
    let relations: Vec<&str> = component
        .relations
        .iter()
        .map(|relation| relation.as_str())
        .collect();
    let obligations: Vec<&str> = component
        .obligations
        .iter()
        .map(|obligation| obligation.as_str())
        .collect();
    let basis = serde_json::to_value(component.basis).ok();
    let basis = basis
        .as_ref()
        .and_then(|basis| basis.as_str())
        .unwrap_or_default()
        .replace('-', " ");
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<tr data-text=\"{}\"><td>{}<br><span class=\"mono\">{}</span></td><td><code>{}</code> {}</td><td>{basis}</td><td>{}</td><td>{}</td></tr>",
        escape(&text),
        escape(&component.label()),
        escape(&component.key),
        escape(&license),
        taken.join("; "),
        relations.join(", "),
        obligations.join(", ")
    );
}
