//! From a build to the objects with its facts.

use std::collections::BTreeMap;

use rayon::prelude::*;
use store::facts::{Facts, RecipeFile, SourceFacts, facts_name};
use store::{AddObject, AddSource, ContainedComponent, LocalStore, MemoryNode, StorePath};

use super::ObserveError;
use super::digests::sha256;
use super::files::files;
use super::ingredients::{Ingredient, ingredients, patch_outputs, skipped_patches};
use super::source::SourceScan;
use crate::model::{Builder, Derivation};

/// Where the facts lie in their object.
const DOCUMENT: &str = "facts.json";
/// Where the texts lie.
const TEXTS: &str = "texts";
/// What is said of a source that cannot be looked into.
const NOT_HERE: &str = "it was not in the store when this was recorded";

/// Finds the store path of a source, if it is valid.
pub(crate) type SourcePlace<'a> = dyn Fn(&Derivation) -> Option<StorePath> + Sync + 'a;

/// Looks at what is in one store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observer<'a> {
    pub(crate) store: &'a LocalStore,
}

/// What was observed of a derivation, the same for all of its outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    facts: Facts,
    /// The texts that are kept, by the SHA-256 of their bytes.
    texts: BTreeMap<String, Vec<u8>>,
}

impl Observer<'_> {
    /// Looks into everything that a derivation was made from. `contains` says what others' software is in its outputs.
    pub(crate) fn observe(
        &self,
        derivation: &Derivation,
        contains: &[ContainedComponent],
        place: &SourcePlace<'_>,
    ) -> Result<Observed, ObserveError> {
        let mut observed = Observed::default();
        for file in derivation.recipe() {
            let sha256 = observed.keep(file.text.as_bytes().to_vec());
            let label = file.label.clone();
            observed.facts.recipe.push(RecipeFile { label, sha256 });
        }
        let ingredients = ingredients(derivation, contains);
        let sources: Vec<(SourceFacts, SourceScan)> = ingredients
            .par_iter()
            .map(|ingredient| self.source(ingredient, place))
            .collect::<Result<_, _>>()?;
        observed.add_patches(derivation, &ingredients, &sources);
        observed.facts.sources = sources.into_iter().map(|(facts, _)| facts).collect();
        Ok(observed)
    }

    fn source(
        &self,
        ingredient: &Ingredient,
        place: &SourcePlace<'_>,
    ) -> Result<(SourceFacts, SourceScan), ObserveError> {
        let derivation = &ingredient.derivation;
        let name = derivation.name().to_string();
        let path = place(derivation);
        let scan = match &path {
            Some(path) => SourceScan::of(&self.store.real_path(path), &name)?,
            None => SourceScan {
                unread: Some(NOT_HERE.to_owned()),
                ..SourceScan::default()
            },
        };
        let urls = match derivation.builder() {
            Builder::Fetch(fetch) => fetch.urls.clone(),
            _ => Vec::new(),
        };
        let (sha256, sha512) = scan.digests.clone().unzip();
        let facts = SourceFacts {
            name,
            role: ingredient.role,
            urls,
            size: scan.size,
            sha256,
            sha512,
            object: path.map(|path| path.to_string()).unwrap_or_default(),
            purl: ingredient.purl.clone(),
            files: scan.files,
            unread: scan.unread.clone(),
        };
        Ok((facts, scan))
    }

    /// Makes the object with the facts of one output, which is valid.
    pub(crate) fn object(
        &self,
        observed: &Observed,
        output: &StorePath,
    ) -> Result<AddObject<'static>, ObserveError> {
        let facts = Facts {
            files: files(&self.store.real_path(output))?,
            ..observed.facts.clone()
        };
        let mut document = serde_json::to_vec(&facts).map_err(|source| ObserveError::Json {
            path: output.clone(),
            source,
        })?;
        document.push(b'\n');
        let mut tree = MemoryNode::directory();
        let mut insert = |place: String, bytes: &[u8]| {
            let node = MemoryNode::file(bytes);
            tree.insert(place, node)
                .map_err(|source| ObserveError::Tree {
                    path: output.clone(),
                    source,
                })
        };
        insert(DOCUMENT.to_owned(), &document)?;
        for (sha256, bytes) in &observed.texts {
            insert(format!("{TEXTS}/{sha256}"), bytes)?;
        }
        let name = facts_name(output.name()).map_err(|source| ObserveError::Name {
            path: output.clone(),
            source,
        })?;
        Ok(AddObject::new(name, AddSource::Tree(tree)))
    }
}

impl Observed {
    /// Keeps a text, and returns the SHA-256 by which it is found.
    fn keep(&mut self, bytes: Vec<u8>) -> String {
        let name = sha256(&bytes);
        self.texts.entry(name.clone()).or_insert(bytes);
        name
    }

    /// Adds what was applied, in the order in which the builder was told.
    fn add_patches(
        &mut self,
        derivation: &Derivation,
        ingredients: &[Ingredient],
        sources: &[(SourceFacts, SourceScan)],
    ) {
        let skipped = skipped_patches(derivation);
        for output in patch_outputs(derivation) {
            let is_it = |one: &Ingredient| one.derivation.id() == output.derivation().id();
            let Some(number) = ingredients.iter().position(is_it) else {
                continue;
            };
            if let (Some((facts, scan)), Ok(place)) = (sources.get(number), u32::try_from(number)) {
                let applied = scan.patches.applied(&facts.name, place, &skipped);
                self.facts.patches.extend(applied);
            }
        }
    }
}
