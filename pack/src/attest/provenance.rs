//! How an image was made: SLSA provenance.
//!
//! Source: SLSA 1.1, "Provenance", `https://slsa.dev/provenance/v1`. What somebody asked for stands under external parameters; every input that could
//! change the result, by digest, under resolved dependencies. There is no time in it, so that the same inputs give the same statement.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    audit::{Gathered, Part},
    layer::FORMAT_VERSION,
};

/// What the statement is called.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What kind of build it is: an image of a closure.
const BUILD_TYPE: &str = "urn:pith:pack:v1";

/// How an image was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// What was asked for.
    pub parameters: Parameters,
    /// Who made it: a URI.
    pub builder: String,
    /// All inputs; sorted, no duplicates.
    pub materials: Vec<Material>,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// The targets, as they were written.
    pub targets: Vec<String>,
    /// What the image runs on.
    pub platforms: Vec<String>,
    /// What was chosen beside that, by name: compression, layers, a plan file's digest.
    pub options: BTreeMap<String, String>,
}

/// An input, with its digests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Material {
    /// Where it is from.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// By algorithm.
    pub digest: BTreeMap<String, String>,
    /// What it was used for.
    pub annotations: BTreeMap<String, String>,
}

impl Provenance {
    /// Makes the provenance of an image of this closure.
    #[must_use]
    pub fn new(gathered: &Gathered, parameters: Parameters, builder: &str) -> Self {
        let materials: BTreeSet<Material> = gathered.parts.iter().flat_map(materials).collect();
        Self {
            parameters,
            builder: builder.to_owned(),
            materials: materials.into_iter().collect(),
        }
    }

    /// Returns the predicate of the statement.
    pub(crate) fn predicate(&self) -> Value {
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.parameters,
                "internalParameters": {"formatVersion": FORMAT_VERSION},
                "resolvedDependencies": self.materials,
            },
            "runDetails": {
                "builder": {"id": self.builder, "version": {"pith-pack": FORMAT_VERSION.to_string()}},
            },
        })
    }
}

/// Returns a store path and what it was made from.
fn materials(part: &Part) -> Vec<Material> {
    let info = &part.info;
    let component = info.component.as_ref();
    let recipe = component.and_then(|of| of.recipe.as_ref());
    let mut found = vec![Material {
        uri: format!("pith:{}", info.path.to_logical()),
        name: info.path.to_string(),
        digest: BTreeMap::from([("pithObject".to_owned(), info.id.to_string())]),
        annotations: annotations("store path", recipe.map(String::as_str)),
    }];
    let user = Some(info.path.name().as_str());
    let Some(facts) = &part.facts else {
        let sources = component.iter().flat_map(|of| &of.sources);
        found.extend(sources.filter_map(|source| {
            let value = source.digest.strip_prefix("sha256:")?;
            let uri = source.urls.first().unwrap_or(&source.name);
            Some(material(
                uri,
                &source.name,
                value,
                annotations("source", user),
            ))
        }));
        return found;
    };
    for source in &facts.sources {
        let mut digest = BTreeMap::new();
        let both = [("sha256", &source.sha256), ("sha512", &source.sha512)];
        for (algorithm, value) in both {
            digest.extend(value.clone().map(|value| (algorithm.to_owned(), value)));
        }
        let nowhere = format!("pith:{}", source.object);
        found.push(Material {
            uri: source.urls.first().cloned().unwrap_or(nowhere),
            name: source.name.clone(),
            digest,
            annotations: annotations("source", user),
        });
    }
    for patch in &facts.patches {
        let uri = format!("pith:patch/{}", patch.name);
        let of = annotations("patch", user);
        found.push(material(&uri, &patch.name, &patch.sha256, of));
    }
    for file in &facts.recipe {
        let uri = format!("pith:recipe/{}", file.label);
        let of = annotations("recipe", None);
        found.push(material(&uri, &file.label, &file.sha256, of));
    }
    found
}

fn material(
    uri: &str,
    name: &str,
    sha256: &str,
    annotations: BTreeMap<String, String>,
) -> Material {
    Material {
        uri: uri.to_owned(),
        name: name.to_owned(),
        digest: BTreeMap::from([("sha256".to_owned(), sha256.to_owned())]),
        annotations,
    }
}

fn annotations(role: &str, of: Option<&str>) -> BTreeMap<String, String> {
    let of = of.map(|of| ("of".to_owned(), of.to_owned()));
    let role = ("role".to_owned(), role.to_owned());
    [role].into_iter().chain(of).collect()
}
