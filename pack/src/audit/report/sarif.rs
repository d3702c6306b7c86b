//! SARIF 2.1.0, which code hosts show beside the lines they are about.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::audit::{Audit, Code, Diagnostic, Severity};

/// Where the rules of a tool are described; SARIF asks for nothing more than that it be an address.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Returns the document. A finding that stays the same has the same fingerprint, wherever its line moves.
#[must_use]
pub fn to_sarif(audit: &Audit) -> Value {
    let mut codes: Vec<Code> = audit.diagnostics.iter().map(|one| one.code).collect();
    codes.sort();
    codes.dedup();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = audit
        .diagnostics
        .iter()
        .map(|one| result(one, &codes))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "pith", "rules": rules}},
            "properties": {"policy": audit.policy, "date": audit.date, "verdict": audit.verdict},
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code,
        "shortDescription": {"text": code.title()},
        "fullDescription": {"text": code.explanation()},
        "help": {"text": code.way_out()},
    })
}

fn result(diagnostic: &Diagnostic, codes: &[Code]) -> Value {
    let level = match diagnostic.severity {
        Severity::Damaged | Severity::Denied | Severity::Undecided => "error",
        Severity::Warning => "warning",
    };
    let mut message = diagnostic.message.clone();
    let lines = diagnostic.evidence.iter().chain(&diagnostic.help);
    for line in lines.chain(&diagnostic.paste) {
        message.push('\n');
        message.push_str(line);
    }
    let mut result = json!({
        "ruleId": diagnostic.code,
        "ruleIndex": codes.binary_search(&diagnostic.code).unwrap_or_default(),
        "level": level,
        "message": {"text": message},
        "partialFingerprints": {"pith/v1": fingerprint(diagnostic)},
        "properties": {"severity": diagnostic.severity, "chain": diagnostic.chain},
    });
    let logical = diagnostic.component.as_ref().map(|component| {
        let path = diagnostic.path.as_ref().unwrap_or(component);
        json!([{"name": component, "fullyQualifiedName": path, "kind": "module"}])
    });
    let mut location = serde_json::Map::new();
    if let Some(place) = &diagnostic.place {
        let artifact = json!({"artifactLocation": {"uri": uri(&place.file)}, "region": {"startLine": place.line.max(1)}});
        location.insert("physicalLocation".to_owned(), artifact);
    }
    if let Some(logical) = logical {
        location.insert("logicalLocations".to_owned(), logical);
    }
    if let (false, Some(fields)) = (location.is_empty(), result.as_object_mut()) {
        fields.insert("locations".to_owned(), json!([location]));
    }
    result
}

/// A label or a path as a relative reference of RFC 3986.
fn uri(file: &str) -> String {
    let file = file.trim_start_matches('/');
    let mut uri = String::new();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
    uri
}

/// A digit of RFC 3986's percent-encoding, which is upper case.
fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// What the finding is about, without where it stands.
fn fingerprint(diagnostic: &Diagnostic) -> String {
    let parts = [
        diagnostic.code.as_str(),
        diagnostic.component.as_deref().unwrap_or_default(),
        diagnostic.license.as_deref().unwrap_or_default(),
    ];
    let about = if diagnostic.component.is_none() {
        diagnostic.message.as_str()
    } else {
        ""
    };
    let digest = Sha256::digest([parts.join("\0"), about.to_owned()].join("\0"));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
