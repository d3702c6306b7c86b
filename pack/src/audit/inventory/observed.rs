//! Which part of what was observed is about which component. Pure.

use store::{
    ContainedComponent,
    facts::{Class, Facts, Matcher, SourceFacts, SourceRole, TextKind},
};

use super::{Unit, UnitKind, UnitSource, UnitText};
use crate::{audit::license::Expression, vulns::Purl};

/// How the package URLs of Go modules begin. A module has no field for its license: the file is how it is declared.
const GO_MODULE: &str = "pkg:golang/";
/// Where a Go program has the modules of others.
const GO_VENDOR: &str = "vendor/";

/// What others' software in the sources of a component is, by where it lies in them.
pub(super) struct Vendored {
    /// The directories of Go modules, with a slash at the end.
    modules: Vec<String>,
}

impl Vendored {
    /// The directories of the modules among `contains`.
    pub(super) fn of(contains: &[ContainedComponent]) -> Self {
        let modules = contains
            .iter()
            .filter(|one| one.purl.starts_with(GO_MODULE));
        Self {
            modules: modules
                .map(|one| format!("{GO_VENDOR}{}/", one.name))
                .collect(),
        }
    }

    /// The module that a file of the main source is of: the one with the longest directory, for a module may lie in another one's.
    fn module_of(&self, path: &str) -> Option<&str> {
        let around = self
            .modules
            .iter()
            .filter(|directory| path.starts_with(directory.as_str()));
        around
            .max_by_key(|directory| directory.len())
            .map(String::as_str)
    }

    /// Adds to the unit of a component what was observed of its own sources, without what is others' in them.
    pub(super) fn observe_main(&self, unit: &mut Unit, facts: &Facts) {
        observe(unit, facts, &|source, path| {
            source.role == SourceRole::Main && self.module_of(path).is_none()
        });
        unit.files = facts
            .files
            .iter()
            .map(|file| (file.path.clone(), file.sha256.clone()))
            .collect();
    }

    /// Adds to the unit of others' software what was observed of the archive that it came in, or of its directory in the main source.
    pub(super) fn observe_contained(&self, unit: &mut Unit, facts: &Facts) {
        let key = unit.key.clone();
        let is_own = |source: &SourceFacts| source.purl.as_deref() == Some(key.as_str());
        let directory = format!("{GO_VENDOR}{}/", unit.name);
        if facts.sources.iter().any(is_own) {
            observe(unit, facts, &|source, _| is_own(source));
        } else if self.modules.contains(&directory) {
            observe(unit, facts, &|source, path| {
                source.role == SourceRole::Main
                    && (path.is_empty() || self.module_of(path) == Some(directory.as_str()))
            });
            // The archive of the whole program is none of the module.
            unit.sources.clear();
        } else {
            return;
        }
        read_license_files(unit, &directory);
    }
}

/// Takes the license that a package of others states in a field of known values where what it declares is no expression.
pub(super) fn read_stated(unit: &mut Unit, facts: &Facts) {
    let declared = unit.declared.as_deref();
    if declared.is_some_and(|declared| Expression::parse(declared).is_ok()) {
        return;
    }
    let stated = facts
        .find_stated(&unit.key)
        .and_then(|stated| Some((stated.license.clone()?, stated.path.clone())));
    if let Some((license, path)) = stated {
        (unit.declared, unit.license_evidence) = (Some(license), Some(path));
    }
}

/// Whether nothing of an object is its maker's own: what was observed of it came in the archives of others.
pub(super) fn is_of_others(facts: &Facts) -> bool {
    let mut roles = facts.sources.iter().map(|source| source.role);
    let has_others = roles.clone().any(|role| role == SourceRole::Vendored);
    has_others && !roles.any(|role| matches!(role, SourceRole::Main | SourceRole::Patch))
}

/// Returns the unit of a package of the toolchain of which something is linked in.
pub(super) fn toolchain_unit(component: &str, facts: &Facts) -> Unit {
    let mut unit = Unit {
        name: component.to_owned(),
        kind: UnitKind::Toolchain,
        ..Unit::default()
    };
    if let Some(package) = facts.find_toolchain(component) {
        let purl: Option<Purl> = package.purl.as_deref().and_then(|purl| purl.parse().ok());
        unit.version = purl.and_then(|purl| purl.version);
        unit.purl.clone_from(&package.purl);
        unit.declared.clone_from(&package.license);
        observe(&mut unit, facts, &|source, _| source == package);
    }
    unit
}

