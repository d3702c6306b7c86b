//! What is recorded with an output about where it comes from. Never part of an identity. Pure.

use store::{Component, ComponentSource};

use crate::model::{Builder, Derivation, Fetch};

/// Returns the facts that a recipe states about a derivation; what its builder says is not among them.
pub(super) fn component(derivation: &Derivation) -> Component {
    let metadata = derivation.metadata();
    let sources = match derivation.builder() {
        Builder::Fetch(fetch) => vec![source(derivation, fetch)],
        _ => derivation
            .sources()
            .into_iter()
            .filter_map(|output| match output.derivation().builder() {
                Builder::Fetch(fetch) => Some(source(output.derivation(), fetch)),
                _ => None,
            })
            .collect(),
    };
    let name = if metadata.name.is_empty() {
        derivation.name().to_string()
    } else {
        metadata.name.clone()
    };
    Component {
        name,
        version: metadata.version.clone(),
        license: metadata.license.clone(),
        license_evidence: None,
        description: metadata.description.clone(),
        homepage: metadata.homepage.clone(),
        cpe: metadata.cpe.clone(),
        purl: metadata.purl.clone(),
        maintainers: metadata.maintainers.clone(),
        sources,
        recipe: derivation.recipe_line(),
        deprecated: metadata.deprecated.clone(),
        unshipped: metadata.unshipped.clone(),
        contains: Vec::new(),
        linked: None,
        uses: None,
        facts: None,
    }
}

fn source(derivation: &Derivation, fetch: &Fetch) -> ComponentSource {
    ComponentSource {
        name: derivation.name().to_string(),
        urls: fetch.urls.clone(),
        digest: fetch.digest.to_string(),
    }
}
