//! Reading TOML strictly: each key once known, each mistake with its line.

use std::{cell::RefCell, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Day, PolicyError, Setting};
use crate::audit::Place;

/// A file that is read.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
}

/// One table of it.
pub(super) struct Fields<'r, 't> {
    reader: &'r Reader<'t>,
    table: &'r DeTable<'t>,
    /// The line of its heading.
    line: u32,
    /// The keys that were asked for.
    known: RefCell<Vec<&'static str>>,
}

/// A value and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: u32,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text }
    }

    /// Parses the file; what it borrows lives as long as the text.
    pub(super) fn parse(&self) -> Result<DeTable<'t>, PolicyError> {
        let parsed = DeTable::parse(self.text).map_err(|error| PolicyError::Syntax {
            place: self.place(error.span().map_or(1, |span| self.line(span.start))),
            problem: error
                .message()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        })?;
        Ok(parsed.into_inner())
    }

    pub(super) fn place(&self, line: u32) -> Place {
        Place {
            file: self.file.to_owned(),
            line,
        }
    }

    fn line(&self, offset: usize) -> u32 {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(breaks).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) const fn fields<'r>(&'r self, table: &'r DeTable<'t>, line: u32) -> Fields<'r, 't> {
        Fields {
            reader: self,
            table,
            line,
            known: RefCell::new(Vec::new()),
        }
    }
}

impl<'r, 't> Fields<'r, 't> {
    fn find(&self, key: &'static str) -> Option<Found<&'r DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        let value: &Spanned<DeValue<'t>> = self.table.get(key)?;
        Some(Found {
            value: value.get_ref(),
            line: self.reader.line(value.span().start),
        })
    }

    pub(super) fn place(&self, line: u32) -> Place {
        self.reader.place(line)
    }

    pub(super) fn own_place(&self) -> Place {
        self.reader.place(self.line)
    }

    fn wrong(&self, key: &'static str, line: u32, expected: &'static str) -> PolicyError {
        PolicyError::Type {
            place: self.place(line),
            key,
            expected,
        }
    }

