//! What an expression asks for: all of what is joined by `AND`, and of what is joined by `OR` what no choice spares.

use std::collections::BTreeSet;

use spdx::{
    Expression, ParseMode,
    expression::{ExprNode, Operator},
};

use super::{Duty, table};

/// What an expression asks for.
pub type Duties = BTreeSet<Duty>;

/// Returns what a license expression asks for. One that cannot be read asks for its text, for all that is known.
#[must_use]
pub fn duties_of(expression: &str) -> Duties {
    let Ok(expression) = Expression::parse_mode(expression, ParseMode::STRICT) else {
        return Duties::from([Duty::Text]);
    };
    let mut stack: Vec<Duties> = Vec::new();
    for node in expression.iter() {
        let duties = match node {
            ExprNode::Req(required) => {
                let text = required.req.to_string();
                let license = text.split(" WITH ").next().unwrap_or_default();
                table::duties(license).iter().copied().collect()
            }
            ExprNode::Op(operator) => {
                let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else {
                    continue;
                };
                match operator {
                    Operator::And => &left | &right,
                    Operator::Or => &left & &right,
                }
            }
        };
        stack.push(duties);
    }
    stack.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expression_asks_for_what_its_licenses_do() {
        use Duty::{Changes, Installation, NetworkSource, NoticeFile, Offer, Relink, Source, Text};
        let cases: [(&str, &[Duty]); 12] = [
            ("MIT", &[Text]),
            ("Zlib", &[]),
            ("LicenseRef-odd", &[Text]),
            ("no expression at all", &[Text]),
            ("Apache-2.0", &[Text, NoticeFile, Changes]),
            ("MPL-2.0", &[Text, Source]),
            ("GPL-2.0-only", &[Text, Changes, Source, Offer]),
            (
                "GPL-3.0-or-later",
                &[Text, Changes, Source, Offer, Installation],
            ),
            ("LGPL-2.1-or-later", &[Text, Changes, Source, Offer, Relink]),
            (
                "AGPL-3.0-only",
                &[Text, Changes, Source, Offer, NetworkSource, Installation],
            ),
            (
                "GPL-3.0-or-later WITH GCC-exception-3.1",
                &[Text, Changes, Source, Offer, Installation],
            ),
            ("MIT OR Zlib", &[]),
        ];
        for (expression, expected) in cases {
            let expected: Duties = expected.iter().copied().collect();
            assert_eq!(duties_of(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_choice_spares_what_one_side_does_not_ask_for_and_a_sum_does_not() {
        assert!(!duties_of("MIT OR GPL-2.0-only").contains(&Duty::Source));
        assert!(duties_of("MIT AND GPL-2.0-only").contains(&Duty::Source));
        assert!(duties_of("(MIT OR Zlib) AND LGPL-2.1-only").contains(&Duty::Relink));
    }
}
