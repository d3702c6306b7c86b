//! What packages say of each other: `libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0`.
//!
//! Format: deb-control(5), "Depends", and Debian Policy 7.1. Parsing accepts what indexes hold; restrictions to
//! architectures (`[amd64]`) and build profiles (`<!nocheck>`), which only sources have, make a relation an error.

use std::fmt;

use store::DebVersion;

/// How a version must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

/// One package that is named, with what is demanded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// `any` in `python3:any`, or an architecture.
    pub(crate) qualifier: Option<String>,
    pub(crate) version: Option<(Comparison, DebVersion)>,
}

/// Packages of which one suffices, in the order of preference.
pub(crate) type Alternatives = Vec<Relation>;

impl Comparison {
    fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }

    fn holds(self, found: &DebVersion, wanted: &DebVersion) -> bool {
        match self {
            Self::Earlier => found < wanted,
            Self::EarlierOrEqual => found <= wanted,
            Self::Equal => found == wanted,
            Self::LaterOrEqual => found >= wanted,
            Self::Later => found > wanted,
        }
    }
}

impl Relation {
    /// A relation to any version of a package.
    pub(crate) fn to(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            qualifier: None,
            version: None,
        }
    }

    /// Returns whether a version is one that is demanded.
    pub(crate) fn accepts(&self, found: &DebVersion) -> bool {
        self.version
            .as_ref()
            .is_none_or(|(comparison, wanted)| comparison.holds(found, wanted))
    }

    /// Returns whether something that is provided, in a version or in none, is what is demanded: a provided name without
    /// a version satisfies no relation with one.
    pub(crate) fn accepts_provided(&self, found: Option<&DebVersion>) -> bool {
        match (&self.version, found) {
            (None, _) => true,
            (Some(_), Some(found)) => self.accepts(found),
            (Some(_), None) => false,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((comparison, version)) = &self.version {
            write!(f, " ({} {version})", comparison.as_str())?;
        }
        Ok(())
    }
}

/// Prints alternatives as they are written.
pub(crate) fn to_text(alternatives: &[Relation]) -> String {
    let texts: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
    texts.join(" | ")
}

/// Reads a whole field. Returns the part that is no relation as the error.
pub(crate) fn parse(field: &str) -> Result<Vec<Alternatives>, String> {
    field
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(|group| group.split('|').map(parse_one).collect())
        .collect()
}

fn parse_one(text: &str) -> Result<Relation, String> {
    let text = text.trim();
    let bad = || text.to_owned();
    let (name, constraint) = match text.split_once('(') {
        Some((name, rest)) => {
            let inner = rest.trim_end().strip_suffix(')').ok_or_else(bad)?;
            (name.trim(), Some(inner.trim()))
        }
        None => (text, None),
    };
    let (name, qualifier) = match name.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (name, None),
    };
    if !is_name(name) || qualifier.is_some_and(|qualifier| !is_name(qualifier)) {
        return Err(bad());
    }
    let version = constraint
        .map(|constraint| {
            let operator = constraint
                .find(|c: char| !"<=>".contains(c))
                .unwrap_or(constraint.len());
            let (operator, version) = constraint.split_at(operator);
            let comparison = match operator {
                "<<" => Comparison::Earlier,
                // The old spellings `<` and `>` mean what dpkg reads them as.
                "<=" | "<" => Comparison::EarlierOrEqual,
                "=" => Comparison::Equal,
                ">=" | ">" => Comparison::LaterOrEqual,
                ">>" => Comparison::Later,
                _ => return Err(bad()),
            };
            Ok((comparison, version.trim().parse().map_err(|_| bad())?))
        })
        .transpose()?;
    Ok(Relation {
        name: name.to_owned(),
        qualifier: qualifier.map(str::to_owned),
        version,
    })
}

/// Returns whether a text can name a package (Debian Policy 5.6.1).
pub fn is_name(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_printed_again() {
        let text = "libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, python3:any, a (<< 1:2~), b (= 1), c (>> 2)";
        let parsed = parse(text).unwrap();
        let printed: Vec<String> = parsed.iter().map(|group| to_text(group)).collect();
        assert_eq!(printed.join(", "), text);
        assert_eq!(parsed[1].len(), 2);
    }

    #[test]
    fn what_is_no_relation_is_named() {
        for bad in [
            "a (>= )",
            "a (1)",
            "a (>= 1",
            "a [amd64]",
            "a <!nocheck>",
            "a b",
            "(>= 1)",
            "a:",
            "a (=> 1)",
        ] {
            assert_eq!(parse(&format!("ok, {bad}")).unwrap_err(), bad);
        }
        assert_eq!(parse(" , \n").unwrap(), Vec::<Alternatives>::new());
    }

    #[test]
    fn a_provided_name_without_a_version_satisfies_no_demand_for_one() {
        let relation = &parse("mail (>= 1)").unwrap()[0][0];
        assert!(!relation.accepts_provided(None));
        assert!(relation.accepts_provided(Some(&"2".parse().unwrap())));
        assert!(Relation::to("mail").accepts_provided(None));
    }
}
