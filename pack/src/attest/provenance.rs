//! How an image was made: SLSA provenance.
//!
//! Source: SLSA 1.1, "Provenance", `https://slsa.dev/provenance/v1`. What somebody asked for stands under external parameters; every input that could
//! change the result, by digest, under resolved dependencies. The only time in it is the one that the image claims, an input, so that the same inputs give the same
//! statement; and no directory of the machine is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Serialize;
use serde_json::{Value, json};
use store::{ObjectId, StorePath, facts::RecipeFile};

use crate::{
    Image,
    audit::{Gathered, Part},
    layer::{FORMAT_VERSION, SlotMap},
    oci::Digest,
};

/// What the statement is called.
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// What kind of build it is: an image of a closure.
const BUILD_TYPE: &str = "urn:pith:pack:v1";

/// How tightly builds were confined, by what came out: all levels of those who built it.
pub type SandboxLevels = BTreeMap<ObjectId, BTreeSet<String>>;

/// How an image was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What was asked for.
    pub parameters: Parameters,
    /// Who made it: a URI.
    pub builder: String,
    /// All inputs; sorted, no duplicates.
    pub materials: Vec<Material>,
    /// When the image claims to be made.
    pub created: Option<String>,
    /// The paths that are called otherwise in the image: the path in the store by the path in the image.
    pub stable_paths: BTreeMap<String, StorePath>,
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
    pub fn new(
        image: &Image<'_>,
        gathered: &Gathered,
        levels: &SandboxLevels,
        parameters: Parameters,
        builder: &str,
    ) -> Self {
        let parts = gathered.parts.iter();
        let mut all: BTreeSet<Material> = parts
            .flat_map(|part| materials(part, levels.get(&part.info.id)))
            .collect();
        let base = image.below.as_ref().map(|below| &below.base);
        all.extend(base.map(|base| base_image(base.name(), base.digest())));
        Self {
            parameters,
            builder: builder.to_owned(),
            materials: all.into_iter().collect(),
            created: image.config().created.clone(),
            stable_paths: image.slots().map(SlotMap::originals).unwrap_or_default(),
        }
    }

    /// Returns the predicate of the statement.
    pub(crate) fn predicate(&self) -> Value {
        let mut internal = json!({"formatVersion": FORMAT_VERSION});
        if let Some(created) = &self.created {
            internal["created"] = created.as_str().into();
        }
        if !self.stable_paths.is_empty() {
            internal["stablePaths"] = json!(self.stable_paths);
        }
        json!({
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": self.parameters,
                "internalParameters": internal,
                "resolvedDependencies": self.materials,
            },
            "runDetails": {
                "builder": {"id": self.builder, "version": {"pith-pack": FORMAT_VERSION.to_string()}},
            },
        })
    }
}

/// Returns a store path and what it was made from.
fn materials(part: &Part, levels: Option<&BTreeSet<String>>) -> Vec<Material> {
    let info = &part.info;
    let component = info.component.as_ref();
    let recipe = component.and_then(|of| of.recipe.as_deref());
    let file = part.facts.as_ref().and_then(|facts| facts.recipe.first());
    let recipe = recipe.map(|recipe| place_in_project(recipe, file));
    let mut annotations_of_path = annotations("store path", recipe.as_deref());
    if let Some(levels) = levels {
        let levels: Vec<&str> = levels.iter().map(String::as_str).collect();
        annotations_of_path.insert("sandbox".to_owned(), levels.join(", "));
    }
    let mut found = vec![Material {
        uri: format!("pith:{}", info.path.to_logical()),
        name: info.path.to_string(),
        digest: BTreeMap::from([("pithObject".to_owned(), info.id.to_string())]),
        annotations: annotations_of_path,
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

/// Returns the image that another one lies on.
fn base_image(name: Option<&str>, digest: Digest) -> Material {
    let unnamed = || format!("pith:image/{digest}");
    Material {
        uri: name.map_or_else(unnamed, |name| format!("docker://{name}")),
        name: name.map_or_else(|| "base image".to_owned(), str::to_owned),
        digest: BTreeMap::from([("sha256".to_owned(), digest.to_hex())]),
        annotations: annotations("base image", None),
    }
}

/// Returns the place in a recipe, as `label:line`, without the directory that the project was in when it was built. `file` is the recipe as it was recorded,
/// whose label is its path in the project.
fn place_in_project(recipe: &str, file: Option<&RecipeFile>) -> String {
    // Labels of a collection begin with two slashes.
    if !recipe.starts_with('/') || recipe.starts_with("//") {
        return recipe.to_owned();
    }
    let (path, line) = recipe.rsplit_once(':').unwrap_or((recipe, ""));
    let label = file.map(|file| file.label.as_str());
    let label = label.filter(|label| !label.starts_with('/') && Path::new(path).ends_with(label));
    let name = || path.rsplit('/').next().unwrap_or(path);
    format!("{}:{line}", label.unwrap_or_else(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_named_by_its_place_in_the_project() {
        fn found(recipe: &str, label: Option<&str>) -> String {
            let file = label.map(|label| RecipeFile {
                label: label.to_owned(),
                sha256: String::new(),
            });
            place_in_project(recipe, file.as_ref())
        }
        assert_eq!(found("//zlib/recipe.star:3", None), "//zlib/recipe.star:3");
        assert_eq!(found("pith.star:3", None), "pith.star:3");
        for home in ["/home/one", "/srv/two/three"] {
            let recipe = format!("{home}/lib/app.star:7");
            assert_eq!(found(&recipe, Some("lib/app.star")), "lib/app.star:7");
            let whole = format!("{home}/lib/app.star");
            assert_eq!(found(&recipe, Some(&whole)), "app.star:7");
            assert_eq!(found(&recipe, None), "app.star:7");
        }
    }

    #[test]
    fn a_base_image_is_an_input_with_its_digest() {
        let digest = Digest::of(b"manifest");
        let named = base_image(Some("docker.io/library/debian:12"), digest);
        assert_eq!(named.uri, "docker://docker.io/library/debian:12");
        assert_eq!(named.digest["sha256"], digest.to_hex());
        assert_eq!(base_image(None, digest).uri, format!("pith:image/{digest}"));
    }
}
