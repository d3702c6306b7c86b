//! Texts of the protocol and texts for people.

use std::{error::Error, time::Duration};

use reqwest::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER};
use url::Url;

/// The whole chain of causes in one line, without repeating what a cause says already.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let message = current.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = current.source();
    }
    text
}

/// Returns `url` without the user and password that it may have.
#[must_use]
pub fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            // Both only fail for addresses without a host, which have no credentials.
            let hidden = parsed.set_username("").is_ok() && parsed.set_password(None).is_ok();
            if hidden {
                parsed.into()
            } else {
                "(an address with credentials)".to_owned()
            }
        }
        _ => url.to_owned(),
    }
}

/// Which bytes of a file an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub start: u64,
    /// The byte behind the last one.
    pub end: u64,
    /// The size of the whole file, if the server tells.
    pub total: Option<u64>,
}

/// Reads `Content-Range: bytes START-END/TOTAL` (RFC 9110, 14.4).
#[must_use]
pub fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last): (u64, u64) = (start.parse().ok()?, last.parse().ok()?);
    Some(ContentRange {
        start,
        end: last.checked_add(1).filter(|end| start < *end)?,
        total: total.parse().ok(),
    })
}

/// Reads `Retry-After` in seconds. A date would need a clock, and a wait that long is not made anyway.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        assert_eq!(
            without_credentials("https://user:secret@h.example/x?y"),
            "https://h.example/x?y"
        );
        assert_eq!(
            without_credentials("https://h.example/x"),
            "https://h.example/x"
        );
    }

    #[test]
    fn a_content_range_says_what_is_sent() {
        let range = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, text.parse().unwrap());
            content_range(&headers)
        };
        let found = |start, end, total| Some(ContentRange { start, end, total });
        assert_eq!(range("bytes 5-9/10"), found(5, 10, Some(10)));
        assert_eq!(range("bytes 5-9/*"), found(5, 10, None));
        for wrong in [
            "bytes */10",
            "lines 5-9/10",
            "bytes 9-5/10",
            "bytes 5-/10",
            "bytes 0-18446744073709551615/*",
            "bytes 5-9",
        ] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
