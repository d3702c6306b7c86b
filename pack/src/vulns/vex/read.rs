//! Others' statements.

use serde::Deserialize;

use super::VexError;
use crate::vulns::{Claim, Justification, Purl, Selector, Waiver};

/// What the contexts of all documents begin with.
const CONTEXT: &str = "https://openvex.dev/ns";

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@context")]
    context: String,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Component>,
    status: String,
    #[serde(default)]
    justification: Option<Justification>,
    #[serde(default)]
    impact_statement: Option<String>,
    #[serde(default)]
    status_notes: Option<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "@id", default)]
    id: Option<String>,
    #[serde(default)]
    identifiers: Identifiers,
    #[serde(default)]
    subcomponents: Vec<Self>,
}

#[derive(Deserialize, Default)]
struct Identifiers {
    #[serde(default)]
    purl: Option<String>,
}

/// Reads the statements that something does no harm or was fixed; the others change nothing. `origin` is the document's name, for messages.
///
/// A statement with subcomponents is about these alone: the product is only where they are.
pub fn read_vex(bytes: &[u8], origin: &str) -> Result<Vec<Waiver>, VexError> {
    let document: Document = serde_json::from_slice(bytes)?;
    let version = document.context.strip_prefix(CONTEXT);
    if !matches!(version, Some("" | "/v0.2.0")) {
        return Err(VexError::Format {
            found: document.context,
        });
    }
    let mut waivers = Vec::new();
    for statement in document.statements {
        let id = statement.vulnerability.name.clone();
        let claim = match statement.status.as_str() {
            "not_affected" => {
                if statement.justification.is_none() && statement.impact_statement.is_none() {
                    return Err(VexError::NoJustification { id });
                }
                Claim::NotAffected(statement.justification)
            }
            "fixed" => Claim::Fixed,
            _ => continue,
        };
        let purls: Vec<Purl> = statement.products.iter().flat_map(purls).collect();
        if purls.is_empty() {
            return Err(VexError::NoProduct { id });
        }
        let mut ids = vec![id];
        ids.extend(statement.vulnerability.aliases);
        waivers.push(Waiver {
            ids,
            software: Selector::Purls(purls),
            claim,
            reason: statement.impact_statement.or(statement.status_notes),
            until: None,
            origin: origin.to_owned(),
            must_apply: false,
        });
    }
    Ok(waivers)
}

fn purls(component: &Component) -> Vec<Purl> {
    if !component.subcomponents.is_empty() {
        return component.subcomponents.iter().flat_map(purls).collect();
    }
    let names = component.identifiers.purl.iter().chain(&component.id);
    names.filter_map(|name| name.parse().ok()).take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(statement: &str) -> String {
        format!(
            r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:x", "author": "a",
            "timestamp": "2026-01-01T00:00:00Z", "version": 1, "statements": [{statement}]}}"#
        )
    }

    #[test]
    fn statements_that_silence_are_taken_with_their_reason() {
        let text = document(
            r#"{"vulnerability": {"name": "CVE-1", "aliases": ["GHSA-1"]}, "status": "not_affected",
            "justification": "component_not_present", "impact_statement": "not built",
            "products": [{"@id": "pkg:oci/image", "subcomponents": [{"@id": "pkg:cargo/fast@1.0.0"}]}]},
            {"vulnerability": {"name": "CVE-2"}, "status": "under_investigation", "products": []}"#,
        );
        let waivers = read_vex(text.as_bytes(), "a.vex").unwrap();
        let [waiver] = waivers.as_slice() else {
            panic!("{waivers:?}")
        };
        assert_eq!(waiver.ids, ["CVE-1", "GHSA-1"]);
        let purl = "pkg:cargo/fast@1.0.0".parse().unwrap();
        assert_eq!(waiver.software, Selector::Purls(vec![purl]));
        let claim = Claim::NotAffected(Some(Justification::ComponentNotPresent));
        assert_eq!(waiver.claim, claim);
        assert_eq!(waiver.reason.as_deref(), Some("not built"));
    }

    #[test]
    fn a_statement_without_a_reason_or_a_product_is_refused() {
        for statement in [
            r#"{"vulnerability": {"name": "CVE-1"}, "status": "not_affected", "products": [{"@id": "pkg:cargo/fast"}]}"#,
            r#"{"vulnerability": {"name": "CVE-1"}, "status": "fixed", "products": []}"#,
            r#"{"vulnerability": {"name": "CVE-1"}, "status": "not_affected", "justification": "because", "products": [{"@id": "pkg:cargo/fast"}]}"#,
        ] {
            assert!(
                read_vex(document(statement).as_bytes(), "a").is_err(),
                "{statement}"
            );
        }
        for context in ["https://openvex.dev/ns/v9", "https://example.org"] {
            let text = document("").replace("https://openvex.dev/ns/v0.2.0", context);
            assert!(read_vex(text.as_bytes(), "a").is_err(), "{context}");
        }
    }
}