/// Adds to `unit` what was observed of the files that `is_own` picks by source and path; the path is empty where it asks about the source itself.
fn observe(unit: &mut Unit, facts: &Facts, is_own: &dyn Fn(&SourceFacts, &str) -> bool) {
    let owns = |source: u32, path: &str| {
        let source = usize::try_from(source)
            .ok()
            .and_then(|at| facts.sources.get(at));
        source.is_some_and(|source| is_own(source, path))
    };
    let own = || facts.sources.iter().filter(|source| is_own(source, ""));
    // Sources that were not there when facts were recorded are known by name alone.
    if own().next().is_none() || own().any(SourceFacts::is_observed) {
        let findings = facts.findings.iter();
        unit.findings = Some(
            findings
                .filter(|finding| owns(finding.source, &finding.path))
                .cloned()
                .collect(),
        );
    }
    let texts = facts
        .texts
        .iter()
        .filter(|text| text.kind == TextKind::License && owns(text.source, &text.path));
    unit.texts = texts
        .map(|text| UnitText {
            path: text.path.clone(),
            normal: text.normal.clone(),
        })
        .collect();
    let seen: Vec<UnitSource> = own()
        .filter_map(|source| {
            Some(UnitSource {
                name: source.name.clone(),
                digest: format!("sha256:{}", source.sha256.as_deref()?),
                urls: source.urls.clone(),
            })
        })
        .collect();
    if !seen.is_empty() {
        unit.sources = seen;
    }
}

/// Takes the license files of others' software for what it declares where it declares nothing else, if every one is a license's text in its exact words.
fn read_license_files(unit: &mut Unit, directory: &str) {
    if unit.declared.is_some() {
        return;
    }
    let findings = unit.findings.as_deref().unwrap_or_default();
    let is_top = |text: &&UnitText| {
        is_license_place(text.path.strip_prefix(directory).unwrap_or(&text.path))
    };
    let said = unit.texts.iter().filter(is_top).map(|text| {
        let mut exact = findings.iter().filter(|finding| {
            finding.notice == text.normal
                && finding.matcher == Matcher::Text
                && finding.class == Class::Exact
        });
        let expression = exact.next()?.expression.clone()?;
        Some((expression, text.path.clone()))
    });
    let Some(mut said) = said.collect::<Option<Vec<(String, String)>>>() else {
        return;
    };
    said.sort();
    said.dedup_by(|next, first| next.0 == first.0);
    if !said.is_empty() {
        let parts: Vec<String> = said
            .iter()
            .map(|(license, _)| in_brackets(license))
            .collect();
        let files: Vec<&str> = said.iter().map(|(_, file)| file.as_str()).collect();
        unit.declared = Some(parts.join(" AND "));
        unit.license_evidence = Some(files.join(", "));
    }
}

/// Whether a file lies where the license of a whole package does: at its top, or in the directory that wheels have for that (PEP 639, "Built distributions").
fn is_license_place(path: &str) -> bool {
    let Some((directory, _)) = path.rsplit_once('/') else {
        return true;
    };
    let information = directory.strip_suffix("/licenses").unwrap_or(directory);
    information.ends_with(".dist-info") && !information.contains('/')
}

