//! From a build to the objects with its facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use store::facts::{
    CopyrightFacts, Facts, LinkFacts, LinkKind, RecipeFile, SourceFacts, SourceRole, TextFacts,
    facts_name,
};
use store::{
    AddObject, AddSource, ContainedComponent, LinkedComponent, LocalStore, MemoryNode, StorePath,
    UsedObject,
};

use super::ObserveError;
use super::archive::visit;
use super::digests::sha256;
use super::error::at;
use super::files::files;
use super::ingredients::{Ingredient, ingredients, patch_outputs, skipped_patches};
use super::kept::kept;
use super::links::{LinkedOutput, copied, links, used};
use super::source::SourceScan;
use super::stated::read_stated;
use super::texts::{Gatherer, SourceTexts};
use super::toolchain::Package;
use crate::model::{Builder, Derivation};

/// Where the facts lie in their object.
pub(crate) const DOCUMENT: &str = "facts.json";
/// Where the texts lie.
const TEXTS: &str = "texts";
/// Where an unpacked package has its documentation.
const DOCUMENTATION: &str = "root/usr/share/doc";
/// What is said of a source that cannot be looked into.
const NOT_HERE: &str = "it was not in the store when this was recorded";

/// Finds the store path of a source, if it is valid.
pub(crate) type SourcePlace<'a> = dyn Fn(&Derivation) -> Option<StorePath> + Sync + 'a;

/// Looks at what is in one store.
#[derive(Clone, Copy)]
pub(crate) struct Observer<'a> {
    pub(crate) store: &'a LocalStore,
    /// What is looked at.
    pub(crate) derivation: &'a Derivation,
    /// Where its sources are.
    pub(crate) place: &'a SourcePlace<'a>,
}

/// Where the links of outputs are known from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinksFrom<'a> {
    /// The build that has just ended.
    Build(LinkedOutput<'a>),
    /// Facts of an older version, by output: their build is over.
    Facts(&'a BTreeMap<StorePath, Facts>),
}

/// What was observed of a derivation, the same for all of its outputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    facts: Facts,
    /// The texts that are kept, by the SHA-256 of their bytes.
    texts: BTreeMap<String, Vec<u8>>,
}

/// The facts of one output on their way into the store.
#[derive(Debug)]
pub(crate) struct OutputFacts {
    /// The object to add.
    pub(crate) object: AddObject<'static>,
    /// What of it is recorded with the output itself.
    pub(crate) linked: Vec<LinkedComponent>,
    /// The other objects that it needs, recorded with it as well.
    pub(crate) uses: Vec<UsedObject>,
}

