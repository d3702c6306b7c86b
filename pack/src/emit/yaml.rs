//! YAML, as far as the documents need it: maps, lists, texts and numbers, written in exactly one way.
//!
//! Every text is a double-quoted scalar, whose escapes are those of JSON (YAML 1.2.2, chapter 7.3.1), so no text is taken for a number, a date, a boolean or a
//! comment. Keys are texts of this crate and stand as they are where that is safe. The crate that others write YAML with is not maintained any more.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Yaml {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Self>),
    /// In the order in which it is written.
    Map(Vec<(String, Self)>),
}

impl Yaml {
    /// A map of what is there.
    pub(super) fn map<const N: usize>(entries: [(&str, Option<Self>); N]) -> Self {
        let entries = entries.into_iter();
        Self::Map(
            entries
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect(),
        )
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A list of texts.
    pub(super) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// The value, unless there is nothing in it.
    pub(super) fn some(self) -> Option<Self> {
        let is_empty = match &self {
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            _ => false,
        };
        (!is_empty).then_some(self)
    }

    /// One document, with a newline at the end.
    pub(super) fn to_document(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    /// Writes the value after its key or dash, from the end of whose line it goes on.
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Bool(value) => line(out, value),
            Self::Number(number) => line(out, number),
            Self::Text(text) => line(out, quoted(text)),
            Self::List(items) if items.is_empty() => line(out, "[]"),
            Self::Map(entries) if entries.is_empty() => line(out, "{}"),
            Self::List(items) => {
                begin(out);
                for item in items {
                    indent(out, depth);
                    out.push('-');
                    match item {
                        Self::Map(entries) if !entries.is_empty() => {
                            out.push(' ');
                            write_map(entries, out, depth + 1, true);
                        }
                        item => item.write(out, depth + 1),
                    }
                }
            }
            Self::Map(entries) => {
                begin(out);
                write_map(entries, out, depth, false);
            }
        }
    }
}

/// Writes a map; its first key may stand behind a dash.
fn write_map(entries: &[(String, Yaml)], out: &mut String, depth: usize, behind_dash: bool) {
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 || !behind_dash {
            indent(out, depth);
        }
        let is_plain = key.starts_with(|first: char| first.is_ascii_alphabetic())
            && key.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
            })
            && !matches!(
                key.as_str(),
                "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
            );
        if is_plain {
            out.push_str(key);
        } else {
            out.push_str(&quoted(key));
        }
        out.push(':');
        value.write(out, depth + 1);
    }
}

/// Ends a line that has a key or a dash; at the beginning of a document there is none.
fn begin(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn line(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, " {value}");
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Control characters, those above ASCII and what YAML takes for the end of a line or of a file.
            control
                if control.is_control()
                    || matches!(control, '\u{2028}' | '\u{2029}' | '\u{feff}') =>
            {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_in_lists_begin_behind_the_dash() {
        let document = Yaml::map([
            (
                "a",
                Some(Yaml::List(vec![
                    Yaml::map([
                        ("x", Some(Yaml::Number(1))),
                        ("y", Some(Yaml::texts(["z"]))),
                    ]),
                    Yaml::text("no"),
                ])),
            ),
            ("left out", None),
            ("b c", Some(Yaml::Map(Vec::new()))),
            ("d", Some(Yaml::Bool(true))),
        ]);
        assert_eq!(
            document.to_document(),
            "a:\n  - x: 1\n    \"y\":\n      - \"z\"\n  - \"no\"\n\"b c\": {}\nd: true\n"
        );
    }

    #[test]
    fn no_text_ends_its_quotes_or_its_line() {
        assert_eq!(
            quoted("a\"b\\c\nd\u{1}\u{85}\u{2028}é"),
            "\"a\\\"b\\\\c\\nd\\u0001\\u0085\\u2028é\""
        );
    }
}
