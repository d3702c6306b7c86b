//! Choosing among alternatives: an `OR` stays in the expression, and what was taken is said.

use serde::Serialize;

use super::{Expression, Term};

/// What of an expression is complied with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// All of these licenses.
    pub terms: Vec<Term>,
    /// The choices that were made.
    pub choices: Vec<Choice>,
}

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The alternatives.
    pub of: String,
    /// What was taken.
    pub taken: String,
}

/// Chooses what of `expression` is complied with: of alternatives the one whose worst license has the lowest rank, then the one with fewer licenses,
/// then the first.
#[must_use]
pub fn choose(expression: &Expression, rank: &dyn Fn(&Term) -> u64) -> Chosen {
    match expression {
        Expression::Term(term) => Chosen {
            terms: vec![term.clone()],
            choices: Vec::new(),
        },
        Expression::All(parts) => {
            let mut all = Chosen {
                terms: Vec::new(),
                choices: Vec::new(),
            };
            for part in parts {
                let chosen = choose(part, rank);
                for term in chosen.terms {
                    if !all.terms.contains(&term) {
                        all.terms.push(term);
                    }
                }
                all.choices.extend(chosen.choices);
            }
            all
        }
        Expression::Any(parts) => {
            let chosen = parts.iter().map(|part| (part, choose(part, rank)));
            let key = |chosen: &Chosen| (chosen.terms.iter().map(rank).max(), chosen.terms.len());
            // Of equals, `min_by_key` takes the first.
            let best = chosen.min_by_key(|(_, chosen)| key(chosen));
            let Some((part, mut chosen)) = best else {
                return Chosen {
                    terms: Vec::new(),
                    choices: Vec::new(),
                };
            };
            chosen.choices.insert(
                0,
                Choice {
                    of: expression.to_string(),
                    taken: part.to_string(),
                },
            );
            chosen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks by the place in a list; what is not there is worst.
    fn chosen(text: &str, preferred: &[&str]) -> (String, usize) {
        let rank = |term: &Term| {
            preferred
                .iter()
                .position(|name| *name == term.as_str())
                .map_or(99, |at| at as u64)
        };
        let chosen = choose(&Expression::parse(text).unwrap(), &rank);
        let terms: Vec<&str> = chosen.terms.iter().map(Term::as_str).collect();
        (terms.join(" "), chosen.choices.len())
    }

    #[test]
    fn the_preferred_alternative_is_taken_and_recorded() {
        for (text, preferred, taken, choices) in [
            (
                "MIT OR Apache-2.0",
                vec!["Apache-2.0", "MIT"],
                "Apache-2.0",
                1,
            ),
            ("MIT OR Apache-2.0", vec![], "MIT", 1),
            ("MIT AND ISC", vec!["ISC"], "MIT ISC", 0),
            (
                "(MIT OR GPL-2.0-only) AND (ISC OR Zlib)",
                vec!["GPL-2.0-only", "Zlib"],
                "GPL-2.0-only Zlib",
                2,
            ),
            // Both are as bad, so the one with less to comply with.
            (
                "(GPL-2.0-only AND MIT) OR SSPL-1.0",
                vec!["MIT"],
                "SSPL-1.0",
                1,
            ),
            (
                "(MIT AND ISC) OR GPL-2.0-only",
                vec!["ISC", "MIT"],
                "MIT ISC",
                1,
            ),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0 OR GPL-2.0-only",
                vec!["GPL-2.0-only WITH Classpath-exception-2.0"],
                "GPL-2.0-only WITH Classpath-exception-2.0",
                1,
            ),
        ] {
            assert_eq!(
                chosen(text, &preferred),
                (taken.to_owned(), choices),
                "{text}"
            );
        }
    }
}
