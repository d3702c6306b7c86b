//! SPDX 3.0 in JSON-LD. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Bill;
use crate::vulns::{Place, Purl, Relation, Subject, closure::Subjects};

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "@graph")]
    graph: Vec<Element>,
}

/// Any element; what it has depends on its type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    spdx_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "software_packageVersion")]
    version: Option<String>,
    #[serde(default, rename = "software_packageUrl")]
    purl: Option<String>,
    #[serde(default, rename = "software_primaryPurpose")]
    purpose: Option<String>,
    #[serde(default, rename = "software_downloadLocation")]
    download: Option<String>,
    #[serde(default, rename = "software_homePage")]
    homepage: Option<String>,
    #[serde(default)]
    external_identifier: Vec<Identifier>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    relationship_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identifier {
    external_identifier_type: String,
    identifier: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<Bill, serde_json::Error> {
    let document: Document = serde_json::from_slice(bytes)?;
    let packages = || {
        document
            .graph
            .iter()
            .filter(|one| one.kind == "software_Package")
    };
    let is_image = |one: &&Element| one.purpose.as_deref() == Some("container");
    let software: BTreeMap<&str, &Element> = packages()
        .filter(|one| !is_image(one))
        .map(|one| (one.spdx_id.as_str(), one))
        .collect();
    let mut places: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for element in &document.graph {
        let relation = match element.relationship_type.as_deref() {
            Some("contains") => Relation::Vendored,
            Some("hasStaticLink") => Relation::Static,
            _ => continue,
        };
        let parent = element.from.as_deref().and_then(|from| software.get(from));
        if let Some(parent) = parent {
            for to in &element.to {
                let within = title(parent);
                places
                    .entry(to)
                    .or_default()
                    .push(Place { within, relation });
            }
        }
    }
    let mut all = Subjects::default();
    for (id, element) in &software {
        let own = || {
            vec![Place {
                within: title(element),
                relation: Relation::Itself,
            }]
        };
        all.add(subject(element), places.remove(id).unwrap_or_else(own));
    }
    let mut images = packages().filter(is_image).map(title);
    Ok(Bill {
        product: images.next(),
        images: images.collect(),
        subjects: all.finish(),
    })
}

fn title(element: &Element) -> String {
    let name = element.name.as_deref().unwrap_or(&element.spdx_id);
    match &element.version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}

fn subject(element: &Element) -> Subject {
    let of_kind = |kind: &str| {
        let mut identifiers = element.external_identifier.iter();
        let found = identifiers.find(|one| one.external_identifier_type.starts_with(kind));
        found.map(|one| one.identifier.clone())
    };
    let purl = element.purl.clone().or_else(|| of_kind("packageUrl"));
    let purl: Option<Purl> = purl.and_then(|purl| Purl::outside(&purl));
    let urls = element.download.iter().chain(&element.homepage);
    Subject {
        name: element
            .name
            .clone()
            .unwrap_or_else(|| element.spdx_id.clone()),
        version: element.version.clone(),
        purl,
        cpe: of_kind("cpe2"),
        urls: urls.cloned().collect(),
        ..Subject::default()
    }
}
