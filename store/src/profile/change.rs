//! Differences between two generations. Pure.

use super::{InstalledPackage, Manifest};

/// One package that two manifests do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name in the profile.
    pub name: String,
    /// What the older manifest has; absent for a package that was added.
    pub before: Option<InstalledPackage>,
    /// What the newer one has; absent for a package that was removed.
    pub after: Option<InstalledPackage>,
}

impl Change {
    /// Returns what differs, by name.
    #[must_use]
    pub fn between(before: &Manifest, after: &Manifest) -> Vec<Self> {
        let mut names: Vec<&String> = before
            .packages
            .keys()
            .chain(after.packages.keys())
            .collect();
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|name| before.packages.get(*name) != after.packages.get(*name))
            .map(|name| Self {
                name: name.clone(),
                before: before.packages.get(name).cloned(),
                after: after.packages.get(name).cloned(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Origin;

    fn manifest(packages: &[(&str, char)]) -> Manifest {
        let package = |digit: char| InstalledPackage {
            target: "x".into(),
            origin: Origin::Path,
            collection: None,
            output: None,
            version: Some(digit.to_string()),
            priority: 5,
            path: format!("{}-x", digit.to_string().repeat(40))
                .parse()
                .unwrap(),
        };
        Manifest {
            packages: packages
                .iter()
                .map(|(name, digit)| ((*name).to_owned(), package(*digit)))
                .collect(),
        }
    }

    #[test]
    fn what_was_added_removed_and_changed_is_told_by_name() {
        let (old, new) = (
            manifest(&[("a", '1'), ("b", '1'), ("d", '1')]),
            manifest(&[("b", '2'), ("c", '1'), ("d", '1')]),
        );
        let version =
            |package: Option<InstalledPackage>| package.and_then(|package| package.version);
        let changes: Vec<_> = Change::between(&old, &new)
            .into_iter()
            .map(|change| (change.name, version(change.before), version(change.after)))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            changes,
            [
                ("a".to_owned(), some("1"), None),
                ("b".to_owned(), some("1"), some("2")),
                ("c".to_owned(), None, some("1")),
            ]
        );
        assert_eq!(Change::between(&new, &new), []);
    }
}
