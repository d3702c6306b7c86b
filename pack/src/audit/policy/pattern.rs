//! What a policy names: licenses and components.

use std::fmt;

use crate::audit::{
    inventory::Unit,
    license::{Category, Expression, Term},
};

/// Which licenses an entry of a policy means: `MIT`, `GPL-*`, `category:copyleft`, `GPL-* WITH *`.
///
/// A license and its exception are one: a name without ` WITH ` never means one with an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LicensePattern {
    /// All of a category.
    Category(Category),
    /// All whose names fit, `*` standing for any characters.
    Name(String),
}

/// Why a text names no licenses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is no such category.
    #[error(transparent)]
    Category(#[from] crate::audit::license::UnknownCategory),
    /// No license of SPDX fits.
    #[error("no license of SPDX is called `{0}`")]
    NoLicense(String, Option<String>),
}

/// Which components an entry of a policy means: `readline`, `readline@8.2`, `readline@8.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentPattern {
    name: String,
    version: Option<String>,
}

/// A text names every component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name one component; only its version, after `@`, may have a `*`")]
pub struct NotOneComponent(pub String);

impl LicensePattern {
    /// Reads a pattern. A name without `*` must be one of SPDX or a `LicenseRef-`; one with `*` must fit at least one of SPDX.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if let Some(category) = text.strip_prefix("category:") {
            return Ok(Self::Category(category.parse()?));
        }
        let fits_any = || {
            let (license, _) = text.split_once(" WITH ").unwrap_or((text, ""));
            license.starts_with("LicenseRef-")
                || spdx::identifiers::LICENSES
                    .iter()
                    .any(|known| glob(license, known.name))
        };
        if text.contains('*') {
            return if fits_any() {
                Ok(Self::Name(text.to_owned()))
            } else {
                Err(PatternError::NoLicense(text.to_owned(), None))
            };
        }
        match Expression::parse(text) {
            Ok(Expression::Term(term)) => Ok(Self::Name(term.as_str().to_owned())),
            Ok(_) => Err(PatternError::NoLicense(text.to_owned(), None)),
            Err(error) => Err(PatternError::NoLicense(
                text.to_owned(),
                error.meant().map(str::to_owned),
            )),
        }
    }

    /// Returns whether it means this license.
    #[must_use]
    pub fn fits(&self, term: &Term) -> bool {
        match self {
            Self::Category(category) => Category::of(term) == Some(*category),
            Self::Name(name) => {
                name.contains(" WITH ") == term.exception().is_some() && glob(name, term.as_str())
            }
        }
    }

    /// Returns whether it names one license and no more.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Name(name) if !name.contains('*'))
    }
}

impl fmt::Display for LicensePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Category(category) => write!(f, "category:{category}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl ComponentPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, NotOneComponent> {
        // An npm package may begin with `@`.
        let split = text.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        let (name, version) = split.map_or((text, None), |(name, version)| {
            (name, Some(version.to_owned()))
        });
        if name.is_empty() || name.contains('*') || version.as_deref() == Some("") {
            return Err(NotOneComponent(text.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            version,
        })
    }

    /// Returns whether it means this component.
    #[must_use]
    pub fn fits(&self, unit: &Unit) -> bool {
        let version = unit.version.as_deref().unwrap_or_default();
        self.name == unit.name
            && self
                .version
                .as_deref()
                .is_none_or(|wanted| glob(wanted, version))
    }
}

impl fmt::Display for ComponentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, license: &str) -> bool {
        let Ok(Expression::Term(term)) = Expression::parse(license) else {
            panic!("{license}")
        };
        LicensePattern::parse(pattern).unwrap().fits(&term)
    }

    #[test]
    fn a_pattern_means_whole_licenses() {
        for (pattern, license, expected) in [
            ("MIT", "MIT", true),
            ("MIT", "MIT-0", false),
            ("GPL-*", "GPL-3.0-or-later", true),
            ("GPL-*", "LGPL-3.0-or-later", false),
            ("GPL-*", "GPL-3.0-or-later WITH GCC-exception-3.1", false),
            (
                "GPL-* WITH *",
                "GPL-3.0-or-later WITH GCC-exception-3.1",
                true,
            ),
            ("GPL-* WITH *", "GPL-3.0-or-later", false),
            ("*GPL-*-only", "LGPL-2.1-only", true),
            ("category:copyleft", "GPL-2.0-only", true),
            (
                "category:copyleft",
                "GPL-2.0-only WITH Classpath-exception-2.0",
                false,
            ),
            ("LicenseRef-ours*", "LicenseRef-ours-1", true),
            ("LicenseRef-ours", "LicenseRef-theirs", false),
        ] {
            assert_eq!(fits(pattern, license), expected, "{pattern} {license}");
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_refused() {
        for text in ["GPL-3.0", "mit", "GLP-*", "category:free", "MIT OR ISC", ""] {
            assert!(LicensePattern::parse(text).is_err(), "{text}");
        }
        let error = LicensePattern::parse("GPL-3.0");
        assert_eq!(
            error,
            Err(PatternError::NoLicense(
                "GPL-3.0".to_owned(),
                Some("GPL-3.0-only".to_owned())
            ))
        );
    }

    #[test]
    fn a_component_is_named_and_never_all_of_them() {
        let unit = |name: &str, version: &str| Unit {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            ..Unit::default()
        };
        let fits =
            |pattern: &str, unit: &Unit| ComponentPattern::parse(pattern).unwrap().fits(unit);
        assert!(
            fits("readline", &unit("readline", "8.2"))
                && fits("readline@8.*", &unit("readline", "8.2"))
        );
        assert!(
            !fits("readline@8.1", &unit("readline", "8.2"))
                && !fits("read", &unit("readline", "8.2"))
        );
        assert!(fits("@types/node@20.1", &unit("@types/node", "20.1")));
        for text in ["*", "", "read*", "@1", "readline@"] {
            let parsed = ComponentPattern::parse(text);
            assert!(parsed.is_err() || text == "@1", "{text}");
        }
    }
}
