//! From the evaluated steps that make a target to the components of a bundle. Pure.

use std::collections::BTreeSet;

use pack::audit::obligation::{Duty, duties_of};
use pack::audit::sources::{BundledComponent, BundledFile, Gap, Scope};
use recipes::model::{Builder, Derivation, OutputRef};

use super::patches::patches_of;

/// What is said of where something is made that no recipe makes: packages of Debian.
const NO_RECIPE: &str = "";

/// Whether a step makes something that sources are of: not what only fetches, takes files in or lists others.
pub(super) fn is_component(derivation: &Derivation) -> bool {
    !matches!(
        derivation.builder(),
        Builder::Fetch(_) | Builder::Source(_) | Builder::DebSet(_)
    )
}

/// Whether a bundle of this scope has the sources of a step under a license: where none is known, of anything that may be part of something that has one.
pub(super) fn is_in(scope: Scope, license: Option<&str>) -> bool {
    scope == Scope::All || license.is_none_or(asks_for_source)
}

/// Describes one step without its source packages and patches; `file` says what is in the bundle of a file that was fetched.
pub(super) fn component(
    derivation: &Derivation,
    license: Option<&str>,
    is_shipped: bool,
    file: &dyn Fn(&OutputRef) -> Option<BundledFile>,
) -> BundledComponent {
    let metadata = derivation.metadata();
    let applied = patches_of(derivation);
    let sources = fetches(derivation);
    let sources = sources.into_iter().filter(|one| !applied.contains(one));
    let name = if metadata.name.is_empty() {
        derivation.name().to_string()
    } else {
        metadata.name.clone()
    };
    BundledComponent {
        name,
        version: metadata.version.clone(),
        license: license.map(str::to_owned),
        duties: (license.iter())
            .flat_map(|license| duties_of(license))
            .map(|duty| duty.name().to_owned())
            .collect(),
        is_shipped,
        recipe: derivation
            .recipe_line()
            .unwrap_or_else(|| NO_RECIPE.to_owned()),
        derivation: derivation.id().to_string(),
        sources: sources.filter_map(file).collect(),
        source_packages: Vec::new(),
        patches: Vec::new(),
    }
}

/// Whether a project's recipe makes something, rather than one of the collection or nobody's.
pub(super) fn is_of_project(derivation: &Derivation) -> bool {
    let file = &derivation.origin().file;
    !file.is_empty() && !file.starts_with("//")
}

/// Returns the files that a step is made of: those that its recipe lists, and those that it is given.
pub(super) fn fetches(derivation: &Derivation) -> Vec<&OutputRef> {
    let is_fetch = |input: &&OutputRef| matches!(input.derivation().builder(), Builder::Fetch(_));
    let mut seen = BTreeSet::new();
    let listed = derivation.sources().into_iter();
    let all = listed.chain(derivation.inputs()).filter(is_fetch);
    all.filter(|one| seen.insert((*one).clone())).collect()
}

/// Returns what is missing of a component that is in the image and whose license asks for its source. `unsourced` are the packages of binaries that it is
/// made of and whose source is not in the bundle; the project's own files are, where it is built from these.
pub(super) fn gap(
    component: &BundledComponent,
    unsourced: &[String],
    has_own_files: bool,
) -> Option<Gap> {
    let license = component.license.as_deref();
    if !component.is_shipped || !license.is_none_or(asks_for_source) {
        return None;
    }
    let reason = if !unsourced.is_empty() {
        format!(
            "it is made of packages of binaries whose source is not in the bundle: {}",
            unsourced.join("; ")
        )
    } else if component.sources.is_empty() && !has_own_files {
        "the recipe names no source that was fetched".to_owned()
    } else {
        return None;
    };
    Some(Gap {
        component: component.name.clone(),
        license: component.license.clone(),
        reason,
    })
}

fn asks_for_source(license: &str) -> bool {
    duties_of(license).contains(&Duty::Source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(license: Option<&str>, sources: &[&str]) -> BundledComponent {
        let file = |name: &&str| BundledFile {
            name: (*name).to_owned(),
            digest: String::new(),
            sha256: None,
            file: None,
            urls: Vec::new(),
        };
        BundledComponent {
            name: "a".to_owned(),
            version: None,
            license: license.map(str::to_owned),
            duties: BTreeSet::new(),
            is_shipped: true,
            recipe: String::new(),
            derivation: String::new(),
            sources: sources.iter().map(file).collect(),
            source_packages: Vec::new(),
            patches: Vec::new(),
        }
    }

    #[test]
    fn a_gap_is_what_is_shipped_without_a_source_that_its_license_asks_for() {
        let lgpl = Some("LGPL-2.1-or-later");
        let lacks = ["libc6.deb, built from glibc 2.36-9".to_owned()];
        let is_gap = |license, sources: &[&str], unsourced: &[String]| {
            gap(&component(license, sources), unsourced, false).is_some()
        };
        assert!(is_gap(lgpl, &["libc6.deb"], &lacks));
        assert!(is_gap(lgpl, &["libc6.deb", "glibc.tar.xz"], &lacks));
        assert!(is_gap(lgpl, &[], &[]));
        assert!(is_gap(None, &[], &[]));
        assert!(!is_gap(lgpl, &["libc6.deb"], &[]));
        assert!(!is_gap(lgpl, &["glibc.tar.xz"], &[]));
        assert!(!is_gap(Some("MIT"), &["libx.deb"], &lacks));
        assert_eq!(gap(&component(lgpl, &[]), &[], true), None);
        let tool = BundledComponent {
            is_shipped: false,
            ..component(lgpl, &[])
        };
        assert_eq!(gap(&tool, &[], false), None);
    }
}
