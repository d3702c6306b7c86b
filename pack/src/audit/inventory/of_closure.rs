//! The components of a closure, from what is recorded of it.

use std::collections::BTreeMap;

use store::{
    Component, ContainedComponent, LocalStore, StorePath,
    facts::{Facts, LinkInput, LinkKind},
};

use super::{
    Edge, Inventory, Relation, Unit, UnitKind, UnitSource,
    debian::share_copyrights,
    observed::{Vendored, is_of_others, read_stated, toolchain_unit},
};
use crate::audit::{GatherError, Gathered, Part};

/// Members of an archive that are named; the rest are counted.
const SHOWN_MEMBERS: usize = 4;

impl Inventory {
    /// Returns the components of a closure and of what was linked into it.
    ///
    /// Not in it: the compiler's start files and helpers, which are in every program ([`LinkKind::Runtime`]), and what only built something.
    #[must_use]
    pub fn of_closure(gathered: &Gathered, roots: &[StorePath]) -> Self {
        let mut collecting = Collecting::default();
        for part in &gathered.parts {
            collecting.add_object(part, UnitKind::Object);
        }
        for part in &gathered.linked {
            collecting.add_object(part, UnitKind::Linked);
        }
        for part in gathered.parts.iter().chain(&gathered.linked) {
            collecting.add_parts_of(part);
        }
        collecting.finish(roots)
    }

