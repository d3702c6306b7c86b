//! License expressions in a bill: SPDX 3.0.1, annex B.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use spdx::{Expression, ParseMode};
use store::facts::Finding;

use crate::audit::license::{Basis, Evidence, assess, meaning_of_place};

/// Nothing tolerated but names that were right once: others' metadata has them, and they stand in SPDX's list.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    ..ParseMode::STRICT
};

/// What others' metadata say of a license.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stated {
    /// An expression.
    Expression(String),
    /// Words that are none: a name for them, and the words.
    Words(String, String),
}

/// Returns what is wrong with an expression, if anything is.
pub(super) fn expression_fault(text: &str) -> Option<String> {
    let error = Expression::parse_mode(text, MODE).err()?;
    Some(error.reason.to_string())
}

/// Returns the licenses of an expression that SPDX has no name for.
pub(in super::super) fn license_references(expression: &str) -> impl Iterator<Item = &str> {
    let parts = expression.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    parts.filter(|part| part.starts_with("LicenseRef-"))
}

/// Understands what a package of others declares: an expression, also with the slash that cargo once had for `OR`, or else its words as they are.
pub(super) fn read_stated(text: &str) -> Stated {
    let text = text.trim();
    let spelled_out = text.replace('/', " OR ");
    for candidate in [text, &spelled_out] {
        if expression_fault(candidate).is_none() {
            let words: Vec<&str> = candidate.split_whitespace().collect();
            return Stated::Expression(words.join(" "));
        }
    }
    let digest = Sha256::digest(text.as_bytes());
    let short: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Stated::Words(
        format!("LicenseRef-pith-stated-{short}"),
        format!("The package declares its license as: {text}"),
    )
}

/// Returns under which license something is passed on: what is declared, unless an exact finding in what is shipped contradicts it. `unshipped` has what paths
/// begin with that are not.
pub(super) fn conclude(
    declared: &str,
    findings: &[Finding],
    unshipped: &BTreeMap<String, String>,
) -> Option<String> {
    let assessment = assess(&Evidence {
        declared: Some(declared),
        findings: Some(findings),
        concluded: None,
        meaning: &|finding| meaning_of_place(unshipped, finding),
    });
    (assessment.basis == Basis::Covered).then(|| declared.to_owned())
}

/// Joins expressions into one that demands all of them; none if there is none.
pub(super) fn all_of<'a>(expressions: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let expressions: BTreeSet<&str> = expressions.into_iter().collect();
    let is_alone = expressions.len() == 1;
    let parts: Vec<String> = expressions
        .into_iter()
        .map(
            |expression| match expression.contains(" OR ") && !is_alone {
                true => format!("({expression})"),
                false => expression.to_owned(),
            },
        )
        .collect();
    (!parts.is_empty()).then(|| parts.join(" AND "))
}

#[cfg(test)]
mod tests {
    use store::facts::{Class, Matcher};

    use super::*;

    #[test]
    fn what_is_no_expression_is_kept_as_words() {
        let right = |text: &str| Stated::Expression(text.to_owned());
        for (text, expected) in [
            ("MIT", right("MIT")),
            ("MIT/Apache-2.0", right("MIT OR Apache-2.0")),
            (" MIT  OR Apache-2.0 ", right("MIT OR Apache-2.0")),
            ("GPL-2.0", right("GPL-2.0")),
            ("LicenseRef-mine", right("LicenseRef-mine")),
        ] {
            assert_eq!(read_stated(text), expected);
        }
        for text in [
            "GPLv3+ nonsense",
            "SEE LICENSE IN license.txt",
            "BSD",
            "MIT, BSD",
        ] {
            let Stated::Words(name, words) = read_stated(text) else {
                panic!("{text} is no expression");
            };
            assert!(words.ends_with(text));
            assert_eq!(expression_fault(&name), None, "{name}");
        }
    }

    #[test]
    fn a_conclusion_needs_that_nothing_found_contradicts() {
        let finding = |class, expression: &str| Finding {
            source: 0,
            path: "COPYING".to_owned(),
            files: 1,
            notice: String::new(),
            matcher: Matcher::Text,
            class,
            expression: Some(expression.to_owned()),
        };
        for (declared, class, found, expected) in [
            ("GPL-3.0-or-later", Class::Exact, "GPL-3.0-only", true),
            ("MIT OR Apache-2.0", Class::Exact, "Apache-2.0", true),
            ("MIT", Class::Exact, "GPL-2.0-only", false),
            ("MIT", Class::Approximate, "GPL-2.0-only", true),
        ] {
            let concluded = conclude(declared, &[finding(class, found)], &BTreeMap::new());
            assert_eq!(concluded.is_some(), expected, "{declared} {found}");
        }
        assert_eq!(
            conclude("MIT", &[], &BTreeMap::new()),
            Some("MIT".to_owned())
        );
    }

    #[test]
    fn references_are_found_between_parentheses() {
        let found: Vec<&str> =
            license_references("(LicenseRef-a OR MIT) AND LicenseRef-b.1").collect();
        assert_eq!(found, ["LicenseRef-a", "LicenseRef-b.1"]);
    }

    #[test]
    fn all_of_them_are_demanded() {
        assert_eq!(all_of([]), None);
        assert_eq!(
            all_of(["MIT OR Zlib", "MIT OR Zlib"]).as_deref(),
            Some("MIT OR Zlib")
        );
        assert_eq!(
            all_of(["Zlib", "MIT OR X11"]).as_deref(),
            Some("(MIT OR X11) AND Zlib")
        );
    }
}
