//! Whether a declared expression says what was found.

use super::{Expression, Term};

/// What was found, for how much it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// A license's text alone: that of a GNU license does not say whether later versions may be used.
    Text,
    /// A statement that a file is under a license.
    Header,
}

/// Returns whether `declared` covers `found`: whether each license that was found stands in it, or is met by one that does.
///
/// What a generator such as Bison puts into sources is under their license. Met is what its own terms allow: `GPL-2.0-or-later` by any later GPL, the LGPL by the GPL of its age, an exception by the license without it.
/// What is permissive is not met by copyleft: its notice has to be passed on all the same.
#[must_use]
pub fn covers(declared: &Expression, found: &Expression, statement: Statement) -> bool {
    match found {
        Expression::Term(term) => declared
            .terms()
            .iter()
            .any(|declared| meets(declared, term, statement)),
        Expression::All(parts) => parts.iter().all(|part| covers(declared, part, statement)),
        Expression::Any(parts) => parts.iter().any(|part| covers(declared, part, statement)),
    }
}

fn meets(declared: &Term, found: &Term, statement: Statement) -> bool {
    if declared == found || found.exception().is_some_and(is_for_generated) {
        return true;
    }
    // Who declares an exception of a file that has none gives more than was given.
    if declared.exception().is_some()
        && declared.exception() != found.exception()
        && statement == Statement::Header
    {
        return false;
    }
    if declared.license() == found.license() {
        return true;
    }
    match (Gnu::of(declared), Gnu::of(found)) {
        (Some(declared), Some(found)) => declared.meets(found, statement),
        // `EPL-2.0+` allows `EPL-2.0`; and a text is that of both.
        (None, None) => {
            declared.id().is_some()
                && declared.id() == found.id()
                && (statement == Statement::Text || found.license().ends_with('+'))
        }
        _ => false,
    }
}

/// Whether an exception is for what a generator puts into the sources of others, which may be under any license then.
fn is_for_generated(exception: &str) -> bool {
    let generators = [
        "Autoconf-exception",
        "Bison-exception",
        "Libtool-exception",
        "Texinfo-exception",
    ];
    generators
        .iter()
        .any(|generator| exception.starts_with(generator))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Lesser,
    General,
    Affero,
}

#[derive(Clone, Copy)]
struct Gnu {
    family: Family,
    /// Tenths: 21 for 2.1.
    version: u8,
    later: bool,
}

impl Gnu {
    fn of(term: &Term) -> Option<Self> {
        let id = term.id()?;
        let (name, later) = match id.strip_suffix("-or-later") {
            Some(name) => (name, true),
            None => (id.strip_suffix("-only")?, false),
        };
        let (family, version) = name.split_once('-')?;
        let family = match family {
            "LGPL" => Family::Lesser,
            "GPL" => Family::General,
            "AGPL" => Family::Affero,
            _ => return None,
        };
        let (whole, tenth) = version.split_once('.')?;
        let version = whole
            .parse::<u8>()
            .ok()?
            .checked_mul(10)?
            .checked_add(tenth.parse().ok()?)?;
        Some(Self {
            family,
            version,
            later,
        })
    }

    fn meets(self, found: Self, statement: Statement) -> bool {
        if statement == Statement::Text {
            // The LGPL 3 is written as an addition to the GPL 3, whose text lies beside it.
            let beside = self.family == Family::Lesser && found.family == Family::General;
            return self.version == found.version
                && (self.family == found.family || (beside && found.version == 30));
        }
        if self.family == found.family {
            return if found.later {
                found.version <= self.version
            } else {
                !self.later && found.version == self.version
            };
        }
        match (found.family, self.family) {
            // LGPL 2.1, section 3: any copy may be put under the GPL 2 or later.
            (Family::Lesser, Family::General) if found.version < 30 => self.version >= 20,
            (Family::Lesser, Family::General | Family::Affero)
            | (Family::General, Family::Affero) => {
                self.version >= 30 && (found.later || found.version >= 30)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(declared: &str, found: &str, statement: Statement) -> bool {
        covers(
            &Expression::parse(declared).unwrap(),
            &Expression::parse(found).unwrap(),
            statement,
        )
    }

    #[test]
    fn a_statement_is_covered_by_what_its_own_terms_allow() {
        for (declared, found) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "Apache-2.0"),
            ("MIT", "MIT OR GPL-2.0-only"),
            ("MIT AND ISC", "ISC AND MIT"),
            ("GPL-3.0-or-later", "GPL-2.0-or-later"),
            ("GPL-3.0-only", "GPL-2.0-or-later"),
            (
                "GPL-3.0-or-later",
                "GPL-2.0-or-later WITH Autoconf-exception-2.0",
            ),
            ("GPL-2.0-only", "LGPL-2.1-or-later"),
            ("GPL-3.0-or-later", "LGPL-2.1-only"),
            ("GPL-3.0-or-later", "LGPL-3.0-or-later"),
            ("AGPL-3.0-only", "GPL-3.0-or-later"),
            ("LGPL-2.1-or-later", "LGPL-2.0-or-later"),
            ("EPL-2.0", "EPL-2.0+"),
            ("MIT", "GPL-3.0-or-later WITH Bison-exception-2.2"),
        ] {
            assert!(
                says(declared, found, Statement::Header),
                "{declared} {found}"
            );
        }
    }

    #[test]
    fn a_statement_is_not_covered_by_what_allows_more_or_something_else() {
        for (declared, found) in [
            ("MIT", "ISC"),
            ("MIT", "MIT AND ISC"),
            ("GPL-2.0-or-later", "GPL-2.0-only"),
            ("GPL-2.0-only", "GPL-3.0-or-later"),
            ("LGPL-2.1-or-later", "GPL-2.0-or-later"),
            ("GPL-2.0-only", "LGPL-3.0-or-later"),
            ("GPL-3.0-or-later", "MIT"),
            (
                "GPL-3.0-or-later WITH GCC-exception-3.1",
                "GPL-3.0-or-later",
            ),
            ("EPL-2.0+", "EPL-2.0"),
            ("LicenseRef-a", "LicenseRef-b"),
        ] {
            assert!(
                !says(declared, found, Statement::Header),
                "{declared} {found}"
            );
        }
    }

    #[test]
    fn a_text_alone_says_only_which_family_it_is() {
        assert!(says("GPL-3.0-or-later", "GPL-3.0-only", Statement::Text));
        assert!(says("GPL-3.0-only", "GPL-3.0-or-later", Statement::Text));
        assert!(says("LGPL-3.0-or-later", "GPL-3.0-only", Statement::Text));
        assert!(says(
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            "GPL-3.0-only",
            Statement::Text
        ));
        assert!(!says("LGPL-2.1-or-later", "GPL-2.0-only", Statement::Text));
        assert!(!says("GPL-3.0-or-later", "GPL-2.0-only", Statement::Text));
    }
}
