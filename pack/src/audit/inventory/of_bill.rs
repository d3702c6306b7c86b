//! The components of an image, from what its bill of materials says.

use super::{Edge, Inventory, Relation, Undescribed, Unit};
use crate::existing::{BillPackage, ImageFacts};

impl Inventory {
    /// Returns the components that the bill in an image names. A bill declares; nothing in it was observed.
    ///
    /// What is asked for is what nothing else in the image needs. Of an image without a bill, every layer is undescribed.
    #[must_use]
    pub fn of_image(image: &ImageFacts) -> Self {
        match &image.packages {
            Some(packages) => Self::of_bill(packages),
            None => Self {
                is_bill: true,
                undescribed: image
                    .layers
                    .iter()
                    .map(|layer| Undescribed {
                        place: layer.digest.to_string(),
                        size_bytes: layer.size_bytes,
                        made_by: layer.made_by.clone(),
                    })
                    .collect(),
                ..Self::default()
            },
        }
    }

    fn of_bill(packages: &[BillPackage]) -> Self {
        // The bill is sorted by store path, which is what `find` needs.
        let find = |package: &store::StorePath| {
            packages.binary_search_by(|one| one.path.cmp(package)).ok()
        };
        let units = packages.iter().map(|package| Unit {
            key: package.path.to_logical(),
            name: package.name.clone(),
            version: package.version.clone(),
            declared: package.license.clone(),
            ..Unit::default()
        });
        let mut inventory = Self {
            units: units.collect(),
            is_bill: true,
            ..Self::default()
        };
        for (from, package) in packages.iter().enumerate() {
            let references = package.references.iter().filter_map(find);
            inventory
                .edges
                .extend(references.filter(|to| *to != from).map(|to| Edge {
                    from,
                    to,
                    relation: Relation::Reference,
                    evidence: "the bill of materials".to_owned(),
                }));
        }
        inventory.settle();
        inventory.roots = (0..inventory.units.len())
            .filter(|unit| inventory.uses_of(*unit).next().is_none())
            .collect();
        inventory
    }
}