impl Observer<'_> {
    /// Looks into everything that a derivation was made from. `contains` says what others' software is in its outputs.
    pub(crate) fn observe(
        &self,
        contains: &[ContainedComponent],
    ) -> Result<Observed, ObserveError> {
        let derivation = self.derivation;
        let mut observed = Observed::default();
        for file in derivation.recipe() {
            let sha256 = observed.keep(file.text.as_bytes().to_vec());
            let label = file.label.clone();
            observed.facts.recipe.push(RecipeFile { label, sha256 });
        }
        let ingredients = ingredients(derivation, contains);
        let sources: Vec<(SourceFacts, SourceScan)> = ingredients
            .par_iter()
            .map(|ingredient| self.source(ingredient))
            .collect::<Result<_, _>>()?;
        observed.add_patches(derivation, &ingredients, &sources);
        for (place, (facts, scan)) in (0..).zip(sources) {
            observed.facts.sources.push(facts);
            observed.add_texts(place, scan.texts);
        }
        for contained in contains {
            let package = Package::find_standard_library(derivation, &contained.purl);
            let Some(package) = package else { continue };
            let purl = contained.purl.clone();
            let (facts, scan) = self.toolchain(&Package { purl, ..package })?;
            observed.add_source(facts, scan.texts);
        }
        Ok(observed)
    }

    /// Looks into a package of the seed.
    fn toolchain(&self, package: &Package) -> Result<(SourceFacts, SourceScan), ObserveError> {
        let ingredient = Ingredient {
            derivation: Arc::clone(&package.derivation),
            role: SourceRole::Toolchain,
            purl: Some(package.purl.clone()),
        };
        let (facts, scan) = self.source(&ingredient)?;
        let license = package.license.map(str::to_owned);
        Ok((SourceFacts { license, ..facts }, scan))
    }

    /// Adds the packages of the seed of which something is in the files that were linked so. Start files and helpers of the compiler are in every program, under
    /// terms made for that: it is said which package they are of, and not what else that says.
    fn add_linked(&self, observed: &mut Observed, links: &[LinkFacts]) -> Result<(), ObserveError> {
        let mut packages: BTreeMap<&str, bool> = BTreeMap::new();
        for input in links.iter().flat_map(|link| &link.inputs) {
            if let (None, Some(component)) = (&input.object, &input.component) {
                *packages.entry(component).or_default() |= input.kind == LinkKind::Static;
            }
        }
        for (name, has_content) in packages {
            let Some(package) = Package::find(self.derivation, name) else {
                continue;
            };
            let (facts, scan) = self.toolchain(&package)?;
            let texts = if has_content {
                scan.texts
            } else {
                SourceTexts::default()
            };
            observed.add_source(facts, texts);
        }
        Ok(())
    }

    /// Adds what maintainers of Debian say of an unpacked package, the file `copyright` of its documentation, to what was observed of it. The package itself is
    /// the source that it lies in.
    pub(crate) fn add_copyright(
        &self,
        observed: &mut Observed,
        output: &StorePath,
    ) -> Result<(), ObserveError> {
        let root = self.store.real_path(output);
        let documentation = root.join(DOCUMENTATION);
        if !documentation.is_dir() {
            return Ok(());
        }
        let mut gatherer = Gatherer::default();
        let visited = visit(&documentation, "", &mut |path, _, bytes| {
            if !path.ends_with("/copyright") {
                return Ok(());
            }
            gatherer.take(&format!("{DOCUMENTATION}/{path}"), bytes)
        });
        visited.map_err(at(&documentation))?;
        observed.add_texts(0, gatherer.finish());
        Ok(())
    }

    fn source(&self, ingredient: &Ingredient) -> Result<(SourceFacts, SourceScan), ObserveError> {
        let derivation = &ingredient.derivation;
        let name = derivation.name().to_string();
        let path = (self.place)(derivation);
        let scan = match &path {
            Some(path) => kept(self.store, path, || {
                SourceScan::of(&self.store.real_path(path), &name)
            })?,
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
        let stated = path.as_ref().zip(ingredient.purl.as_deref());
        let stated =
            stated.and_then(|(path, purl)| read_stated(&self.store.real_path(path), &name, purl));
        let facts = SourceFacts {
            name,
            role: ingredient.role,
            urls,
            size: scan.size,
            sha256,
            sha512,
            object: path.map(|path| path.to_string()).unwrap_or_default(),
            purl: ingredient.purl.clone(),
            license: None,
            files: scan.files,
            unread: scan.unread.clone(),
            stated,
        };
        Ok((facts, scan))
    }

    /// Whether everything that older facts say of sources is seen now as well. Packages of the toolchain are looked into again by what was linked.
    pub(crate) fn covers(&self, observed: &Observed, older: &Facts) -> bool {
        let is_here = |one: &SourceFacts| {
            let path: Option<StorePath> = one.object.parse().ok();
            path.is_some_and(|path| matches!(self.store.path_info(&path), Ok(Some(_))))
        };
        let is_seen = |one: &SourceFacts| {
            let mut sources = observed.facts.sources.iter();
            sources.any(|source| source.sha256 == one.sha256 && source.name == one.name)
                || (one.role == SourceRole::Toolchain && is_here(one))
        };
        let mut known = older.sources.iter().filter(|source| source.is_observed());
        known.all(is_seen)
    }

    /// Makes the object with the facts of one output, which is valid.
    pub(crate) fn object(
        &self,
        observed: &Observed,
        output: &StorePath,
        from: LinksFrom<'_>,
    ) -> Result<OutputFacts, ObserveError> {
        let files = files(&self.store.real_path(output))?;
        let links = match from {
            LinksFrom::Build(linked) => links(self.store, output, &files, &linked)?,
            LinksFrom::Facts(known) => known
                .get(output)
                .map(|facts| facts.links.clone())
                .unwrap_or_default(),
        };
        let mut observed = observed.clone();
        self.add_linked(&mut observed, &links)?;
        let facts = Facts {
            links,
            files,
            ..observed.facts
        };
        let linked = copied(self.store, output, &facts)?;
        let uses = used(output, &facts);
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
                    source: Box::new(source),
                })
        };
        insert(DOCUMENT.to_owned(), &document)?;
        for (sha256, bytes) in &observed.texts {
            insert(format!("{TEXTS}/{sha256}"), bytes)?;
        }
        let name = facts_name(output.name()).map_err(|source| ObserveError::Name {
            path: output.clone(),
            source: Box::new(source),
        })?;
        Ok(OutputFacts {
            object: AddObject::new(name, AddSource::Tree(tree)),
            linked,
            uses,
        })
    }
}

impl Observed {
    /// Keeps a text, and returns the SHA-256 by which it is found.
    fn keep(&mut self, bytes: Vec<u8>) -> String {
        let name = sha256(&bytes);
        self.texts.entry(name.clone()).or_insert(bytes);
        name
    }

    /// Adds a source after the others, and what it says.
    fn add_source(&mut self, source: SourceFacts, said: SourceTexts) {
        // No derivation has four billion sources.
        let Ok(place) = u32::try_from(self.facts.sources.len()) else {
            return;
        };
        self.facts.sources.push(source);
        self.add_texts(place, said);
    }

    /// Adds what the source number `source` says of licenses.
    fn add_texts(&mut self, source: u32, said: SourceTexts) {
        for text in said.texts {
            let size = text.bytes.len() as u64;
            let sha256 = self.keep(text.bytes);
            self.facts.texts.push(TextFacts {
                sha256,
                normal: text.normal,
                kind: text.kind,
                source,
                path: text.path,
                size,
            });
        }
        let findings = said.findings.into_iter().map(|one| one.of(source));
        self.facts.findings.extend(findings);
        let copyrights = said
            .copyrights
            .into_iter()
            .map(|(statement, files)| CopyrightFacts {
                source,
                statement,
                files,
            });
        self.facts.copyrights.extend(copyrights);
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
