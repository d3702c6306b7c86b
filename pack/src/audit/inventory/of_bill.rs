//! The components of an image, from what its bill of materials says.

use store::{StorePath, UseKind};

use super::{Edge, Inventory, Relation, Undescribed, Unit, UnitKind};
use crate::existing::{BaseLayer, BillLink, BillPackage, BillPart, ImageFacts, LayerFacts};

/// What stands as evidence for all that a bill says.
const BILL: &str = "the bill of materials";

impl Inventory {
    /// Returns the components that the bill in an image names. A bill declares; what the linker copied and what files need is all in it that was observed.
    ///
    /// What is asked for is what nothing else in the image needs. Not described are the layers of a base of which no bill speaks, those that somebody else put on the
    /// image, and all layers of an image without a bill.
    #[must_use]
    pub fn of_image(image: &ImageFacts) -> Self {
        let mut inventory = match &image.packages {
            Some(packages) => Self::of_bill(packages),
            None => Self::default(),
        };
        let is_undescribed = |layer: &&LayerFacts| {
            let is_in_base = layer.base == Some(BaseLayer::Undescribed);
            image.packages.is_none() || is_in_base || layer.foreign.is_some()
        };
        let layers = image.layers.iter().filter(is_undescribed);
        inventory.is_bill = true;
        inventory.undescribed = layers
            .map(|layer| Undescribed {
                place: layer.digest.to_string(),
                size_bytes: layer.size_bytes,
                made_by: layer.made_by.clone(),
                foreign: layer.foreign.clone(),
            })
            .collect();
        inventory
    }

    fn of_bill(packages: &[BillPackage]) -> Self {
        let mut units: Vec<Unit> = packages.iter().map(unit_of).collect();
        units.extend(
            packages
                .iter()
                .flat_map(|package| &package.contains)
                .map(unit_of_part),
        );
        let links = packages.iter().flat_map(|package| &package.links);
        units.extend(links.map(unit_of_link));
        // Stable: what is in the image itself was added first.
        units.sort_by(|a, b| a.key.cmp(&b.key));
        units.dedup_by(|b, a| a.key == b.key);
        let find = |key: &str| {
            units
                .binary_search_by(|unit| unit.key.as_str().cmp(key))
                .ok()
        };
        let find_path = |path: &StorePath| find(&path.to_logical());
        let mut edges = Vec::new();
        for package in packages {
            let Some(from) = find_path(&package.path) else {
                continue;
            };
            let mut add = |to: Option<usize>, relation: Relation, evidence: String| {
                edges.extend(to.filter(|to| *to != from).map(|to| Edge {
                    from,
                    to,
                    relation,
                    evidence,
                }));
            };
            let said = || BILL.to_owned();
            for path in &package.references {
                add(find_path(path), Relation::Reference, said());
            }
            for part in &package.contains {
                add(find(&part.purl), Relation::Vendored, said());
            }
            for link in &package.links {
                let to = find(&key_of_link(link));
                add(to, Relation::Static, shown_by(&link.places));
            }
            for one in &package.uses {
                let relation = match one.kind {
                    UseKind::Needed => Relation::Needed,
                    UseKind::Dlopen => Relation::Dlopen,
                    UseKind::Interpreter => Relation::Interpreter,
                };
                add(find_path(&one.path), relation, shown_by(&one.places));
            }
        }
        let mut inventory = Self {
            units,
            edges,
            ..Self::default()
        };
        inventory.settle();
        inventory.roots = (0..inventory.units.len())
            .filter(|unit| inventory.uses_of(*unit).next().is_none())
            .collect();
        inventory
    }
}

fn shown_by(places: &[String]) -> String {
    match places.first() {
        Some(place) => format!("{place}, says {BILL}"),
        None => BILL.to_owned(),
    }
}

fn unit_of(package: &BillPackage) -> Unit {
    Unit {
        key: package.path.to_logical(),
        name: package.name.clone(),
        version: package.version.clone(),
        kind: match package.is_set {
            true => UnitKind::Set,
            false => UnitKind::Object,
        },
        purl: package.purl.clone(),
        declared: package.license.clone(),
        ..Unit::default()
    }
}

fn unit_of_part(part: &BillPart) -> Unit {
    Unit {
        key: part.purl.clone(),
        name: part.name.clone(),
        version: part.version.clone(),
        kind: UnitKind::Vendored,
        purl: Some(part.purl.clone()),
        declared: part.license.clone(),
        ..Unit::default()
    }
}

/// The same key as where the linker's own record is read.
fn key_of_link(link: &BillLink) -> String {
    match &link.path {
        Some(path) => path.to_logical(),
        None => format!("toolchain:{}", link.name),
    }
}

fn unit_of_link(link: &BillLink) -> Unit {
    Unit {
        key: key_of_link(link),
        name: link.name.clone(),
        version: link.version.clone(),
        kind: match link.path {
            Some(_) => UnitKind::Linked,
            None => UnitKind::Toolchain,
        },
        purl: link.purl.clone(),
        declared: link.license.clone(),
        ..Unit::default()
    }
}
