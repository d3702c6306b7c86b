//! What software there is in a closure, from what was recorded of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use store::{
    Component, ContainedComponent,
    facts::{Facts, LinkKind, SourceRole},
};

use super::{Patch, Place, Purl, Relation, Subject};
use crate::audit::{Gathered, Part};

/// Returns the software in a closure, what is in it as part of others included, sorted and each once.
///
/// `component_of` tells what is recorded of a store path outside of the closure, by its base name: what was linked statically left code in the closure and no
/// reference.
pub fn subjects_of_closure(
    gathered: &Gathered,
    component_of: &mut dyn FnMut(&str) -> Option<Component>,
) -> Vec<Subject> {
    let mut all = Subjects::default();
    let mut statics: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
    for part in &gathered.parts {
        if let Some(facts) = &part.facts {
            note_static(part, facts, &mut statics, &mut all);
        }
    }
    for part in &gathered.parts {
        let Some(component) = &part.info.component else {
            all.add(
                of_unknown(part.info.path.name().as_ref()),
                [place(part, Relation::Itself)],
            );
            continue;
        };
        let base = part.info.path.to_string();
        let linked = statics.remove(&base).unwrap_or_default();
        let places = [place(part, Relation::Itself)].into_iter().chain(linked);
        all.add(of_component(component, part.facts.as_ref()), places);
        for contained in &component.contains {
            all.add(of_contained(contained), [place(part, Relation::Vendored)]);
        }
    }
    for (base, places) in statics {
        let subject = match component_of(&base) {
            Some(component) => of_component(&component, None),
            None => of_unknown(base.split_once('-').map_or(base.as_str(), |(_, name)| name)),
        };
        all.add(subject, places);
    }
    all.finish()
}

fn place(part: &Part, relation: Relation) -> Place {
    Place {
        within: part.info.path.to_logical(),
        relation,
    }
}

/// Notes what was copied into the files of an output from elsewhere, and what others' software its sources have.
fn note_static(
    part: &Part,
    facts: &Facts,
    statics: &mut BTreeMap<String, BTreeSet<Place>>,
    all: &mut Subjects,
) {
    for input in facts.links.iter().flat_map(|link| &link.inputs) {
        if input.kind != LinkKind::Static {
            continue;
        }
        let linked = place(part, Relation::Static);
        if let Some(object) = &input.object {
            let base = object.rsplit('/').next().unwrap_or(object);
            if base != part.info.path.to_string() {
                statics.entry(base.to_owned()).or_default().insert(linked);
            }
        } else if let Some(name) = &input.component {
            let package = facts.find_toolchain(name);
            let known = package.and_then(|of| of.purl.as_deref()?.parse().ok());
            let subject = known.map_or_else(|| of_unknown(name), of_purl);
            let urls = package.map(|of| of.urls.clone()).unwrap_or_default();
            all.add(Subject { urls, ..subject }, [linked]);
        }
    }
    for source in &facts.sources {
        let purl: Option<Purl> = source.purl.as_deref().and_then(|purl| purl.parse().ok());
        if let (SourceRole::Vendored, Some(purl)) = (source.role, purl) {
            all.add(of_purl(purl), [place(part, Relation::Vendored)]);
        }
    }
}

fn of_purl(purl: Purl) -> Subject {
    Subject {
        name: purl.full_name(),
        version: purl.version.clone(),
        purl: Some(purl),
        ..Subject::default()
    }
}

fn of_unknown(name: &str) -> Subject {
    Subject {
        name: name.to_owned(),
        ..Subject::default()
    }
}

fn of_component(component: &Component, facts: Option<&Facts>) -> Subject {
    let patches = facts
        .map(|facts| facts.patches.as_slice())
        .unwrap_or_default();
    let urls = component.sources.iter().flat_map(|source| &source.urls);
    Subject {
        name: component.name.clone(),
        version: component.version.clone(),
        purl: component.purl.as_deref().and_then(|purl| purl.parse().ok()),
        cpe: component.cpe.clone(),
        urls: urls.chain(&component.homepage).cloned().collect(),
        debian: Vec::new(),
        patches: patches
            .iter()
            .filter(|patch| !patch.fixes.is_empty())
            .map(|patch| Patch {
                name: patch.name.clone(),
                sha256: Some(patch.sha256.clone()),
                fixes: patch.fixes.clone(),
            })
            .collect(),
        places: Vec::new(),
    }
}

fn of_contained(component: &ContainedComponent) -> Subject {
    let purl: Option<Purl> = component.purl.parse().ok();
    Subject {
        // What a source and its component are called must not make two of one.
        name: purl
            .as_ref()
            .map_or_else(|| component.name.clone(), Purl::full_name),
        version: component.version.clone(),
        purl,
        ..Subject::default()
    }
}

/// Software, each once, with all places where it is.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    found: BTreeMap<SubjectKey, (Subject, BTreeSet<Place>)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SubjectKey {
    name: String,
    version: Option<String>,
    purl: Option<Purl>,
    cpe: Option<String>,
    urls: Vec<String>,
    patches: Vec<Patch>,
}

impl Subjects {
    /// Adds software that is in some places.
    pub(super) fn add(&mut self, subject: Subject, places: impl IntoIterator<Item = Place>) {
        let mut subject = subject.completed();
        subject.urls.sort_unstable();
        subject.urls.dedup();
        let key = SubjectKey {
            name: subject.name.clone(),
            version: subject.version.clone(),
            purl: subject.purl.clone(),
            cpe: subject.cpe.clone(),
            urls: subject.urls.clone(),
            patches: subject.patches.clone(),
        };
        let entry = self.found.entry(key);
        let (_, all) = entry.or_insert_with(|| (subject, BTreeSet::new()));
        all.extend(places);
    }

    /// Returns it, sorted.
    pub(super) fn finish(self) -> Vec<Subject> {
        let with_places = |(mut subject, places): (Subject, BTreeSet<Place>)| {
            subject.places = places.into_iter().collect();
            subject
        };
        self.found.into_values().map(with_places).collect()
    }
}