fn in_brackets(expression: &str) -> String {
    if expression.contains(" OR ") {
        format!("({expression})")
    } else {
        expression.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use store::facts::{Finding, TextFacts};

    use super::*;

    fn source(role: SourceRole, purl: Option<&str>, object: &str) -> SourceFacts {
        SourceFacts {
            name: "source".to_owned(),
            role,
            urls: Vec::new(),
            size: 1,
            sha256: Some("5".repeat(64)),
            sha512: None,
            object: object.to_owned(),
            purl: purl.map(str::to_owned),
            license: None,
            files: 1,
            unread: None,
            stated: None,
        }
    }

    /// Adds a license text in its exact words, of the first source.
    fn add_text(facts: &mut Facts, path: &str, expression: &str) {
        facts.texts.push(TextFacts {
            sha256: String::new(),
            normal: path.to_owned(),
            kind: TextKind::License,
            source: 0,
            path: path.to_owned(),
            size: 1,
        });
        facts.findings.push(Finding {
            source: 0,
            path: path.to_owned(),
            files: 1,
            notice: path.to_owned(),
            matcher: Matcher::Text,
            class: Class::Exact,
            expression: Some(expression.to_owned()),
        });
    }

    fn module(name: &str) -> ContainedComponent {
        ContainedComponent {
            name: name.to_owned(),
            purl: format!("{GO_MODULE}{name}@v1"),
            ..ContainedComponent::default()
        }
    }

    fn observed(vendored: &Vendored, contained: &ContainedComponent, facts: &Facts) -> Unit {
        let mut unit = Unit {
            key: contained.purl.clone(),
            name: contained.name.clone(),
            ..Unit::default()
        };
        vendored.observe_contained(&mut unit, facts);
        unit
    }

    #[test]
    fn a_file_below_vendor_is_of_the_module_that_lies_there() {
        let mut facts = Facts {
            sources: vec![source(SourceRole::Main, None, "object")],
            ..Facts::default()
        };
        for (path, license) in [
            ("LICENSE", "MIT"),
            ("vendor/a.example/one/LICENSE", "ISC"),
            ("vendor/a.example/one/sub/LICENSE", "Zlib"),
            ("vendor/a.example/one/two/LICENSE", "BSD-3-Clause"),
        ] {
            add_text(&mut facts, path, license);
        }
        let (one, two) = (module("a.example/one"), module("a.example/one/two"));
        let vendored = Vendored::of(&[one.clone(), two.clone()]);
        let (one, two) = (
            observed(&vendored, &one, &facts),
            observed(&vendored, &two, &facts),
        );
        assert_eq!(one.declared.as_deref(), Some("ISC"), "of its top alone");
        assert_eq!(
            one.license_evidence.as_deref(),
            Some("vendor/a.example/one/LICENSE")
        );
        assert_eq!(one.findings.map(|all| all.len()), Some(2));
        assert_eq!(two.declared.as_deref(), Some("BSD-3-Clause"));
        let mut main = Unit::default();
        vendored.observe_main(&mut main, &facts);
        let paths: Vec<String> = main.texts.into_iter().map(|text| text.path).collect();
        assert_eq!(paths, ["LICENSE"]);
    }

    #[test]
    fn a_source_that_was_not_there_says_nothing() {
        let contained = module("a.example/one");
        let of = |object: &str| {
            let own = source(SourceRole::Toolchain, Some(&contained.purl), object);
            let facts = Facts {
                sources: vec![own],
                ..Facts::default()
            };
            observed(&Vendored::of(&[]), &contained, &facts).findings
        };
        assert_eq!(of(""), None);
        assert_eq!(of("object"), Some(Vec::new()));
    }

    #[test]
    fn what_is_linked_of_the_toolchain_is_a_package_with_version_and_license() {
        let purl = "pkg:deb/debian/libc6-dev@2.36-9%2Bdeb12u14?arch=amd64";
        let package = SourceFacts {
            license: Some("LGPL-2.1-or-later".to_owned()),
            ..source(SourceRole::Toolchain, Some(purl), "object")
        };
        let facts = Facts {
            sources: vec![package],
            ..Facts::default()
        };
        let unit = toolchain_unit("libc6-dev", &facts);
        assert_eq!(unit.version.as_deref(), Some("2.36-9+deb12u14"));
        assert_eq!(unit.declared.as_deref(), Some("LGPL-2.1-or-later"));
        assert_eq!(unit.findings, Some(Vec::new()));
        assert_eq!(toolchain_unit("libc6", &facts).findings, None, "is another");
    }

    #[test]
    fn licenses_lie_at_the_top_or_where_wheels_have_them() {
        for (path, expected) in [
            ("LICENSE", true),
            ("flask-3.1.0.dist-info/LICENSE.txt", true),
            ("jinja2-3.1.6.dist-info/licenses/LICENSE.txt", true),
            ("numpy/random/LICENSE.txt", false),
            ("a/b.dist-info/LICENSE", false),
        ] {
            assert_eq!(is_license_place(path), expected, "{path}");
        }
    }
}
