//! Our statements.

use serde::Serialize;

use crate::vulns::{Claim, Finding, Fix, Justification, Report, Status};

/// What a document says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VexDocument<'a> {
    /// What was checked: a package URL, or another IRI.
    pub product: &'a str,
    /// Who states it.
    pub author: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@id")]
    id: String,
    author: &'a str,
    timestamp: String,
    version: u32,
    tooling: &'static str,
    statements: Vec<Statement<'a>>,
}

#[derive(Serialize)]
struct Statement<'a> {
    vulnerability: Vulnerability<'a>,
    products: [Product<'a>; 1],
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_notes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    impact_statement: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_statement: Option<String>,
}

#[derive(Serialize)]
struct Vulnerability<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aliases: &'a [String],
}

#[derive(Serialize)]
struct Product<'a> {
    #[serde(rename = "@id")]
    id: &'a str,
    subcomponents: [Subcomponent; 1],
}

#[derive(Serialize)]
struct Subcomponent {
    #[serde(rename = "@id")]
    id: String,
}

/// Writes what a report says as an OpenVEX document; none if there is nothing to state, because a document without statements is none.
///
/// Clues and notices are no statements. What is stated of several versions or places of one component is stated once for each version.
#[must_use]
pub fn write_vex(report: &Report, about: &VexDocument<'_>) -> Option<String> {
    let findings = report.findings.iter();
    let mut rows: Vec<(&str, String, Statement<'_>)> = findings
        .filter_map(|finding| {
            let id = subcomponent(finding);
            let statement = statement(finding, about.product, id.clone())?;
            Some((finding.id.as_str(), id, statement))
        })
        .collect();
    rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    rows.dedup_by(|a, b| (a.0, &a.1, a.2.status) == (b.0, &b.1, b.2.status));
    let statements: Vec<Statement<'_>> =
        rows.into_iter().map(|(.., statement)| statement).collect();
    if statements.is_empty() {
        return None;
    }
    let mut document = Document {
        context: "https://openvex.dev/ns/v0.2.0",
        id: String::new(),
        author: about.author,
        timestamp: format!("{}T00:00:00Z", report.date),
        version: 1,
        tooling: concat!("pith/", env!("CARGO_PKG_VERSION")),
        statements,
    };
    let unnamed = serde_json::to_vec(&document).unwrap_or_default();
    document.id = uuid_of(&unnamed);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    Some(text)
}

/// A UUID of version 8 (RFC 9562) from the digest of the rest of the document.
fn uuid_of(bytes: &[u8]) -> String {
    let digest = blake3::derive_key("pith 2026-11 OpenVEX document", bytes);
    let mut id: [u8; 16] = [0; 16];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, rest) = hex.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("urn:uuid:{a}-{b}-{c}-{d}-{e}")
}

fn subcomponent(finding: &Finding) -> String {
    if let Some(purl) = &finding.purl {
        return purl.to_string();
    }
    let (version, cpe) = (finding.version.as_deref(), finding.cpe.as_deref());
    crate::vulns::Purl::generic(&finding.component, version, cpe).to_string()
}

fn statement<'a>(finding: &'a Finding, product: &'a str, id: String) -> Option<Statement<'a>> {
    let mut statement = Statement {
        vulnerability: Vulnerability {
            name: &finding.id,
            aliases: &finding.aliases,
        },
        products: [Product {
            id: product,
            subcomponents: [Subcomponent { id }],
        }],
        status: "affected",
        status_notes: None,
        justification: None,
        impact_statement: None,
        action_statement: None,
    };
    match &finding.status {
        Status::Denied | Status::Tolerated => {
            statement.action_statement = Some(match finding.fixed_in.as_slice() {
                [] => "No version is known in which it is fixed.".to_owned(),
                versions => format!(
                    "Use a version in which it is fixed: {}.",
                    versions.join(", ")
                ),
            });
        }
        Status::Undecided => {
            statement.status = "under_investigation";
            statement.status_notes = Some("The version cannot be compared.".to_owned());
        }
        Status::Fixed { by } => {
            statement.status = "fixed";
            statement.status_notes = Some(match by {
                Fix::Patch(patch) => match &patch.sha256 {
                    Some(sha256) => format!("By the patch {}, sha256:{sha256}.", patch.name),
                    None => format!("By the patch {}.", patch.name),
                },
                Fix::DebianRevision { source, version } => {
                    format!("By Debian's revision {version} of {source}.")
                }
            });
        }
        Status::Stated { claim, reason, .. } => match claim {
            Claim::Fixed => {
                statement.status = "fixed";
                statement.status_notes.clone_from(reason);
            }
            Claim::NotAffected(justification) => {
                statement.status = "not_affected";
                statement.justification = justification.map(Justification::as_str);
                statement.impact_statement = reason.as_deref();
            }
        },
        Status::Informational { .. } | Status::Clue => return None,
    }
    Some(statement)
}
