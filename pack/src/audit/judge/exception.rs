//! What a person may paste into the policy so that it lets a license be in one place.

use crate::audit::{
    inventory::{Relation, Unit},
    license::Term,
};

/// Returns an `[[exception]]` for the use of a component under a license; of one that was asked for itself without a relation. Why and until when is up to a person.
pub(super) fn exception(unit: &Unit, term: &Term, relation: Option<Relation>) -> String {
    let relation = relation.map(|relation| format!("relation = \"{relation}\"\n"));
    format!(
        "[[exception]]\ncomponent = {}\nlicense = \"{term}\"\n{}reason = \"…\"\nowner = \"…\"\nuntil = …",
        quoted(&unit.name),
        relation.unwrap_or_default()
    )
}

/// A basic string of TOML, whatever others call their software.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{license::Expression, policy::Policy};

    #[test]
    fn what_is_to_be_pasted_is_an_exception_once_a_person_has_said_the_rest() {
        let license = Expression::parse("GPL-2.0-only WITH Classpath-exception-2.0");
        let license = license.expect("a license");
        let term = license.terms()[0];
        let unit = Unit {
            name: "@types/no\"de".to_owned(),
            ..Unit::default()
        };
        for relation in [None, Some(Relation::Dlopen)] {
            let said = exception(&unit, term, relation).replace("until = …", "until = 2027-01-01");
            let policy = Policy::parse("p.toml", &format!("[licenses]\n{said}\n"));
            let policy = policy.expect("it can be read");
            let [one] = policy.exceptions.as_slice() else {
                panic!("one exception: {said}");
            };
            assert_eq!(one.relation, relation.into_iter().collect::<Vec<_>>());
            assert!(one.component.fits(&unit), "{said}");
        }
    }
}
