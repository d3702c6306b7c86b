//! SPDX 2.3 in JSON (ISO/IEC 5962). Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Bill;
use crate::vulns::{Place, Purl, Relation, Subject, closure::Subjects};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    packages: Vec<Package>,
    #[serde(default)]
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(default)]
    version_info: Option<String>,
    #[serde(default)]
    package_file_name: Option<String>,
    #[serde(default)]
    download_location: Option<String>,
    #[serde(default)]
    homepage: Option<String>,
    #[serde(default)]
    primary_package_purpose: Option<String>,
    #[serde(default)]
    external_refs: Vec<External>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    reference_type: String,
    reference_locator: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: String,
    related_spdx_element: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<Bill, serde_json::Error> {
    let document: Document = serde_json::from_slice(bytes)?;
    let is_image =
        |package: &&Package| package.primary_package_purpose.as_deref() == Some("CONTAINER");
    let software: BTreeMap<&str, &Package> = document
        .packages
        .iter()
        .filter(|package| !is_image(package))
        .map(|package| (package.id.as_str(), package))
        .collect();
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for relationship in &document.relationships {
        let relation = match relationship.relationship_type.as_str() {
            "CONTAINS" => Relation::Vendored,
            "STATIC_LINK" => Relation::Static,
            _ => continue,
        };
        if let Some(parent) = software.get(relationship.spdx_element_id.as_str()) {
            let place = Place {
                within: title(parent),
                relation,
            };
            let of = places
                .entry(&relationship.related_spdx_element)
                .or_default();
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
    let mut images = document.packages.iter().filter(is_image).map(title);
    Ok(Bill {
        // The first one: what it is about comes before what that lies on.
        product: images.next(),
        images: images.collect(),
        subjects: all.finish(),
    })
}

fn title(package: &Package) -> String {
    match (&package.package_file_name, &package.version_info) {
        (Some(path), _) if path.starts_with('/') => path.clone(),
        (_, Some(version)) => format!("{} {version}", package.name),
        _ => package.name.clone(),
    }
}

fn subject(package: &Package) -> Subject {
    let mut references = package.external_refs.iter();
    let purl = references.clone().find(|one| one.reference_type == "purl");
    let cpe = references.find(|one| one.reference_type.starts_with("cpe2"));
    let purl: Option<Purl> = purl.and_then(|one| Purl::outside(&one.reference_locator));
    let urls = package.download_location.iter().chain(&package.homepage);
    Subject {
        name: package.name.clone(),
        version: package.version_info.clone(),
        purl,
        cpe: cpe.map(|one| one.reference_locator.clone()),
        urls: urls.filter(|url| url.contains("://")).cloned().collect(),
        ..Subject::default()
    }
}
