//! Packages of Debian: the file that says what their license is, and which of them share one.

use std::collections::BTreeMap;

use store::facts::Finding;

use super::{Inventory, Unit, UnitText};

const PURL: &str = "pkg:deb/";
/// Where copyright files are, whether the package has other directories at its top or not (Debian Policy 12.5).
const DOCUMENTATION: &str = "share/doc/";
const FILE: &str = "/copyright";

impl Unit {
    /// Returns whether it is a package of Debian.
    #[must_use]
    pub fn is_debian(&self) -> bool {
        self.purl
            .as_deref()
            .is_some_and(|purl| purl.starts_with(PURL))
    }

    /// Returns what its copyright file says, all of which has the same notice; empty for what is no package of Debian.
    pub fn copyright_findings(&self) -> impl Iterator<Item = &Finding> {
        let findings = self.findings.iter().flatten();
        findings.filter(|finding| self.is_debian() && is_copyright(&finding.path))
    }

    /// Returns the source package that it was built from, with its version, as its package URL has them.
    #[must_use]
    pub fn debian_source(&self) -> Option<String> {
        let purl = self.purl.as_deref().filter(|_| self.is_debian())?;
        let (place, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
        let (name, version) = place.rsplit_once('/')?.1.split_once('@')?;
        let mut qualifiers = qualifiers.split('&');
        let upstream = qualifiers.find_map(|one| one.strip_prefix("upstream="));
        let upstream = upstream.unwrap_or(name);
        Some(match upstream.split_once("%40") {
            Some((name, version)) => format!("{name} {version}"),
            None => format!("{upstream} {version}"),
        })
    }
}

/// Returns where a copyright file is on a machine: of a package that has nothing but `usr`, findings are relative to that.
pub(in crate::audit) fn copyright_place(path: &str) -> String {
    match path.strip_prefix(DOCUMENTATION) {
        Some(_) => format!("usr/{path}"),
        None => path.to_owned(),
    }
}

/// Whether a file is the copyright file of a package.
pub(in crate::audit) fn is_copyright(path: &str) -> bool {
    copyright_owner(path).is_some()
}

/// Returns the package of Debian whose copyright file lies at `path`; none where that is another file.
#[must_use]
pub fn copyright_owner(path: &str) -> Option<&str> {
    let place = path.strip_prefix("usr/").unwrap_or(path);
    let package = place.strip_prefix(DOCUMENTATION)?.strip_suffix(FILE)?;
    (!package.is_empty() && !package.contains('/')).then_some(package)
}

impl Inventory {
    /// Adds what the copyright files in an image say, by the package of Debian that each is of: what a bill says of these packages is only what a machine could
    /// read there.
    pub fn add_copyrights(&mut self, files: &BTreeMap<String, (Vec<Finding>, Vec<UnitText>)>) {
        for unit in self.units.iter_mut().filter(|unit| unit.is_debian()) {
            if let Some((findings, texts)) = files.get(&unit.name) {
                unit.findings
                    .get_or_insert_default()
                    .extend_from_slice(findings);
                unit.texts.extend_from_slice(texts);
            }
        }
        let mut units: Vec<&mut Unit> = self.units.iter_mut().collect();
        share_copyrights(&mut units);
    }
}

/// Gives packages without a copyright file what that of another package of the same source says: theirs is a link to it (Debian Policy 12.5), as that of
/// `libgcc-s1` is to that of `gcc-12-base`.
pub(super) fn share_copyrights(units: &mut [&mut Unit]) {
    let mut by_source: BTreeMap<String, (String, Vec<Finding>, Vec<UnitText>)> = BTreeMap::new();
    for unit in units.iter() {
        let findings: Vec<Finding> = unit.copyright_findings().cloned().collect();
        let Some(source) = unit.debian_source().filter(|_| !findings.is_empty()) else {
            continue;
        };
        let texts = unit.texts.iter().filter(|text| is_copyright(&text.path));
        let said = (unit.name.clone(), findings, texts.cloned().collect());
        // Of several the first by name, so that keys, which have digests, do not decide.
        let known = by_source.entry(source).or_insert_with(|| said.clone());
        if said.0 < known.0 {
            *known = said;
        }
    }
    for unit in units {
        if !unit.is_debian() || unit.copyright_findings().next().is_some() {
            continue;
        }
        let source = unit.debian_source();
        if let Some((_, findings, texts)) = source.and_then(|source| by_source.get(&source)) {
            unit.findings
                .get_or_insert_default()
                .extend(findings.iter().cloned());
            unit.texts.extend(texts.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use store::facts::{Class, Matcher};

    use super::*;

    fn unit(name: &str, qualifiers: &str, copyright: Option<&str>) -> (String, Unit) {
        let finding = copyright.map(|of| Finding {
            source: 0,
            path: format!("usr/share/doc/{of}/copyright"),
            files: 1,
            notice: format!("words of {of}"),
            matcher: Matcher::Unknown,
            class: Class::Clue,
            expression: None,
        });
        let unit = Unit {
            key: name.to_owned(),
            name: name.to_owned(),
            purl: Some(format!("pkg:deb/debian/{name}@12.2-1?{qualifiers}")),
            findings: Some(finding.into_iter().collect()),
            ..Unit::default()
        };
        (name.to_owned(), unit)
    }

    #[test]
    fn packages_of_a_source_share_the_file_that_one_of_them_has() {
        let mut units = BTreeMap::from([
            unit("libgcc-s1", "arch=amd64&upstream=gcc-12", None),
            unit("gcc-12-base", "upstream=gcc-12", Some("gcc-12-base")),
            unit("libother", "upstream=gcc-11", None),
            unit("libold", "upstream=gcc-12%4012.1-1", None),
            unit("gcc-12", "arch=amd64", Some("gcc-12")),
        ]);
        let mut all: Vec<&mut Unit> = units.values_mut().collect();
        share_copyrights(&mut all);
        let notice = |name: &str| {
            let mut found = units
                .get(name)
                .into_iter()
                .flat_map(Unit::copyright_findings);
            found.next().map(|finding| finding.notice.clone())
        };
        assert_eq!(notice("libgcc-s1").as_deref(), Some("words of gcc-12"));
        assert_eq!(
            notice("gcc-12-base").as_deref(),
            Some("words of gcc-12-base")
        );
        assert_eq!(notice("libother"), None, "is of another source");
        assert_eq!(notice("libold"), None, "is of another version");
    }

    #[test]
    fn the_files_in_an_image_speak_for_the_packages_of_its_bill() {
        let (_, base) = unit("gcc-12-base", "upstream=gcc-12", None);
        let (_, library) = unit("libgcc-s1", "upstream=gcc-12", None);
        let (_, said) = unit("gcc-12-base", "", Some("gcc-12-base"));
        let mut inventory = Inventory {
            units: vec![base, library],
            ..Inventory::default()
        };
        let findings = said.findings.unwrap_or_default();
        let text = UnitText {
            path: "usr/share/doc/gcc-12-base/copyright".to_owned(),
            normal: "words".to_owned(),
        };
        let files = [("gcc-12-base".to_owned(), (findings, vec![text]))];
        inventory.add_copyrights(&files.into());
        let found = inventory.units.iter();
        let found = found.map(|unit| (unit.copyright_findings().count(), unit.texts.len()));
        assert_eq!(found.collect::<Vec<_>>(), [(1, 1), (1, 1)]);
    }

    #[test]
    fn only_the_file_of_a_package_is_its_copyright() {
        for (path, expected) in [
            ("usr/share/doc/libc6/copyright", true),
            ("share/doc/libc6/copyright", true),
            ("usr/share/doc/libc6/examples/copyright", false),
            ("usr/share/doc/copyright", false),
            ("src/copyright", false),
        ] {
            assert_eq!(is_copyright(path), expected, "{path}");
        }
    }
}
