//! Texts of the protocol and texts for people.

use std::{error::Error, time::Duration};

use reqwest::header::{CONTENT_RANGE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use url::Url;

/// Longest name of a way to log in that is shown.
const MAX_SCHEME: usize = 32;

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

/// Statuses by which a server says that it did not manage: time-out, too early, and its own failures.
pub(crate) const fn is_failing(code: u16) -> bool {
    matches!(code, 408 | 425 | 500 | 502 | 504)
}

/// The first way to log in that the server offers.
pub(crate) fn log_in_scheme(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let scheme = text.split([' ', ',']).next()?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let shown = !scheme.is_empty() && scheme.len() <= MAX_SCHEME && scheme.chars().all(is_token);
    shown.then(|| scheme.to_owned())
}

/// Undoes `%20` and the like (RFC 3986, 2.1); `None` for what is not well escaped or no text afterwards.
#[must_use]
pub fn percent_decode(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (&[high, low], after) = after.split_first_chunk()?;
            bytes.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_escaped_is_text() {
        for (text, expected) in [
            ("", Some("")),
            ("/a%20b%2Fc%2f", Some("/a b/c/")),
            ("caf%C3%A9", Some("caf\u{e9}")),
            ("%2", None),
            ("%", None),
            ("a%+1", None),
            ("%zz", None),
            ("%\u{e9}", None),
            ("%E9", None),
        ] {
            assert_eq!(percent_decode(text).as_deref(), expected, "{text}");
        }
    }

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

    #[test]
    fn the_name_of_a_way_to_log_in_is_shown_only_if_it_is_one() {
        for text in ["\u{1b}[31m x", "", "a\u{7f}", &"x".repeat(33)] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = text.parse() {
                headers.insert(WWW_AUTHENTICATE, value);
            }
            assert_eq!(log_in_scheme(&headers), None, "{text:?}");
        }
    }
}
