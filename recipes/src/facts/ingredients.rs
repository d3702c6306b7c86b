//! Which sources a derivation has, and what each is for. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use store::ContainedComponent;
use store::facts::SourceRole;

use crate::model::{Builder, Derivation, DerivationId, OutputRef, Source};

/// The variable in which the builder of the collection is told of patches.
const PATCHES: &str = "patches";
/// The variable that names patches of a series that are not applied.
const SKIPPED: &str = "skip_patches";

/// What the variables begin with in which the builders of `lib/node.star` and `lib/python.star` are told of archives.
const TABLES: [&str; 2] = ["packages_", "wheels_"];

/// One source of a derivation.
#[derive(Debug, Clone)]
pub(super) struct Ingredient {
    /// What it is: a fetch, or files.
    pub(super) derivation: Arc<Derivation>,
    pub(super) role: SourceRole,
    /// The package URL of the software that came in it, if it is others'.
    pub(super) purl: Option<String>,
}

/// Returns what a derivation is made of: its sources in the recipe's order, then the recipe's own files by name, then what came with others' software, by its
/// package URL. `contains` says which software of others is in the outputs.
pub(super) fn ingredients(
    derivation: &Derivation,
    contains: &[ContainedComponent],
) -> Vec<Ingredient> {
    let patches = patch_outputs(derivation);
    let vendored: BTreeMap<&str, &str> = contains
        .iter()
        .filter_map(|one| Some((one.digest.as_deref()?, one.purl.as_str())))
        .collect();
    let tabled = tabled_archives(derivation, contains);
    let mut seen: BTreeSet<DerivationId> = BTreeSet::new();
    let (mut own, mut files, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let listed = derivation.sources().into_iter().chain(derivation.inputs());
    for output in listed {
        let source = output.derivation();
        let digest = digest_of(source);
        let by_digest = digest.as_deref().and_then(|digest| vendored.get(digest));
        let purl = by_digest.or_else(|| tabled.get(&source.id()));
        let is_listed = derivation.sources().contains(&output);
        let role = match source.builder() {
            _ if purl.is_some() => SourceRole::Vendored,
            Builder::Fetch(_) | Builder::Source(_) if patches.contains(output) => SourceRole::Patch,
            Builder::Fetch(_) if is_listed => SourceRole::Main,
            Builder::Source(Source::Local(_)) => SourceRole::Main,
            Builder::Source(Source::Embedded(_)) => SourceRole::Data,
            _ => continue,
        };
        if !seen.insert(source.id()) {
            continue;
        }
        let ingredient = Ingredient {
            derivation: Arc::clone(source),
            role,
            purl: purl.map(|purl| (*purl).to_owned()),
        };
        match role {
            SourceRole::Main | SourceRole::Patch => own.push(ingredient),
            SourceRole::Data => files.push(ingredient),
            // What comes with the seed is no ingredient that a recipe names.
            SourceRole::Vendored | SourceRole::Toolchain => others.push(ingredient),
        }
    }
    if !vendored.is_empty() {
        for source in fetches_below(derivation) {
            let digest = digest_of(&source);
            let purl = digest.as_deref().and_then(|digest| vendored.get(digest));
            let Some(purl) = purl.filter(|_| seen.insert(source.id())) else {
                continue;
            };
            others.push(Ingredient {
                derivation: source,
                role: SourceRole::Vendored,
                purl: Some((*purl).to_owned()),
            });
        }
    }
    let name = |one: &Ingredient| one.derivation.name().to_string();
    files.sort_by_key(|one| (name(one), one.derivation.id()));
    others.sort_by_key(|one| (one.purl.clone(), name(one), one.derivation.id()));
    own.into_iter().chain(files).chain(others).collect()
}

/// One row of a table that a builder is given.
#[derive(Deserialize)]
struct Row {
    archive: String,
    name: String,
    version: String,
}

/// Returns the package URLs of the software that came in the archives of a builder's tables: the builder says what is in the output, the tables say in which
/// archive that came.
fn tabled_archives<'c>(
    derivation: &Derivation,
    contains: &'c [ContainedComponent],
) -> BTreeMap<DerivationId, &'c str> {
    let Builder::Program(program) = derivation.builder() else {
        return BTreeMap::new();
    };
    let named: BTreeMap<(&str, &str), &str> = contains
        .iter()
        .filter_map(|one| {
            Some((
                (one.name.as_str(), one.version.as_deref()?),
                one.purl.as_str(),
            ))
        })
        .collect();
    let is_table = |name: &str| TABLES.iter().any(|table| name.starts_with(table));
    let tables = program.env.iter().filter(|(name, _)| is_table(name));
    let mut found = BTreeMap::new();
    for (_, text) in tables {
        let rows: Vec<Row> = serde_json::from_str(&text.to_string()).unwrap_or_default();
        let archives: BTreeMap<String, DerivationId> = text
            .outputs()
            .map(|output| (output.placeholder().to_string(), output.derivation().id()))
            .collect();
        for row in rows {
            let purl = named.get(&(row.name.as_str(), row.version.as_str()));
            if let (Some(purl), Some(archive)) = (purl, archives.get(&row.archive)) {
                found.insert(*archive, *purl);
            }
        }
    }
    found
}

/// Returns the patches that the builder is given, in order.
pub(super) fn patch_outputs(derivation: &Derivation) -> Vec<OutputRef> {
    let Builder::Program(program) = derivation.builder() else {
        return Vec::new();
    };
    let text = program.env.get(PATCHES);
    let outputs = text.map(|text| text.outputs().cloned());
    outputs.into_iter().flatten().collect()
}

/// Returns the names of the patches that the recipe leaves out.
pub(super) fn skipped_patches(derivation: &Derivation) -> BTreeSet<String> {
    let Builder::Program(program) = derivation.builder() else {
        return BTreeSet::new();
    };
    let text = program.env.get(SKIPPED).map(ToString::to_string);
    let names = text.unwrap_or_default();
    names.split_whitespace().map(str::to_owned).collect()
}

/// Returns the digest of a download, with the algorithm before it.
fn digest_of(derivation: &Derivation) -> Option<String> {
    match derivation.builder() {
        Builder::Fetch(fetch) => Some(fetch.digest.to_string()),
        _ => None,
    }
}

/// Returns all downloads that a derivation is made from, directly or not, but for those that the seed is made of.
fn fetches_below(derivation: &Derivation) -> Vec<Arc<Derivation>> {
    let inputs = derivation.inputs().iter();
    let mut pending: Vec<&Arc<Derivation>> = inputs.map(OutputRef::derivation).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(next) = pending.pop() {
        if !seen.insert(next.id()) {
            continue;
        }
        if matches!(next.builder(), Builder::Fetch(_)) {
            found.push(Arc::clone(next));
        }
        pending.extend(next.inputs().iter().map(OutputRef::derivation));
    }
    found
}
