//! What is read of answers.

use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::RegistryError;
use crate::net::{Answer, NetError};

/// Characters of a message that are shown at most.
const MAX_MESSAGE: usize = 200;
/// The digest of what an answer is about. OCI distribution-spec 1.1, "Pulling manifests".
const CONTENT_DIGEST: &str = "docker-content-digest";
/// The shortest chunk that is taken, but for the last one. OCI distribution-spec 1.1, "Pushing a blob in chunks".
const LEAST_CHUNK: &str = "oci-chunk-min-length";
/// The longest chunk that a registry may ask for.
const MAX_CHUNK: usize = 256 << 20;

/// OCI distribution-spec 1.1, "Error Codes".
#[derive(Deserialize)]
struct Problem {
    errors: Vec<ProblemEntry>,
}

#[derive(Deserialize)]
struct ProblemEntry {
    code: Option<String>,
    message: Option<String>,
}

/// Returns what a registry says about why it refuses, in one line that is harmless on a terminal.
pub(super) fn message(problem: &[u8]) -> Option<String> {
    let problem: Problem = serde_json::from_slice(problem).ok()?;
    let entry = problem.errors.into_iter().next()?;
    let text = match (entry.code, entry.message) {
        (_, Some(message)) if !message.is_empty() => message,
        (Some(code), _) => code,
        _ => return None,
    };
    let is_shown = |c: &char| !c.is_control();
    let text: String = text.chars().filter(is_shown).take(MAX_MESSAGE).collect();
    (!text.is_empty()).then_some(text)
}

/// Reads the whole body of an answer, of at most `limit` bytes.
pub(super) fn whole(answer: Answer, limit: u64, what: &str) -> Result<Vec<u8>, RegistryError> {
    if answer.status != 200 {
        return Err(RegistryError::from_answer(what, &answer));
    }
    let bytes = answer
        .read_up_to(limit.saturating_add(1))
        .map_err(|error| RegistryError::Unreachable {
            what: what.to_owned(),
            source: error
                .downcast::<NetError>()
                .unwrap_or_else(|error| NetError::Connection {
                    message: error.to_string(),
                }),
        })?;
    if bytes.len() as u64 > limit {
        return Err(RegistryError::Answer {
            what: what.to_owned(),
            problem: "is larger than such an answer may be",
        });
    }
    Ok(bytes)
}

/// Reads the shortest chunk that a registry takes; what no memory should be asked for counts as nothing.
pub(super) fn least_chunk_bytes(headers: &HeaderMap) -> usize {
    let text = headers.get(LEAST_CHUNK).and_then(|text| text.to_str().ok());
    let bytes = text.and_then(|text| text.trim().parse().ok());
    bytes.filter(|bytes| *bytes <= MAX_CHUNK).unwrap_or(0)
}

/// Returns the digest that an answer names.
pub(super) fn content_digest(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()
}

/// Compares the digest that an answer names, if it names one, with the right one.
pub(super) fn check_digest(
    headers: &HeaderMap,
    expected: &str,
    what: &str,
) -> Result<(), RegistryError> {
    match content_digest(headers) {
        Some(found) if found != expected => Err(RegistryError::Digest {
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.escape_debug().take(MAX_MESSAGE).collect(),
        }),
        _ => Ok(()),
    }
}

/// Reads how many bytes of an upload a registry has: `Range: 0-LAST`, with or without a unit before it.
pub(super) fn received(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("range")?.to_str().ok()?;
    let range = text.rsplit_once('=').map_or(text, |(_, range)| range);
    let (start, last) = range.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    (start.trim() == "0").then(|| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_harmless_line() {
        let said = |text: &str| message(text.as_bytes());
        assert_eq!(
            said(r#"{"errors":[{"code":"DENIED","message":"no\n\u001b[31m more"}]}"#),
            Some("no[31m more".to_owned())
        );
        assert_eq!(
            said(r#"{"errors":[{"code":"DENIED"}]}"#),
            Some("DENIED".to_owned())
        );
        for nothing in [
            "",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{"message":""}]}"#,
        ] {
            assert_eq!(said(nothing), None, "{nothing}");
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(said(&long).map(|text| text.len()), Some(MAX_MESSAGE));
    }

    #[test]
    fn no_registry_asks_for_chunks_that_take_all_memory() {
        for (text, expected) in [
            ("5242880", 5 << 20),
            (" 1 ", 1),
            ("99999999999", 0),
            ("99999999999999999999999", 0),
            ("-1", 0),
            ("", 0),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LEAST_CHUNK, text.parse().unwrap());
            assert_eq!(least_chunk_bytes(&headers), expected, "{text}");
        }
        assert_eq!(least_chunk_bytes(&HeaderMap::new()), 0);
    }

    #[test]
    fn the_bytes_that_a_registry_has_are_counted() {
        for (text, expected) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(1)),
            ("5-9", None),
            ("9", None),
            ("0-", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("range", text.parse().unwrap());
            assert_eq!(received(&headers), expected, "{text}");
        }
    }
}
