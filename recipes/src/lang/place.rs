//! From the evaluator's spans to places in a line, and to the argument of a call that is at fault.

use starlark::codemap::{CodeMap, FileSpan, Pos, Span};

use super::error::Place;
use crate::model::Location;

/// The longest line that a message shows; of longer ones it shows the part around the place.
const MAX_LINE: usize = 120;

/// Returns the location of the start of a span.
pub(super) fn location(span: &FileSpan) -> Location {
    let begin = span.resolve_span().begin;
    Location {
        file: span.filename().to_owned(),
        line: one_based(begin.line),
        column: one_based(begin.column),
    }
}

/// Returns the place of a span: its first line, marked as far as the span goes on it.
pub(super) fn place(span: &FileSpan) -> Place {
    let resolved = span.resolve_span();
    let line = span
        .file
        .source_line(resolved.begin.line)
        .trim_end_matches(['\n', '\r']);
    let length = line.chars().count();
    let end = if resolved.end.line == resolved.begin.line {
        resolved.end.column
    } else {
        length
    };
    let mut column = resolved.begin.column;
    let mut width = end.saturating_sub(column).max(1);
    let mut shown: String = line
        .chars()
        .map(|c| {
            if c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    let mut location = location(span);
    if length > MAX_LINE {
        let from = column.saturating_sub(MAX_LINE / 3);
        shown = shown.chars().skip(from).take(MAX_LINE).collect();
        column -= from;
        width = width.min(MAX_LINE.saturating_sub(column)).max(1);
    }
    let shown_column = one_based(column);
    location.column = one_based(resolved.begin.column);
    Place {
        location,
        line: shown,
        shown_column,
        width,
    }
}

/// Returns the place of one character of a text that no parser has seen.
pub(super) fn at_offset(file: String, text: String, offset: usize) -> Option<Place> {
    let begin = u32::try_from(offset).ok()?;
    let code = CodeMap::new(file, text);
    let span = Span::new(Pos::new(begin), Pos::new(begin.checked_add(1)?));
    Some(place(&FileSpan { file: code, span }))
}

/// Returns the start of the next line, when the span is only the end of a line.
///
/// The parser notices a wrong indentation where the line before ends.
pub(super) fn skip_line_end(span: &FileSpan) -> FileSpan {
    let next = Pos::new(span.span.begin().get().saturating_add(1));
    let rest = span
        .file
        .source()
        .get(usize::try_from(next.get()).unwrap_or(usize::MAX)..);
    if span.source_span().trim().is_empty() && rest.is_some_and(|rest| !rest.is_empty()) {
        return FileSpan {
            file: span.file.clone(),
            span: Span::new(next, next),
        };
    }
    span.clone()
}

/// Returns the place of the argument called `name` in the call that `span` covers, if it is written there.
///
/// Marks the argument's name and nothing else.
pub(super) fn find_argument(span: &FileSpan, name: &str) -> Option<Place> {
    let text = span.source_span();
    let offset = argument_offset(text, name)?;
    let begin = u32::try_from(offset)
        .ok()?
        .checked_add(span.span.begin().get())?;
    let end = begin.checked_add(u32::try_from(name.len()).ok()?)?;
    Some(place(&FileSpan {
        file: span.file.clone(),
        span: Span::new(Pos::new(begin), Pos::new(end)),
    }))
}

/// Returns where `name =` stands as an argument of the outermost call in `text`.
fn argument_offset(text: &str, name: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'#' => {
                at += bytes.get(at..)?.iter().take_while(|b| **b != b'\n').count();
                continue;
            }
            b'"' | b'\'' => {
                at += string_length(bytes.get(at..)?);
                continue;
            }
            _ if depth == 1 && is_word(byte) => {
                let length = bytes.get(at..)?.iter().take_while(|b| is_word(**b)).count();
                let rest = text.get(at + length..)?.trim_start();
                if text.get(at..at + length) == Some(name)
                    && rest.starts_with('=')
                    && !rest.starts_with("==")
                {
                    return Some(at);
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns the length of the string literal at the start of `bytes`, with its quotes.
pub(super) fn string_length(bytes: &[u8]) -> usize {
    let Some(&quote) = bytes.first() else {
        return 0;
    };
    let triple = bytes.starts_with(&[quote; 3]);
    let closing: &[u8] = if triple { &[quote; 3] } else { &[quote] };
    let mut at = closing.len();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match rest.first() {
            Some(b'\\') => at += 2,
            Some(b'\n') if !triple => return at,
            _ if rest.starts_with(closing) => return at + closing.len(),
            _ => at += 1,
        }
    }
    bytes.len()
}

fn one_based(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::{argument_offset, string_length};

    #[test]
    fn argument_is_found_at_the_outermost_call_only() {
        for (text, name, expected) in [
            ("f(a = 1, b = 2)", "b", Some(9)),
            ("f(g(b = 1), b = 2)", "b", Some(12)),
            ("f(\"b = \", b = 2)", "b", Some(10)),
            ("f(# b = 1\n b = 2)", "b", Some(11)),
            ("f(b == 1)", "b", None),
            ("f({\"b\": b})", "b", None),
            ("f(ab = 1)", "b", None),
        ] {
            assert_eq!(argument_offset(text, name), expected, "{text}");
        }
    }

    #[test]
    fn string_ends_at_its_own_quote() {
        for (text, expected) in [
            ("'a' b", 3),
            ("'\\'' b", 4),
            ("'''a'b''' c", 9),
            ("'a\nb'", 2),
            ("'a", 2),
            ("'\\", 2),
        ] {
            assert_eq!(string_length(text.as_bytes()), expected, "{text}");
        }
    }
}