    /// Whether the key is there, whatever its value is.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.table.get(key).is_some()
    }

    /// Knows a key that somebody else reads.
    pub(super) fn skip(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
    }

    pub(super) fn string(&self, key: &'static str) -> Result<Option<Found<String>>, PolicyError> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        let text = found
            .value
            .as_str()
            .ok_or_else(|| self.wrong(key, found.line, "a text"))?;
        Ok(Some(Found {
            value: text.to_owned(),
            line: found.line,
        }))
    }

    /// A text that has to be there and may not be empty.
    pub(super) fn required(&self, key: &'static str) -> Result<Found<String>, PolicyError> {
        let found = self.string(key)?.ok_or_else(|| PolicyError::Missing {
            place: self.own_place(),
            key,
        })?;
        if found.value.trim().is_empty() {
            return Err(PolicyError::Missing {
                place: self.place(found.line),
                key,
            });
        }
        Ok(found)
    }

    /// A text or a list of them.
    pub(super) fn strings(&self, key: &'static str) -> Result<Vec<Found<String>>, PolicyError> {
        const EXPECTED: &str = "a text or a list of texts";
        let Some(found) = self.find(key) else {
            return Ok(Vec::new());
        };
        if let Some(text) = found.value.as_str() {
            return Ok(vec![Found {
                value: text.to_owned(),
                line: found.line,
            }]);
        }
        let list = found
            .value
            .as_array()
            .ok_or_else(|| self.wrong(key, found.line, EXPECTED))?;
        let one = |value: &Spanned<DeValue<'_>>| {
            let line = self.reader.line(value.span().start);
            let text = value
                .get_ref()
                .as_str()
                .ok_or_else(|| self.wrong(key, line, EXPECTED))?;
            Ok(Found {
                value: text.to_owned(),
                line,
            })
        };
        list.iter().map(one).collect()
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, PolicyError> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        let value = found
            .value
            .as_bool()
            .ok_or_else(|| self.wrong(key, found.line, "`true` or `false`"))?;
        Ok(Some(value))
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<Setting<u32>>, PolicyError> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        let number = found
            .value
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.ok_or_else(|| self.wrong(key, found.line, "a whole number"))?;
        Ok(Some(self.setting(number, found.line)))
    }

    /// A day, as TOML has it or as a text.
    pub(super) fn day(&self, key: &'static str) -> Result<Option<Found<Day>>, PolicyError> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        let text = match (found.value.as_datetime(), found.value.as_str()) {
            (Some(day), _) => day.to_string(),
            (None, Some(text)) => text.to_owned(),
            (None, None) => String::new(),
        };
        let day = text
            .parse()
            .map_err(|_| self.wrong(key, found.line, "a day such as 2026-12-31"))?;
        Ok(Some(Found {
            value: day,
            line: found.line,
        }))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<Setting<T>>, PolicyError> {
        let Some(found) = self.string(key)? else {
            return Ok(None);
        };
        let known = words.iter().find(|(word, _)| *word == found.value);
        match known {
            Some((_, value)) => Ok(Some(self.setting(*value, found.line))),
            None => Err(PolicyError::Word {
                place: self.place(found.line),
                key,
                found: found.value,
                expected: words.iter().map(|(word, _)| *word).collect(),
            }),
        }
    }

    fn setting<T>(&self, value: T, line: u32) -> Setting<T> {
        Setting {
            value,
            place: self.place(line),
            layer: 0,
        }
    }

    /// Reads texts as something else.
    pub(super) fn parse_all<T: FromStr>(&self, key: &'static str) -> Result<Vec<T>, PolicyError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let texts = self.strings(key)?;
        texts
            .into_iter()
            .map(|found| {
                found
                    .value
                    .parse()
                    .map_err(|error: T::Err| self.value(found.line, &error))
            })
            .collect()
    }

    /// A value that cannot be what it says.
    pub(super) fn value(&self, line: u32, problem: &dyn std::fmt::Display) -> PolicyError {
        PolicyError::Value {
            place: self.place(line),
            problem: problem.to_string(),
        }
    }

    pub(super) fn table(&self, key: &'static str) -> Result<Option<Self>, PolicyError> {
        let Some(found) = self.find(key) else {
            return Ok(None);
        };
        let table = found
            .value
            .as_table()
            .ok_or_else(|| self.wrong(key, found.line, "a table"))?;
        Ok(Some(self.reader.fields(table, found.line)))
    }

    pub(super) fn tables(&self, key: &'static str) -> Result<Vec<Self>, PolicyError> {
        const EXPECTED: &str = "tables with two brackets, such as `[[exception]]`";
        let Some(found) = self.find(key) else {
            return Ok(Vec::new());
        };
        let list = found
            .value
            .as_array()
            .ok_or_else(|| self.wrong(key, found.line, EXPECTED))?;
        let one = |value: &'r Spanned<DeValue<'t>>| {
            let line = self.reader.line(value.span().start);
            let table = value
                .get_ref()
                .as_table()
                .ok_or_else(|| self.wrong(key, line, EXPECTED))?;
            Ok(self.reader.fields(table, line))
        };
        list.iter().map(one).collect()
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&self) -> Result<(), PolicyError> {
        let known = self.known.borrow();
        let unknown = self
            .table
            .keys()
            .find(|key| !known.contains(&key.get_ref().as_ref()));
        match unknown {
            None => Ok(()),
            Some(key) => Err(PolicyError::UnknownKey {
                place: self.place(self.reader.line(key.span().start)),
                meant: nearest(key.get_ref(), &known),
                key: key.get_ref().to_string(),
            }),
        }
    }
}

/// The known word that differs least, if it differs little.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let with_distance = known.iter().map(|one| (distance(word, one), *one));
    let (distance, nearest) = with_distance.min()?;
    (distance <= nearest.len().div_ceil(3)).then_some(nearest)
}

/// How many characters have to be put in, taken out or replaced.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        for (slot, right) in row.iter_mut().skip(1).zip(&b) {
            let replaced = corner + usize::from(left != *right);
            corner = *slot;
            before = replaced.min(before + 1).min(corner + 1);
            *slot = before;
        }
    }
    if b.is_empty() {
        a.chars().count()
    } else {
        row.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_one_that_somebody_could_have_meant() {
        let known = ["allow", "deny", "choice", "rule"];
        for (word, expected) in [
            ("alow", Some("allow")),
            ("dney", Some("deny")),
            ("rules", Some("rule")),
            ("exceptions", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!(
            (
                distance("kitten", "sitting"),
                distance("", "abc"),
                distance("abc", "")
            ),
            (3, 3, 3)
        );
    }
}
