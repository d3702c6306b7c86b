//! What a file's tag says more exactly than the words below it. Pure.
//!
//! A tag names the exception or the choice that a file is under (SPDX 2.3, annex E). Below it there often still stand the words for the one license without
//! either, which would be another license if they stood alone.

use spdx::expression::ExprNode;
use spdx::{Expression, LicenseItem, ParseMode};

use super::license::Match;

/// Old names of licenses included.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    allow_postfix_plus_on_gpl: true,
    ..ParseMode::STRICT
};

/// Returns those of a file's tags that name an exception or a choice, joined; none where no tag does.
pub(super) fn finer_tags(tags: &[String]) -> Option<String> {
    let is_finer = |tag: &&String| {
        Expression::parse_mode(tag, MODE).is_ok_and(|parsed| {
            let is_choice =
                |node: &ExprNode| matches!(node, ExprNode::Op(spdx::expression::Operator::Or));
            parsed.iter().any(is_choice)
                || parsed.requirements().any(|one| one.req.addition.is_some())
        })
    };
    let finer: Vec<&str> = tags.iter().filter(is_finer).map(String::as_str).collect();
    (!finer.is_empty()).then(|| finer.join("\n"))
}

/// Whether all that was found in the words below [`finer_tags`] is licenses that these name, with no more choice of versions. Never of nothing.
pub(super) fn are_explained(tags: &str, found: &[Match]) -> bool {
    let named: Vec<(String, bool)> = tags
        .lines()
        .filter_map(|tag| Expression::parse_mode(tag, MODE).ok())
        .flat_map(|tag| licenses_of(&tag))
        .collect();
    let is_named = |one: &Match| {
        let parsed = Expression::parse_mode(&one.expression, MODE);
        parsed.is_ok_and(|parsed| {
            licenses_of(&parsed).iter().all(|(license, later)| {
                let mut same = named.iter().filter(|(name, _)| name == license);
                same.any(|(_, named_later)| later == named_later || !later)
            })
        })
    };
    !found.is_empty() && found.iter().all(is_named)
}

/// The licenses of an expression without their exceptions: what each is called without a choice of versions, and whether later ones may be chosen.
fn licenses_of(expression: &Expression) -> Vec<(String, bool)> {
    let names = expression.requirements().map(|one| match &one.req.license {
        LicenseItem::Spdx { id, or_later } => {
            let name = id.name;
            if let Some(base) = name.strip_suffix("-or-later").or(name.strip_suffix('+')) {
                (base.to_owned(), true)
            } else {
                let base = name.strip_suffix("-only").unwrap_or(name);
                (base.to_owned(), *or_later)
            }
        }
        LicenseItem::Other(other) => (other.to_string(), false),
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use store::facts::{Class, Matcher};

    use super::*;

    fn explained(tag: &str, licenses: &[&str]) -> bool {
        let found = licenses.iter().map(|license| Match {
            expression: (*license).to_owned(),
            matcher: Matcher::Header,
            class: Class::Exact,
        });
        let found: Vec<Match> = found.collect();
        finer_tags(&[tag.to_owned()]).is_some_and(|tags| are_explained(&tags, &found))
    }

    #[test]
    fn a_tag_with_an_exception_or_a_choice_explains_the_words_of_its_licenses() {
        for (tag, licenses) in [
            ("GPL-2.0 WITH Linux-syscall-note", &["GPL-2.0-only"][..]),
            ("GPL-2.0-only WITH Linux-syscall-note", &["GPL-2.0"]),
            ("GPL-2.0+ WITH Linux-syscall-note", &["GPL-2.0-or-later"]),
            (
                "LGPL-2.1-or-later WITH Linux-syscall-note",
                &["LGPL-2.1-or-later"],
            ),
            (
                "((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB)",
                &["GPL-2.0-only", "Linux-OpenIB"],
            ),
            ("MIT OR Apache-2.0", &["Apache-2.0"]),
        ] {
            assert!(explained(tag, licenses), "{tag}: {licenses:?}");
        }
        for (tag, licenses) in [
            (
                "GPL-2.0-only WITH Linux-syscall-note",
                &["GPL-2.0-or-later"][..],
            ),
            ("GPL-2.0-only WITH Linux-syscall-note", &["GPL-3.0-only"]),
            ("MIT OR Apache-2.0", &["Apache-2.0", "ISC"]),
            ("MIT OR Apache-2.0", &[]),
            ("GPL-2.0-only", &["GPL-2.0-only"]),
            ("MIT AND Apache-2.0", &["MIT"]),
        ] {
            assert!(!explained(tag, licenses), "{tag}: {licenses:?}");
        }
    }
}
