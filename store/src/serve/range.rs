//! Which part of a file a `Range` header asks for (RFC 9110, 14). Pure.

use std::ops::Range;

/// What is sent of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// Not empty, within the file.
    Part(Range<u64>),
    /// None of it: the part begins behind the end.
    Nothing,
}

/// Returns what to send of a file of `size` bytes. What cannot be understood, and lists of several parts, are answered with the whole file, as the RFC allows.
#[must_use]
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((start, last)) = header
        .and_then(|header| header.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    match (number(start), number(last)) {
        (Some(start), Some(last)) if start <= last => part(start, last.saturating_add(1), size),
        (Some(start), None) if last.is_empty() => part(start, size, size),
        (None, Some(length)) if start.is_empty() => part(size.saturating_sub(length), size, size),
        _ => Wanted::Whole,
    }
}

/// Returns the part that a header asks for, empty if there is nothing of it and `None` for all of it, and what is sent.
#[must_use]
pub fn cut(header: Option<&str>, size: u64) -> (Option<Range<u64>>, Range<u64>) {
    match wanted(header, size) {
        Wanted::Whole => (None, 0..size),
        Wanted::Part(part) => (Some(part.clone()), part),
        Wanted::Nothing => (Some(size..size), size..size),
    }
}

fn part(start: u64, end: u64, size: u64) -> Wanted {
    let part = start..end.min(size);
    if part.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Part(part)
    }
}

/// A number of digits alone; `parse` would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_as_the_rfc_says() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-4", Wanted::Part(2..5)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=8-20", Wanted::Part(8..10)),
            ("bytes=8-99999999999999999999999", Wanted::Part(8..10)),
            ("bytes=10-20", Wanted::Nothing),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("octets=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }
}
