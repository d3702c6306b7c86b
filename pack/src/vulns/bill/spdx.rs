//! SPDX 2.3 in JSON (ISO/IEC 5962). Pure.

use std::collections::BTreeMap;

use super::Bill;
use crate::attest::{SpdxDocument, SpdxPackage, SpdxRelationship};
use crate::vulns::{Place, Purl, Relation, Subject, closure::Subjects};

pub(super) fn read(bytes: &[u8]) -> Result<Bill, serde_json::Error> {
    let document: SpdxDocument = serde_json::from_slice(bytes)?;
    let is_image =
        |package: &&SpdxPackage| package.primary_package_purpose.as_deref() == Some("CONTAINER");
    let software: BTreeMap<&str, &SpdxPackage> = document
        .packages
        .iter()
        .filter(|package| !is_image(package))
        .map(|package| (package.id.as_str(), package))
        .collect();
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for relationship in &document.relationships {
        let relation = match relationship.kind.as_str() {
            "CONTAINS" => Relation::Vendored,
            "STATIC_LINK" => Relation::Static,
            _ => continue,
        };
        if let Some(parent) = software.get(relationship.from.as_str()) {
            let place = Place {
                within: title(parent),
                relation,
            };
            let of = places.entry(&relationship.to).or_default();
            of.push(place);
        }
    }
    let mut all = Subjects::default();
    for (id, package) in &software {
        let own = || {
            vec![Place {
                within: title(package),
                relation: Relation::Itself,
            }]
        };
        all.add(subject(package), places.remove(id).unwrap_or_else(own));
    }
    let mut images = document.packages.iter().filter(is_image);
    // The first one: what it is about comes before what that lies on.
    let product = images.next().map(title);
    let images = images.filter(|image| !is_described(image, &document.relationships));
    Ok(Bill {
        product,
        images: images.map(title).collect(),
        subjects: all.finish(),
    })
}

/// Whether a document says what is in an image, and not that there is something else in it.
fn is_described(image: &SpdxPackage, relationships: &[SpdxRelationship]) -> bool {
    let contents = || {
        let contained = |one: &&SpdxRelationship| one.from == image.id && one.kind == "CONTAINS";
        relationships.iter().filter(contained)
    };
    contents().next().is_some() && contents().all(|one| one.to != "NOASSERTION")
}

fn title(package: &SpdxPackage) -> String {
    match (&package.package_file_name, &package.version_info) {
        (Some(path), _) if path.starts_with('/') => path.clone(),
        (_, Some(version)) => format!("{} {version}", package.name),
        _ => package.name.clone(),
    }
}

fn subject(package: &SpdxPackage) -> Subject {
    let purl = package.external("purl").and_then(Purl::outside);
    let urls = package.download_location.iter().chain(&package.homepage);
    Subject {
        name: package.name.clone(),
        version: package.version_info.clone(),
        purl,
        cpe: package.external("cpe2").map(str::to_owned),
        urls: urls.filter(|url| url.contains("://")).cloned().collect(),
        ..Subject::default()
    }
}
