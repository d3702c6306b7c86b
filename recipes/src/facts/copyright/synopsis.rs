//! The first line of a license field: names joined by `and` and `or`.
//!
//! DEP-5, "Short name": `and` binds closer than `or`, and a comma less close than both, so that `A or B, and C` demands C whichever of the others is taken.

use super::short_names::license;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

/// Translates `GPL-2+ or Artistic, and Expat`. `text_of` finds the text that the file has for a name.
pub(super) fn expression<'a>(
    synopsis: &str,
    text_of: &dyn Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    let mut groups = Vec::new();
    for part in synopsis.split(',').map(str::trim) {
        if part.is_empty() {
            continue;
        }
        let (leading, names) = names(part);
        groups.push((leading, joined(&names, text_of)?));
    }
    // `A, B, or C` has its operator once, before the last.
    let mut operator = Operator::And;
    for (leading, _) in groups.iter_mut().rev() {
        operator = leading.unwrap_or(operator);
        *leading = Some(operator);
    }
    Some(of_sum(&groups))
}

/// The operator that a part begins with, and its names with the operator before each.
fn names(part: &str) -> (Option<Operator>, Vec<(Option<Operator>, String)>) {
    let mut leading = None;
    let mut names: Vec<(Option<Operator>, String)> = Vec::new();
    let mut name: Vec<&str> = Vec::new();
    let mut before = None;
    for word in part.split_whitespace() {
        let operator = match word.to_ascii_lowercase().as_str() {
            "or" | "and/or" => Operator::Or,
            "and" => Operator::And,
            _ => {
                name.push(word);
                continue;
            }
        };
        if name.is_empty() && names.is_empty() {
            leading = Some(operator);
        } else {
            names.push((before, std::mem::take(&mut name).join(" ")));
            before = Some(operator);
        }
    }
    names.push((before, name.join(" ")));
    (leading, names)
}

fn joined<'a>(
    names: &[(Option<Operator>, String)],
    text_of: &dyn Fn(&str) -> Option<&'a str>,
) -> Option<String> {
    let terms = names.iter().map(|(operator, name)| {
        let known = (!name.is_empty()).then(|| license(name, text_of(name)))?;
        Some((*operator, known))
    });
    Some(of_sum(&terms.collect::<Option<Vec<_>>>()?))
}

/// Alternatives, each of which may demand several.
fn of_sum(terms: &[(Option<Operator>, String)]) -> String {
    let mut alternatives: Vec<Vec<String>> = Vec::new();
    for (operator, term) in terms {
        match (operator, alternatives.last_mut()) {
            (Some(Operator::And), Some(last)) => last.push(term.clone()),
            _ => alternatives.push(vec![term.clone()]),
        }
    }
    let is_alone = alternatives.len() == 1;
    let products = alternatives.iter().map(|terms| match terms.as_slice() {
        [one] => one.clone(),
        terms => {
            let terms: Vec<String> = terms.iter().map(|term| bracketed(term, " OR ")).collect();
            let product = terms.join(" AND ");
            if is_alone {
                product
            } else {
                format!("({product})")
            }
        }
    });
    products.collect::<Vec<String>>().join(" OR ")
}

fn bracketed(term: &str, operator: &str) -> String {
    if term.contains(operator) {
        format!("({term})")
    } else {
        term.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_bind_less_than_and_and_that_more_than_or() {
        for (synopsis, expected) in [
            ("Expat", "MIT"),
            ("Expat or ISC and Zlib", "MIT OR (ISC AND Zlib)"),
            ("Expat or ISC, and Zlib", "(MIT OR ISC) AND Zlib"),
            ("Expat, ISC, or Zlib", "MIT OR ISC OR Zlib"),
            ("Expat, ISC and Zlib", "MIT AND ISC AND Zlib"),
            ("Expat and/or ISC", "MIT OR ISC"),
            (
                "REGCOMP, and GPL-1+ or Artistic",
                "LicenseRef-Debian-REGCOMP AND (GPL-1.0-or-later OR Artistic-1.0-Perl)",
            ),
            (
                "GPL-2+ with Libtool exception and GPL-3+",
                "GPL-2.0-or-later WITH Libtool-exception AND GPL-3.0-or-later",
            ),
        ] {
            let found = expression(synopsis, &|_| None);
            assert_eq!(found.as_deref(), Some(expected), "{synopsis}");
        }
    }

    #[test]
    fn operators_without_names_say_nothing() {
        for synopsis in ["Expat or", "and", "Expat or and ISC"] {
            assert_eq!(expression(synopsis, &|_| None), None, "{synopsis}");
        }
    }
}
