//! Stanzas of `Field: value` lines: the form of Debian's indexes, release files and control files.
//!
//! Format: deb822(5). Fields borrow from the text, because an index has 60 000 stanzas.

/// One paragraph.
#[derive(Clone, Debug)]
pub(crate) struct Stanza<'a> {
    /// The line of the text on which it begins, from 1.
    pub(crate) line: usize,
    text: &'a str,
}

impl<'a> Stanza<'a> {
    /// Returns the value of a field: the rest of its line, and the lines after it that begin with a blank, untrimmed.
    pub(crate) fn field(&self, name: &str) -> Option<&'a str> {
        self.fields()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns all fields in order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        Fields { rest: self.text }
    }
}

struct Fields<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let mut end = line_end(self.rest, 0);
            while matches!(self.rest.as_bytes().get(end), Some(b' ' | b'\t')) {
                end = line_end(self.rest, end);
            }
            let (field, rest) = self.rest.split_at(end);
            self.rest = rest;
            if let Some((key, value)) = field.split_once(':') {
                return Some((key.trim(), value.trim()));
            }
        }
        None
    }
}

/// Returns where the line after the one at `from` begins.
fn line_end(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes().get(from..).unwrap_or_default();
    memchr::memchr(b'\n', bytes).map_or(text.len(), |at| from + at + 1)
}

/// Returns the stanzas of a text.
pub(crate) fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    Stanzas {
        text,
        at: 0,
        line: 1,
    }
}

struct Stanzas<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let is_blank = |from: usize, to: usize| {
            self.text
                .get(from..to)
                .is_some_and(|line| line.trim().is_empty())
        };
        loop {
            if self.at >= self.text.len() {
                return None;
            }
            let end = line_end(self.text, self.at);
            if !is_blank(self.at, end) {
                break;
            }
            self.at = end;
            self.line += 1;
        }
        let (start, line) = (self.at, self.line);
        while self.at < self.text.len() {
            let end = line_end(self.text, self.at);
            if is_blank(self.at, end) {
                break;
            }
            self.at = end;
            self.line += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Some(Stanza { line, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_further_lines_and_stanzas_know_their_line() {
        let text = "\nPackage: a\nDescription: one\n two\n .\nSize: 3\n\n \nPackage:b\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].field("description"), Some("one\n two\n ."));
        assert_eq!(all[0].field("Size"), Some("3"));
        assert_eq!(all[0].field("Version"), None);
        assert_eq!((all[1].line, all[1].field("Package")), (9, Some("b")));
    }

    #[test]
    fn a_text_without_fields_has_none() {
        assert!(stanzas("").next().is_none());
        assert!(stanzas("\n \n").next().is_none());
        let text = "no colon\n";
        assert!(stanzas(text).all(|stanza| stanza.fields().next().is_none()));
    }
}