    /// Adds how tightly the builds of each object were confined.
    pub fn add_sandboxes(
        &mut self,
        store: &LocalStore,
        gathered: &Gathered,
    ) -> Result<(), GatherError> {
        for part in &gathered.parts {
            let realisations = store.find_realisations_of(&part.info.id)?;
            let mut levels: Vec<String> = realisations.into_iter().map(|one| one.sandbox).collect();
            levels.sort();
            levels.dedup();
            let key = part.info.path.to_logical();
            if let Ok(at) = self.units.binary_search_by(|unit| unit.key.cmp(&key))
                && let Some(unit) = self.units.get_mut(at)
            {
                unit.sandboxes = levels;
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Collecting {
    units: BTreeMap<String, Unit>,
    edges: Vec<(String, String, Relation, String)>,
}

impl Collecting {
    fn add_object(&mut self, part: &Part, kind: UnitKind) {
        let path = &part.info.path;
        let unit = match &part.info.component {
            Some(component) => unit_of(component, part.facts.as_ref()),
            None => Unit {
                name: path.name().to_string(),
                ..Unit::default()
            },
        };
        let kind = match &part.info.component {
            Some(component) if is_set(component, part.facts.as_ref()) => UnitKind::Set,
            _ => kind,
        };
        let key = path.to_logical();
        self.units.insert(key.clone(), Unit { key, kind, ..unit });
    }

    /// Adds what `part` uses.
    fn add_parts_of(&mut self, part: &Part) {
        let own = part.info.path.to_logical();
        for reference in &part.info.references {
            let evidence = if reference.file.is_empty() && reference.offset == 0 {
                "added by the recipe".to_owned()
            } else {
                format!("{} at byte {}", named(&reference.file), reference.offset)
            };
            self.edges.push((
                own.clone(),
                reference.path.to_logical(),
                Relation::Reference,
                evidence,
            ));
        }
        let component = part.info.component.as_ref();
        let contains = component.map_or(&[][..], |component| &component.contains);
        let vendored = Vendored::of(contains);
        for contained in contains {
            let key = self.add_contained(contained, &vendored, part.facts.as_ref());
            let evidence = contained
                .digest
                .clone()
                .unwrap_or_else(|| contained.purl.clone());
            self.edges
                .push((own.clone(), key, Relation::Vendored, evidence));
        }
        if let Some(facts) = &part.facts {
            for link in &facts.links {
                for input in &link.inputs {
                    self.add_link(&own, &link.file, input, facts);
                }
            }
        }
    }

    fn add_contained(
        &mut self,
        contained: &ContainedComponent,
        vendored: &Vendored,
        facts: Option<&Facts>,
    ) -> String {
        let key = contained.purl.clone();
        let mut unit = Unit {
            key: key.clone(),
            name: contained.name.clone(),
            version: contained.version.clone(),
            kind: UnitKind::Vendored,
            purl: Some(contained.purl.clone()),
            declared: contained.license.clone(),
            ..Unit::default()
        };
        if let Some(facts) = facts {
            read_stated(&mut unit, facts);
        }
        let digest = contained.digest.iter().map(|digest| UnitSource {
            name: contained.name.clone(),
            digest: digest.clone(),
            urls: Vec::new(),
        });
        unit.sources = digest.collect();
        if let Some(facts) = facts {
            vendored.observe_contained(&mut unit, facts);
        }
        // The same crate may be in several programs, of which some have facts.
        let known = self
            .units
            .entry(key.clone())
            .or_insert_with(|| unit.clone());
        if known.findings.is_none() && unit.findings.is_some() {
            *known = unit;
        }
        key
    }

    fn add_link(&mut self, own: &str, file: &str, input: &LinkInput, facts: &Facts) {
        let relation = match input.kind {
            LinkKind::Needed => Relation::Needed,
            LinkKind::Static => Relation::Static,
            LinkKind::Interpreter => Relation::Interpreter,
            LinkKind::Dlopen => Relation::Dlopen,
            LinkKind::Runtime => return,
        };
        let key = match (&input.object, &input.component) {
            (Some(object), _) => object.clone(),
            (None, Some(component)) => format!("toolchain:{component}"),
            (None, None) => return,
        };
        let path = StorePath::from_logical(&key).or_else(|_| key.parse());
        let key = path.as_ref().map_or(key, StorePath::to_logical);
        if key == own {
            return;
        }
        self.units
            .entry(key.clone())
            .or_insert_with(|| match (&path, &input.component) {
                (Err(_), Some(component)) => Unit {
                    key: key.clone(),
                    ..toolchain_unit(component, facts)
                },
                (path, _) => {
                    let name = path
                        .as_ref()
                        .map_or_else(|_| key.clone(), |path| path.name().to_string());
                    Unit {
                        name,
                        kind: UnitKind::Linked,
                        key: key.clone(),
                        ..Unit::default()
                    }
                }
            });
        let shown: Vec<&str> = input
            .members
            .iter()
            .take(SHOWN_MEMBERS)
            .map(String::as_str)
            .collect();
        let evidence = match input.members.len() {
            0 => format!("{}: {}", named(file), input.file),
            count if count > SHOWN_MEMBERS => {
                format!(
                    "{}: {} ({}, … {count} members)",
                    named(file),
                    input.file,
                    shown.join(", ")
                )
            }
            _ => format!("{}: {} ({})", named(file), input.file, shown.join(", ")),
        };
        self.edges.push((own.to_owned(), key, relation, evidence));
    }

    fn finish(mut self, roots: &[StorePath]) -> Inventory {
        let mut all: Vec<&mut Unit> = self.units.values_mut().collect();
        share_copyrights(&mut all);
        let units: Vec<Unit> = self.units.into_values().collect();
        let find = |key: &str| {
            units
                .binary_search_by(|unit| unit.key.as_str().cmp(key))
                .ok()
        };
        let edges = self
            .edges
            .into_iter()
            .filter_map(|(from, to, relation, evidence)| {
                let (from, to) = (find(&from)?, find(&to)?);
                (from != to).then_some(Edge {
                    from,
                    to,
                    relation,
                    evidence,
                })
            });
        let mut inventory = Inventory {
            roots: roots
                .iter()
                .filter_map(|root| find(&root.to_logical()))
                .collect(),
            edges: edges.collect(),
            units: Vec::new(),
            undescribed: Vec::new(),
            is_bill: false,
        };
        inventory.units = units;
        inventory.settle();
        inventory
    }
}

/// Whether nobody made the object of anything: no recipe, no sources, and no name in the world outside; or of others' software alone.
pub(crate) fn is_set(component: &Component, facts: Option<&Facts>) -> bool {
    if component.license.is_none() && facts.is_some_and(is_of_others) {
        return true;
    }
    component.recipe.is_none()
        && component.license.is_none()
        && component.purl.is_none()
        && component.sources.is_empty()
        && component.contains.is_empty()
}

pub(super) fn unit_of(component: &Component, facts: Option<&Facts>) -> Unit {
    let sources = component.sources.iter().map(|source| UnitSource {
        name: source.name.clone(),
        digest: source.digest.clone(),
        urls: source.urls.clone(),
    });
    let mut unit = Unit {
        name: component.name.clone(),
        version: component.version.clone(),
        purl: component.purl.clone(),
        declared: component.license.clone(),
        license_evidence: component.license_evidence.clone(),
        recipe: component.recipe.clone(),
        deprecated: component.deprecated.clone(),
        unshipped: component.unshipped.clone(),
        sources: sources.collect(),
        ..Unit::default()
    };
    if let Some(facts) = facts {
        Vendored::of(&component.contains).observe_main(&mut unit, facts);
    }
    unit
}

fn named(file: &str) -> &str {
    if file.is_empty() {
        "the file itself"
    } else {
        file
    }
}
