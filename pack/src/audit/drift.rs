//! What differs between two audits: versions, licenses, license texts, sources, and ways of use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use super::{Audit, Diagnostic, inventory::Inventory};

/// What differs between an older and a newer audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// Components that came, went or changed, by name. All outputs and versions of one name are one.
    pub components: Vec<ComponentDrift>,
    /// Findings that only the newer one has.
    pub new_findings: Vec<Diagnostic>,
    /// Findings that only the older one has.
    pub gone_findings: Vec<Diagnostic>,
}

/// A component that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentDrift {
    /// Its name.
    pub name: String,
    /// What happened.
    pub change: Change,
    /// What of it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactDrift>,
}

/// What happened to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only the newer one has it.
    Added,
    /// Only the older one has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

/// What differs of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactDrift {
    /// What: `version`, `license`, `license text`, `source` or `use`.
    pub fact: &'static str,
    /// What only the older one has, ascending.
    pub old: Vec<String>,
    /// What only the newer one has, ascending.
    pub new: Vec<String>,
}

#[derive(Default)]
struct Side {
    versions: BTreeSet<String>,
    licenses: BTreeSet<String>,
    texts: BTreeSet<String>,
    sources: BTreeSet<String>,
    uses: BTreeSet<String>,
}

impl Side {
    const fn facts(&self) -> [(&'static str, &BTreeSet<String>); 5] {
        [
            ("version", &self.versions),
            ("license", &self.licenses),
            ("license text", &self.texts),
            ("source", &self.sources),
            ("use", &self.uses),
        ]
    }
}

impl Drift {
    /// Compares.
    #[must_use]
    pub fn between(old: (&Inventory, &Audit), new: (&Inventory, &Audit)) -> Self {
        let (olds, news) = (sides(old.0, old.1), sides(new.0, new.1));
        let names: BTreeSet<&String> = olds.keys().chain(news.keys()).collect();
        let nothing = Side::default();
        let mut components = Vec::new();
        for name in names {
            let (before, after) = (olds.get(name), news.get(name));
            let change = match (before, after) {
                (None, _) => Change::Added,
                (_, None) => Change::Removed,
                _ => Change::Changed,
            };
            let pairs = before
                .unwrap_or(&nothing)
                .facts()
                .into_iter()
                .zip(after.unwrap_or(&nothing).facts());
            let facts: Vec<FactDrift> = pairs
                .filter(|((_, before), (_, after))| before != after)
                .map(|((fact, before), (_, after))| FactDrift {
                    fact,
                    old: before.difference(after).cloned().collect(),
                    new: after.difference(before).cloned().collect(),
                })
                .collect();
            if change != Change::Changed || !facts.is_empty() {
                components.push(ComponentDrift {
                    name: name.clone(),
                    change,
                    facts,
                });
            }
        }
        let lacks = |audit: &Audit, one: &&Diagnostic| {
            !audit.diagnostics.iter().any(|other| is_same(one, other))
        };
        Self {
            components,
            new_findings: new
                .1
                .diagnostics
                .iter()
                .filter(|one| lacks(old.1, one))
                .cloned()
                .collect(),
            gone_findings: old
                .1
                .diagnostics
                .iter()
                .filter(|one| lacks(new.1, one))
                .cloned()
                .collect(),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.components.is_empty() && self.new_findings.is_empty() && self.gone_findings.is_empty()
    }

    /// Returns it for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for component in &self.components {
            let sign = match component.change {
                Change::Added => '+',
                Change::Removed => '-',
                Change::Changed => '~',
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{sign} {}", component.name);
            for fact in &component.facts {
                let _ = writeln!(text, "    {}: {}", fact.fact, fact.words());
            }
        }
        for (word, findings) in [("new", &self.new_findings), ("gone", &self.gone_findings)] {
            for finding in findings {
                let _ = writeln!(text, "{word}: {}: {}", finding.code, finding.message);
            }
        }
        if text.is_empty() {
            "no difference\n".to_owned()
        } else {
            text
        }
    }

    /// Returns it as Markdown, for a comment where the change is discussed.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        if self.is_empty() {
            return "No difference in components, licenses or findings.\n".to_owned();
        }
        let mut text = String::new();
        if !self.components.is_empty() {
            text.push_str("| component | change | what |\n| --- | --- | --- |\n");
        }
        for component in &self.components {
            let change = match component.change {
                Change::Added => "added",
                Change::Removed => "removed",
                Change::Changed => "changed",
            };
            let facts: Vec<String> = component
                .facts
                .iter()
                .map(|fact| format!("{}: {}", fact.fact, cell(&fact.words())))
                .collect();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {change} | {} |",
                cell(&component.name),
                facts.join("<br>")
            );
        }
        for (heading, findings) in [
            ("New findings", &self.new_findings),
            ("Findings that are gone", &self.gone_findings),
        ] {
            if !findings.is_empty() {
                let _ = write!(text, "\n**{heading}**\n\n");
            }
            for finding in findings {
                let _ = writeln!(text, "* `{}` {}", finding.code, cell(&finding.message));
            }
        }
        text
    }
}

impl FactDrift {
    fn words(&self) -> String {
        let list = |values: &[String]| {
            if values.is_empty() {
                "nothing".to_owned()
            } else {
                values.join(", ")
            }
        };
        format!("{} → {}", list(&self.old), list(&self.new))
    }
}

/// A text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped.push_str("&lt;"),
            '|' | '\\' | '*' | '_' | '[' | ']' | '@' | '#' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Whether both are about the same, wherever it stands.
fn is_same(one: &Diagnostic, other: &Diagnostic) -> bool {
    (one.code, &one.component, &one.license, &one.message)
        == (other.code, &other.component, &other.license, &other.message)
}

fn sides(inventory: &Inventory, audit: &Audit) -> BTreeMap<String, Side> {
    let mut sides: BTreeMap<String, Side> = BTreeMap::new();
    for (at, (unit, judged)) in inventory.units.iter().zip(&audit.components).enumerate() {
        let side = sides.entry(unit.name.clone()).or_default();
        side.versions.extend(unit.version.clone());
        side.licenses.insert(judged.license_text());
        side.texts.extend(unit.texts.iter().map(|text| {
            format!(
                "{} {}",
                text.path,
                text.normal.get(..12).unwrap_or(&text.normal)
            )
        }));
        side.sources
            .extend(unit.sources.iter().map(|source| source.digest.clone()));
        for edge in inventory.uses_of(at) {
            if let Some(user) = inventory
                .units
                .get(edge.from)
                .filter(|user| user.name != unit.name)
            {
                side.uses
                    .insert(format!("{} by {}", edge.relation, user.name));
            }
        }
    }
    sides
}
