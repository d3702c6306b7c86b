//! License expressions, read strictly.

use std::fmt;

use spdx::{
    AdditionItem, LicenseItem, LicenseReq, ParseMode,
    error::Reason,
    expression::{ExprNode, Operator},
};

use super::{LicenseError, what_was_meant};

/// Longer expressions are not read: the longest of Debian has some 3000 bytes.
const MAX_BYTES: usize = 16 << 10;

/// A license expression of SPDX: what it demands, without superfluous brackets and repetitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expression {
    /// One license.
    Term(Term),
    /// All of these; at least two, none of them of this kind itself.
    All(Vec<Self>),
    /// One of these, as the receiver chooses; at least two, none of them of this kind itself.
    Any(Vec<Self>),
}

/// One license with its exception, which are judged together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// As SPDX writes it.
    text: String,
    /// SPDX's name, without `+`; none of a `LicenseRef-`.
    id: Option<&'static str>,
    /// SPDX's name of the exception, or the whole `AdditionRef-`.
    exception: Option<String>,
}

impl Expression {
    /// Reads an expression: names as SPDX writes them, none that it has given up, no lists, `LicenseRef-` for what it does not know.
    pub fn parse(text: &str) -> Result<Self, LicenseError> {
        if text.len() > MAX_BYTES {
            return Err(LicenseError::TooLong { bytes: text.len() });
        }
        let parsed = spdx::Expression::parse_mode(text, ParseMode::STRICT).map_err(|error| {
            let wrong = text.get(error.span.clone()).unwrap_or_default().trim();
            let wrong = if wrong.is_empty() { text.trim() } else { wrong };
            match error.reason {
                Reason::Empty => LicenseError::Empty,
                Reason::DeprecatedLicenseId => LicenseError::Deprecated {
                    name: wrong.to_owned(),
                    meant: what_was_meant(text),
                },
                Reason::UnknownLicense | Reason::UnknownException | Reason::UnknownTerm => {
                    LicenseError::Unknown {
                        name: wrong.to_owned(),
                        meant: what_was_meant(text),
                    }
                }
                reason => LicenseError::Grammar {
                    text: text.to_owned(),
                    column: error.span.start + 1,
                    problem: reason.to_string(),
                    meant: what_was_meant(text),
                },
            }
        })?;
        Ok(Self::of_postfix(&parsed).unwrap_or_else(|| Self::All(Vec::new())))
    }

    /// Reads an expression, and does not ask what else may have been meant.
    pub(super) fn parse_quietly(text: &str) -> Option<Self> {
        let parsed = spdx::Expression::parse_mode(text, ParseMode::STRICT).ok()?;
        Self::of_postfix(&parsed)
    }

    /// The parser has counted operands and operators, so that each operator has its two.
    fn of_postfix(parsed: &spdx::Expression) -> Option<Self> {
        let mut stack: Vec<Self> = Vec::new();
        for node in parsed.iter() {
            let next = match node {
                ExprNode::Req(one) => Self::Term(Term::of(&one.req)),
                ExprNode::Op(operator) => {
                    let right = stack.pop()?;
                    let left = stack.pop()?;
                    match operator {
                        Operator::And => Self::all([left, right]),
                        Operator::Or => Self::any([left, right]),
                    }
                }
            };
            stack.push(next);
        }
        stack.pop()
    }

    /// Returns what demands all of `parts`, in their order, each once. Of none, it is an empty [`Self::All`].
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::All(inner) => inner.into_iter().for_each(|one| push_new(&mut flat, one)),
                one => push_new(&mut flat, one),
            }
        }
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Self::All(flat)
        }
    }

    /// Returns what demands one of `parts`, in their order, each once.
    #[must_use]
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Any(inner) => inner.into_iter().for_each(|one| push_new(&mut flat, one)),
                one => push_new(&mut flat, one),
            }
        }
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Self::Any(flat)
        }
    }

    /// Returns every license in it, in order; some may occur more than once.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        let mut found = Vec::new();
        let mut pending = vec![self];
        while let Some(next) = pending.pop() {
            match next {
                Self::Term(term) => found.push(term),
                Self::All(parts) | Self::Any(parts) => pending.extend(parts.iter().rev()),
            }
        }
        found
    }
}

