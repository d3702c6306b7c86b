//! What the documents say of store paths that are attached to an image: provenance and a bill of materials.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use store::StorePath;

use super::{Background, TracedSource};
use crate::existing::{BillPackage, parse_bill};

/// What is attached to an image, by store path. It is believed as it stands: who signed it is another question.
#[derive(Debug, Clone, Default)]
pub struct Attested {
    packages: Vec<BillPackage>,
    materials: Vec<Material>,
}

/// What an image was made from: SLSA provenance v1, `resolvedDependencies`, with the annotations of [`Provenance`](crate::attest::Provenance).
#[derive(Debug, Clone, Deserialize)]
struct Material {
    uri: String,
    name: String,
    #[serde(default)]
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Material {
    /// Whether it is something of this kind that was used for `of`.
    fn is(&self, role: &str, of: &str) -> bool {
        let has = |key: &str, value: &str| self.annotations.get(key).is_some_and(|it| it == value);
        has("role", role) && has("of", of)
    }

    fn sha256(&self) -> Option<&String> {
        self.digest.get("sha256")
    }
}

impl Attested {
    /// Reads a bill in SPDX 2.3 and the predicate of a provenance. What is of another shape says nothing.
    #[must_use]
    pub fn new(bill: Option<&[u8]>, provenance: Option<&Value>) -> Self {
        let packages = bill.and_then(|bill| parse_bill(bill).ok());
        let materials = provenance.map(|it| &it["buildDefinition"]["resolvedDependencies"]);
        let materials = materials.and_then(|list| Vec::deserialize(list).ok());
        Self {
            packages: packages.unwrap_or_default(),
            materials: materials.unwrap_or_default(),
        }
    }

    /// Says where a file of a store path comes from; none where no document names that.
    #[must_use]
    pub fn background(&self, path: &StorePath, file: &str) -> Option<Background> {
        let package = self.packages.iter().find(|package| package.path == *path);
        let base = path.to_string();
        let own = self.materials.iter().find(|one| {
            let role = one.annotations.get("role").map(String::as_str);
            one.name == base && role == Some("store path")
        });
        if package.is_none() && own.is_none() {
            return None;
        }
        let mut background = package
            .map(|package| Background::of_bill(package, file))
            .unwrap_or_default();
        if background.component.is_empty() {
            background.component = path.name().to_string();
        }
        background.known_from = "attestations";
        background.recipe = own.and_then(|own| own.annotations.get("of").cloned());
        // The recipe's label without the line.
        let label = background.recipe.as_deref();
        let label = label.and_then(|recipe| recipe.rsplit_once(':').map(|(label, _)| label));
        let recipes = self.materials.iter().filter(|one| {
            let role = one.annotations.get("role").map(String::as_str);
            role == Some("recipe") && Some(one.name.as_str()) == label
        });
        background.recipe_files = recipes
            .filter_map(|one| Some((one.name.clone(), one.sha256()?.clone())))
            .collect();
        let name = path.name().as_str();
        let sources = self.materials.iter().filter(|one| one.is("source", name));
        background.sources = sources
            .map(|one| TracedSource {
                name: one.name.clone(),
                digest: one.sha256().map(|hex| format!("sha256:{hex}")),
                urls: Some(one.uri.clone())
                    .filter(|uri| !uri.starts_with("pith:"))
                    .into_iter()
                    .collect(),
                role: None,
            })
            .collect();
        let patches = self.materials.iter().filter(|one| one.is("patch", name));
        background.patches = patches
            .filter_map(|one| Some((one.name.clone(), one.sha256()?.clone(), Vec::new())))
            .collect();
        Some(background)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn provenance_names_the_recipe_and_the_sources_of_a_store_path() {
        let path: StorePath = "0000000000000000000000000000000000000000-hello-2.10"
            .parse()
            .expect("it is a store path");
        let material = |name: &str, role: &str, of: &str, sha256: &str| {
            json!({
                "uri": format!("mirror://gnu/{name}"),
                "name": name,
                "digest": {"sha256": sha256},
                "annotations": {"role": role, "of": of},
            })
        };
        let provenance = json!({"buildDefinition": {"resolvedDependencies": [
            material(&path.to_string(), "store path", "//hello/recipe.star:3", "00"),
            material("hello.tar.gz", "source", "hello-2.10", "aa"),
            material("zlib.tar.gz", "source", "zlib-1.3", "bb"),
            material("fix.patch", "patch", "hello-2.10", "cc"),
            material("//hello/recipe.star", "recipe", "", "dd"),
            material("//zlib/recipe.star", "recipe", "", "ee"),
        ]}});
        let attested = Attested::new(None, Some(&provenance));
        let found = attested.background(&path, "bin/hello");
        let found = found.expect("it is named");
        assert_eq!(found.component, "hello-2.10");
        assert_eq!(found.recipe.as_deref(), Some("//hello/recipe.star:3"));
        let pair = |name: &str, sha256: &str| (name.to_owned(), sha256.to_owned());
        assert_eq!(found.recipe_files, [pair("//hello/recipe.star", "dd")]);
        let sources: Vec<&str> = found.sources.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(sources, ["hello.tar.gz"]);
        assert_eq!(found.sources[0].digest.as_deref(), Some("sha256:aa"));
        assert_eq!(found.patches.len(), 1);
        let other = "1111111111111111111111111111111111111111-hello-2.10";
        let other: StorePath = other.parse().expect("it is a store path");
        assert_eq!(attested.background(&other, ""), None);
        assert_eq!(Attested::new(Some(b"{"), None).background(&path, ""), None);
    }
}
