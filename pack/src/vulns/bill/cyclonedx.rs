//! CycloneDX in JSON (ECMA-424). Pure.

use serde::Deserialize;

use super::{Bill, BillError};
use crate::vulns::{Patch, Place, Purl, Relation, Subject, closure::Subjects};

/// How deep components lie in each other: far less than a parser's stack bears.
const MAX_DEPTH: usize = 32;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Part>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    component: Option<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    group: Option<String>,
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    cpe: Option<String>,
    #[serde(default)]
    external_references: Vec<External>,
    #[serde(default)]
    pedigree: Pedigree,
    #[serde(default)]
    components: Vec<Self>,
}

#[derive(Deserialize)]
struct External {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

#[derive(Deserialize, Default)]
struct Pedigree {
    #[serde(default)]
    patches: Vec<Applied>,
}

#[derive(Deserialize)]
struct Applied {
    #[serde(default)]
    resolves: Vec<Issue>,
    #[serde(default)]
    diff: Diff,
}

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize, Default)]
struct Diff {
    #[serde(default)]
    url: Option<String>,
}

/// What components name.
#[derive(Default)]
struct Found {
    software: Subjects,
    images: Vec<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Bill, BillError> {
    let document: Document = serde_json::from_slice(bytes)?;
    let mut all = Found::default();
    let root = document.metadata.component;
    let product = root.as_ref().map(|root| {
        let outside = |purl: &String| Purl::outside(purl).is_some();
        let purl = root.purl.clone().filter(outside);
        purl.unwrap_or_else(|| title(root))
    });
    for part in root
        .iter()
        .flat_map(|root| &root.components)
        .chain(&document.components)
    {
        add(part, None, 0, &mut all)?;
    }
    Ok(Bill {
        product,
        subjects: all.software.finish(),
        images: all.images,
    })
}

fn title(part: &Part) -> String {
    match &part.version {
        Some(version) => format!("{} {version}", part.name),
        None => part.name.clone(),
    }
}

fn add(part: &Part, parent: Option<&Part>, depth: usize, all: &mut Found) -> Result<(), BillError> {
    if depth > MAX_DEPTH {
        return Err(BillError::Deep { limit: MAX_DEPTH });
    }
    if part.kind == "container" {
        all.images.push(title(part));
    // Files and data are no software that anybody gives a name.
    } else if part.kind != "file" && part.kind != "data" {
        let place = Place {
            within: title(parent.unwrap_or(part)),
            relation: parent.map_or(Relation::Itself, |_| Relation::Vendored),
        };
        all.software.add(subject(part), [place]);
    }
    for inner in &part.components {
        add(inner, Some(part), depth + 1, all)?;
    }
    Ok(())
}

fn subject(part: &Part) -> Subject {
    let purl: Option<Purl> = part.purl.as_deref().and_then(Purl::outside);
    let name = match (&part.group, &purl) {
        (_, Some(purl)) => purl.full_name(),
        (Some(group), None) if !group.is_empty() => format!("{group}/{}", part.name),
        _ => part.name.clone(),
    };
    let is_source = |kind: &str| {
        matches!(
            kind,
            "source-distribution" | "distribution" | "vcs" | "website"
        )
    };
    let references = part.external_references.iter();
    let patches = part.pedigree.patches.iter().map(|patch| Patch {
        name: patch
            .diff
            .url
            .clone()
            .unwrap_or_else(|| "pedigree".to_owned()),
        sha256: None,
        fixes: patch
            .resolves
            .iter()
            .filter_map(|issue| issue.id.clone())
            .collect(),
    });
    Subject {
        // A distribution's package is called by its name alone.
        name: match &purl {
            Some(purl) if purl.kind == "deb" => purl.name.clone(),
            _ => name,
        },
        version: part.version.clone().filter(|version| !version.is_empty()),
        purl,
        cpe: part.cpe.clone(),
        urls: references
            .filter(|reference| is_source(&reference.kind))
            .map(|reference| reference.url.clone())
            .collect(),
        debian: Vec::new(),
        patches: patches.filter(|patch| !patch.fixes.is_empty()).collect(),
        places: Vec::new(),
    }
}