fn push_new(list: &mut Vec<Expression>, one: Expression) {
    if !list.contains(&one) {
        list.push(one);
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, operator) = match self {
            Self::Term(term) => return f.write_str(&term.text),
            Self::All(parts) => (parts, " AND "),
            Self::Any(parts) => (parts, " OR "),
        };
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                f.write_str(operator)?;
            }
            match part {
                Self::Term(term) => f.write_str(&term.text)?,
                part => write!(f, "({part})")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for Expression {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Term {
    fn of(request: &LicenseReq) -> Self {
        let id = match &request.license {
            LicenseItem::Spdx { id, .. } => Some(id.name),
            LicenseItem::Other(_) => None,
        };
        let exception = request.addition.as_ref().map(|addition| match addition {
            AdditionItem::Spdx(id) => id.name.to_owned(),
            AdditionItem::Other(reference) => reference.to_string(),
        });
        Self {
            text: request.to_string(),
            id,
            exception,
        }
    }

    /// Returns it as SPDX writes it, for instance `GPL-3.0-or-later WITH GCC-exception-3.1`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns SPDX's name of the license, without exception and `+`; none of a `LicenseRef-`.
    #[must_use]
    pub fn id(&self) -> Option<&'static str> {
        self.id
    }

    /// Returns its exception.
    #[must_use]
    pub fn exception(&self) -> Option<&str> {
        self.exception.as_deref()
    }

    /// Returns the license without its exception, as SPDX writes it.
    #[must_use]
    pub fn license(&self) -> &str {
        self.text.split(" WITH ").next().unwrap_or_default()
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_printed_as_it_is_read() {
        for (text, printed) in [
            ("MIT", "MIT"),
            ("((MIT))", "MIT"),
            ("MIT AND MIT", "MIT"),
            ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
            ("MIT AND (ISC AND Zlib)", "MIT AND ISC AND Zlib"),
            ("MIT OR ISC AND Zlib", "MIT OR (ISC AND Zlib)"),
            ("(MIT OR ISC) AND Zlib", "(MIT OR ISC) AND Zlib"),
            (
                "GPL-3.0-or-later WITH GCC-exception-3.1",
                "GPL-3.0-or-later WITH GCC-exception-3.1",
            ),
            ("EPL-2.0+ AND LicenseRef-x", "EPL-2.0+ AND LicenseRef-x"),
        ] {
            let expression = Expression::parse(text).unwrap();
            assert_eq!(expression.to_string(), printed);
            assert_eq!(Expression::parse(printed).unwrap(), expression, "{printed}");
        }
    }

    #[test]
    fn or_binds_weaker_than_and_and_both_than_with() {
        let expression =
            Expression::parse("GPL-2.0-only WITH Linux-syscall-note AND MIT OR ISC").unwrap();
        let Expression::Any(parts) = &expression else {
            panic!("{expression:?}")
        };
        let names: Vec<&str> = expression
            .terms()
            .iter()
            .map(|term| term.as_str())
            .collect();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            names,
            ["GPL-2.0-only WITH Linux-syscall-note", "MIT", "ISC"]
        );
    }

    #[test]
    fn what_is_no_expression_is_refused_with_what_was_meant() {
        for (text, meant) in [
            ("GPLv3+ nonsense", Some("GPL-3.0-or-later")),
            ("GPL-3.0", Some("GPL-3.0-only")),
            ("GPL-2.0+", Some("GPL-2.0-or-later")),
            ("LGPLv2.1+", Some("LGPL-2.1-or-later")),
            ("mit", Some("MIT")),
            ("Expat", Some("MIT")),
            ("MIT, Apache-2.0", Some("MIT AND Apache-2.0")),
            ("MIT/Apache-2.0", Some("MIT OR Apache-2.0")),
            ("Apache 2.0", Some("Apache-2.0")),
            ("BSD-3-clause", Some("BSD-3-Clause")),
            ("BSD (3 clause)", None),
            ("see COPYING", None),
        ] {
            let error = Expression::parse(text).unwrap_err();
            assert_eq!(error.meant(), meant, "{text}: {error}");
        }
        assert!(matches!(Expression::parse("  "), Err(LicenseError::Empty)));
        let long = "MIT AND ".repeat(4096) + "MIT";
        assert!(matches!(
            Expression::parse(&long),
            Err(LicenseError::TooLong { .. })
        ));
    }

    #[test]
    fn brackets_as_deep_as_a_text_can_have_do_no_harm() {
        let depth = 2000;
        let text = "(MIT AND (ISC OR ".repeat(depth / 4) + "Zlib" + &"))".repeat(depth / 4);
        assert!(Expression::parse(&text).unwrap().to_string().len() > depth);
    }
}
