//! Which licenses are alike in what they ask for.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

use serde::{Serialize, Serializer};

use super::Term;

/// What a license asks for, roughly. Ordered by how much.
///
/// The table is `categories.txt`; it names its source. SPDX's own list has no categories, and the flag that the crate `spdx` has for copyleft is not used: it
/// lacks EPL-2.0, SSPL-1.0 and Sleepycat, and has CC-BY-NC-SA and MS-PL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Nothing.
    PublicDomain,
    /// Its notice.
    Permissive,
    /// The source of the component itself: LGPL, MPL, EPL; also the GPL with an exception for what is linked with it.
    WeakCopyleft,
    /// The source of the whole work: GPL.
    Copyleft,
    /// The same, also from who only lets others use it over a network: AGPL.
    NetworkCopyleft,
    /// Use for some purposes only.
    Restricted,
    /// The source can be read, and may not be sold or offered as a service.
    SourceAvailable,
    /// Free of charge, without source.
    ProprietaryFree,
}

/// The text names no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no category `{0}` of licenses")]
pub struct UnknownCategory(pub String);

/// Exceptions that let the work be joined with one named library only, so that the license stays what it is.
const NARROW: [&str; 14] = [
    "Asterisk-exception",
    "Asterisk-linking-protocols-exception",
    "Bootloader-exception",
    "GPL-CC-1.0",
    "GPL-3.0-389-ds-base-exception",
    "cryptsetup-OpenSSL-exception",
    "kvirc-openssl-exception",
    "libpri-OpenH323-exception",
    "openvpn-openssl-exception",
    "rsync-linking-exception",
    "sqlitestudio-OpenSSL-exception",
    "stunnel-exception",
    "vsftpd-openssl-exception",
    "x11vnc-openssl-exception",
];

static TABLE: LazyLock<BTreeMap<&'static str, Category>> = LazyLock::new(|| {
    let mut table = BTreeMap::new();
    let mut category = None;
    let lines = include_str!("categories.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        match line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            Some(name) => category = name.parse().ok(),
            None => table.extend(
                line.split_whitespace()
                    .zip(std::iter::repeat(category))
                    .filter_map(|(id, of)| Some((id, of?))),
            ),
        }
    }
    table
});

impl Category {
    /// Every category, from what asks for the least.
    pub const ALL: [Self; 8] = [
        Self::PublicDomain,
        Self::Permissive,
        Self::WeakCopyleft,
        Self::Copyleft,
        Self::NetworkCopyleft,
        Self::Restricted,
        Self::SourceAvailable,
        Self::ProprietaryFree,
    ];

    /// Returns the category of a license; none where nobody has said.
    ///
    /// An exception that lets other works be linked with it makes copyleft weak.
    #[must_use]
    pub fn of(term: &Term) -> Option<Self> {
        let category = *TABLE.get(term.id()?)?;
        let weakens = term
            .exception()
            .is_some_and(|exception| !NARROW.contains(&exception));
        match category {
            Self::Copyleft | Self::NetworkCopyleft if weakens => Some(Self::WeakCopyleft),
            category => Some(category),
        }
    }

    /// Returns its name as policies have it, for instance `weak-copyleft`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublicDomain => "public-domain",
            Self::Permissive => "permissive",
            Self::WeakCopyleft => "weak-copyleft",
            Self::Copyleft => "copyleft",
            Self::NetworkCopyleft => "network-copyleft",
            Self::Restricted => "restricted",
            Self::SourceAvailable => "source-available",
            Self::ProprietaryFree => "proprietary-free",
        }
    }
}

impl FromStr for Category {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        let found = Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text);
        found.ok_or_else(|| UnknownCategory(text.to_owned()))
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Category {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::license::Expression;

    fn of(text: &str) -> Option<Category> {
        match Expression::parse(text) {
            Ok(Expression::Term(term)) => Category::of(&term),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_name_of_the_table_is_of_spdx_and_stands_once() {
        let text = include_str!("categories.txt");
        let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
        let names: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        assert_eq!(names.len(), TABLE.len(), "a name stands twice");
        for name in names {
            assert!(spdx::license_id(name).is_some(), "{name}");
        }
        let headings = text.lines().filter(|line| line.starts_with('['));
        assert_eq!(headings.count(), Category::ALL.len());
    }

    #[test]
    fn licenses_are_where_a_lawyer_would_look_for_them() {
        for (license, category) in [
            ("MIT", Category::Permissive),
            ("0BSD", Category::Permissive),
            ("curl", Category::Permissive),
            ("CC0-1.0", Category::PublicDomain),
            ("blessing", Category::PublicDomain),
            ("MPL-2.0", Category::WeakCopyleft),
            ("EPL-2.0", Category::WeakCopyleft),
            ("LGPL-2.1-or-later", Category::WeakCopyleft),
            ("GPL-2.0-only", Category::Copyleft),
            ("Sleepycat", Category::Copyleft),
            ("AGPL-3.0-only", Category::NetworkCopyleft),
            ("SSPL-1.0", Category::SourceAvailable),
            ("BUSL-1.1", Category::SourceAvailable),
            ("CC-BY-NC-SA-4.0", Category::SourceAvailable),
            ("GFDL-1.3-invariants-only", Category::Restricted),
        ] {
            assert_eq!(of(license), Some(category), "{license}");
        }
        assert_eq!(of("LicenseRef-ours"), None);
    }

    #[test]
    fn an_exception_for_linking_makes_copyleft_weak_and_one_for_openssl_does_not() {
        assert_eq!(
            of("GPL-3.0-or-later WITH GCC-exception-3.1"),
            Some(Category::WeakCopyleft)
        );
        assert_eq!(
            of("GPL-2.0-only WITH Classpath-exception-2.0"),
            Some(Category::WeakCopyleft)
        );
        assert_eq!(
            of("GPL-2.0-or-later WITH x11vnc-openssl-exception"),
            Some(Category::Copyleft)
        );
        assert_eq!(
            of("Apache-2.0 WITH LLVM-exception"),
            Some(Category::Permissive)
        );
    }
}
