//! Puts a bundle together: what a target is made of, from the store or fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use pack::audit::Gathered;
use pack::audit::inventory::Inventory;
use pack::audit::notice::Notice;
use pack::audit::sources::{
    Bundle, BundledComponent, BundledFile, BundledImage, BundledRecipe, BundledTool, Content, Gap,
    MANIFEST_VERSION, Manifest, Offer, Scope,
};
use pack::layer::FORMAT_VERSION;
use pack::oci::Digest;
use recipes::lang::Evaluator;
use recipes::model::{Builder, Derivation, LocalSource, OutputRef, Platform, Source};
use recipes::plan::{Material, MaterialRole, materials};
use store::{LocalStore, StoreName};

use super::binaries::{Binaries, SourceOf, fetch_sources};
use super::components::{component, fetches, gap, is_component, is_in, is_of_project};
use super::derivations::Derivations;
use super::fetched::{AllFetched, Folder};
use super::licenses::Licenses;
use super::patches::PatchFolders;
use super::project::{self, ProjectFiles, local_sources, placeless};
use crate::context::Context;
use crate::debian::LOCK_FILE;
use crate::debian_lock::DebianLock;
use crate::error::CommandError;
use crate::facts::gather;
use crate::planned::PlannedImage;
use crate::realise::goals;
use crate::selection::Selection;
use crate::target::{Subject, Target};

/// A bundle that is not written yet.
pub(super) struct Collected {
    pub(super) bundle: Bundle,
    pub(super) manifest: Manifest,
    pub(super) gaps: Vec<Gap>,
    /// Keeps what the bundle is written from.
    _kept: (PlannedImage, AllFetched, ProjectFiles),
}

/// What a bundle is to have.
pub(super) struct Wanted<'a> {
    pub(super) target: &'a str,
    /// This machine's, if nothing is said.
    pub(super) platform: Option<Platform>,
    pub(super) scope: Scope,
    pub(super) toolchain: bool,
    pub(super) offer: &'a Offer,
}

/// Builds a target, if it is not built, and collects what it is made of.
pub(super) fn collect(context: &Context, wanted: &Wanted<'_>) -> Result<Collected, CommandError> {
    let &Wanted {
        target,
        platform,
        scope,
        toolchain,
        offer,
    } = wanted;
    let store = context.open_store()?;
    let evaluator = match platform {
        Some(platform) => context.evaluator_for(platform),
        None => context.evaluator(),
    };
    let Asked {
        planned,
        image,
        lock,
    } = Asked::build(context, &store, &evaluator, target)?;
    let goals = goals(std::slice::from_ref(&planned.selection));
    let own = local_sources(&goals)?;
    let materials = materials(&placeless(&goals)?).map_err(CommandError::failed)?;
    let derivations = Derivations::of(materials.iter().map(|one| &one.derivation));
    let (software, tools): (Vec<Material>, Vec<Material>) =
        (materials.into_iter()).partition(|material| material.role == MaterialRole::Software);

    let closure = store.closure(&planned.realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    let inventory = Inventory::of_closure(&gathered, &planned.realised.paths);
    let licenses = Licenses::of(&gathered, &inventory, context)?;
    let chosen: Vec<&Arc<Derivation>> = (software.iter().map(|one| &one.derivation))
        .filter(|one| is_component(one) && is_in(scope, licenses.of_step(one)))
        .collect();
    let of_tools = fetched_tools(&tools, &chosen);
    let needed = toolchain.then_some(&of_tools);
    let (fetched, binaries) = fetch_all(context, &store, &chosen, &licenses, needed)?;
    let mut parts = Parts::default();
    let project = match says_something(&planned.selection, &software) {
        true => project::add(&mut parts.bundle, &own, &evaluator, &store)?,
        false => ProjectFiles::default(),
    };
    parts.gaps.extend(project.gap(&planned.title));
    parts.gaps.extend(planned.base().map(gap_of_base));
    let made = Made {
        gathered: &gathered,
        licenses: &licenses,
        fetched: &fetched,
        binaries: &binaries,
        own: &own,
    };
    parts.add_components(&chosen, &made)?;
    let toolchain_files = list_tools(&of_tools, &fetched);
    parts.add_fetched(&toolchain_files, &fetched);
    let Parts {
        mut bundle,
        components,
        gaps,
    } = parts;
    bundle.add("derivations.json", Content::Bytes(derivations.to_json()));
    let mut recipes = add_recipes(&mut bundle, &evaluator);
    recipes.extend_from_slice(&project.files);
    recipes.extend(lock.map(|lock| add_lock(&mut bundle, &lock)));
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        tool: this_tool(),
        image,
        scope,
        has_toolchain: toolchain,
        components,
        toolchain: toolchain_files,
        recipes,
    };
    let notice = Notice::collect(&planned.title, &gathered, &inventory, &store);
    add_notices(&mut bundle, notice.map_err(CommandError::failed)?);
    bundle.explain(&manifest, &gaps, offer);
    bundle.describe(&manifest, &gaps);
    Ok(Collected {
        bundle,
        manifest,
        gaps,
        _kept: (planned, fetched, project),
    })
}

/// Whether the project is part of what was asked for. Of a package of the collection the project that somebody happens to be in says nothing; what an image is
/// called and has in it besides, only its recipe says.
fn says_something(selection: &Selection, software: &[Material]) -> bool {
    let mut steps = software.iter().map(|one| &one.derivation);
    matches!(selection, Selection::Image(_)) || steps.any(|one| is_of_project(one))
}

/// Nothing tells the sources of what lies below an image.
fn gap_of_base(base: &str) -> Gap {
    Gap {
        component: base.to_owned(),
        license: None,
        reason: "it is the base image: whoever made it has its sources".to_owned(),
    }
}

/// What was asked for, built.
struct Asked {
    planned: PlannedImage,
    image: BundledImage,
    /// What pins it, where it is packages of Debian.
    lock: Option<DebianLock>,
}

impl Asked {
    fn build(
        context: &Context,
        store: &LocalStore,
        evaluator: &Evaluator,
        target: &str,
    ) -> Result<Self, CommandError> {
        let platform = evaluator.platform();
        let subject = target.parse::<Target>()?.subject;
        let (planned, lock) = match &subject {
            Subject::Debian(names) => {
                let lock = DebianLock::of(context, names, platform)?;
                let selection = lock.select(names, platform)?;
                let planned = PlannedImage::of(context, store, evaluator, selection)?;
                (planned, Some(lock))
            }
            _ => {
                let planned = PlannedImage::realise(context, store, evaluator, target)?;
                (planned, None)
            }
        };
        let image = BundledImage {
            target: match subject {
                // Where the project lies is nothing of the image.
                Subject::Project { .. } => planned.title.clone(),
                _ => target.to_owned(),
            },
            platform: platform.system().to_owned(),
            manifest: planned.image(store)?.manifest_digest()?.to_string(),
        };
        Ok(Self {
            planned,
            image,
            lock,
        })
    }
}

fn this_tool() -> BundledTool {
    BundledTool {
        name: "pith".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        format: FORMAT_VERSION,
    }
}

/// The files that only tools are made of.
fn fetched_tools(tools: &[Material], chosen: &[&Arc<Derivation>]) -> BTreeSet<OutputRef> {
    let of_software: BTreeSet<&OutputRef> = (chosen.iter()).flat_map(|one| fetches(one)).collect();
    (tools.iter().map(|one| &one.derivation))
        .filter(|one| matches!(one.builder(), Builder::Fetch(_)))
        .map(|one| OutputRef::default_of(Arc::clone(one)))
        .filter(|one| !of_software.contains(one))
        .collect()
}

/// Fetches what steps are made of, the source packages of binaries among that, and the files of the toolchain.
fn fetch_all(
    context: &Context,
    store: &LocalStore,
    chosen: &[&Arc<Derivation>],
    licenses: &Licenses,
    tools: Option<&BTreeSet<OutputRef>>,
) -> Result<(AllFetched, Binaries), CommandError> {
    let mut fetched = AllFetched::default();
    let sources: BTreeSet<&OutputRef> = (chosen.iter()).flat_map(|one| fetches(one)).collect();
    fetched.fetch(context, store, sources, Folder::Sources)?;
    let named = chosen.iter();
    let named = named.flat_map(|one| &one.metadata().source_packages);
    fetched.fetch(context, store, named, Folder::Sources)?;
    let obliged = chosen
        .iter()
        .filter(|one| is_in(Scope::Obliged, licenses.of_step(one)));
    let obliged = obliged.flat_map(|one| fetches(one));
    let binaries = fetch_sources(context, store, obliged, &mut fetched)?;
    if let Some(tools) = tools {
        fetched.fetch(context, store, tools, Folder::Toolchain)?;
    }
    Ok((fetched, binaries))
}

/// What steps are described by.
#[derive(Clone, Copy)]
struct Made<'a> {
    gathered: &'a Gathered,
    licenses: &'a Licenses,
    fetched: &'a AllFetched,
    binaries: &'a Binaries,
    own: &'a [LocalSource],
}

/// What a bundle is put together from.
#[derive(Default)]
struct Parts {
    bundle: Bundle,
    components: Vec<BundledComponent>,
    gaps: Vec<Gap>,
}

impl Parts {
    /// Describes steps, and finds what is missing of them.
    fn add_components(
        &mut self,
        chosen: &[&Arc<Derivation>],
        made: &Made<'_>,
    ) -> Result<(), CommandError> {
        let Made {
            gathered,
            licenses,
            fetched,
            binaries,
            own,
        } = *made;
        // What is in the image may have been made by a step that a cache ran; what it is called is the same.
        let shipped: BTreeSet<&StoreName> = (gathered.parts.iter().chain(&gathered.linked))
            .map(|part| part.info.path.name())
            .collect();
        let file = |one: &OutputRef| fetched.find(one).map(|found| found.file.clone());
        let mut folders = PatchFolders::default();
        for derivation in chosen {
            let mut outputs = derivation.outputs().iter();
            let is_shipped = outputs.any(|output| shipped.contains(output.store_name()));
            let mut one = component(derivation, licenses.of_step(derivation), is_shipped, &file);
            let mut unsourced = Vec::new();
            for source in fetches(derivation) {
                let name = source.store_name();
                for place in binaries.sources_of(source) {
                    match place {
                        SourceOf::Files(files) => one.source_packages.extend_from_slice(files),
                        missing => unsourced.push(format!("{name}, {missing}")),
                    }
                }
            }
            one.source_packages.sort();
            one.source_packages.dedup();
            one.patches = folders.add(&mut self.bundle, derivation, fetched, own)?;
            self.gaps
                .extend(gap(&one, &unsourced, has_local_files(derivation)));
            self.components.push(one);
        }
        self.components.sort();
        self.gaps.sort();
        self.gaps.dedup();
        Ok(())
    }

    /// Adds what was fetched and is named somewhere; a patch is in the folder of what it is applied to.
    fn add_fetched(&mut self, toolchain: &[BundledFile], fetched: &AllFetched) {
        let files = self.components.iter().flat_map(BundledComponent::files);
        let places: BTreeSet<&str> = (files.chain(toolchain))
            .filter_map(|file| file.file.as_deref())
            .collect();
        for (_, found) in fetched.iter() {
            let place = found.file.file.as_deref();
            if let Some(place) = place.filter(|place| places.contains(place)) {
                self.bundle.add(place, Content::File(found.real.clone()));
            }
        }
    }
}

/// The files of the toolchain, whether they are in the bundle or only named.
fn list_tools(tools: &BTreeSet<OutputRef>, fetched: &AllFetched) -> Vec<BundledFile> {
    let mut files: Vec<BundledFile> = (tools.iter())
        .filter_map(|one| {
            if let Some(found) = fetched.find(one) {
                return Some(found.file.clone());
            }
            let Builder::Fetch(fetch) = one.derivation().builder() else {
                return None;
            };
            Some(BundledFile {
                name: one.store_name().to_string(),
                digest: fetch.digest.to_string(),
                sha256: None,
                file: None,
                urls: fetch.urls.clone(),
            })
        })
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Adds all that was read of the collection.
fn add_recipes(bundle: &mut Bundle, evaluator: &Evaluator) -> Vec<BundledRecipe> {
    let mut recipes = Vec::new();
    for file in evaluator.collection().files_read() {
        let place = format!("recipes/{}", file.path);
        let bytes = file.bytes.into_owned();
        recipes.push(BundledRecipe {
            file: place.clone(),
            sha256: Digest::of(&bytes).to_hex(),
        });
        let content = if file.executable {
            Content::Script(bytes)
        } else {
            Content::Bytes(bytes)
        };
        bundle.add(place, content);
    }
    recipes
}

/// Adds what pins packages of Debian, where a project has it.
fn add_lock(bundle: &mut Bundle, lock: &DebianLock) -> BundledRecipe {
    let bytes = lock.to_text().into_bytes();
    let place = format!("{}/{LOCK_FILE}", project::FOLDER);
    let recipe = BundledRecipe {
        file: place.clone(),
        sha256: Digest::of(&bytes).to_hex(),
    };
    bundle.add(place, Content::Bytes(bytes));
    recipe
}

fn add_notices(bundle: &mut Bundle, notice: Notice) {
    bundle.add("NOTICE.txt", Content::Bytes(notice.to_text()));
    bundle.add("NOTICE.html", Content::Bytes(notice.to_html().into_bytes()));
    for text in notice.texts {
        let place = format!("licenses/{}.txt", text.sha256);
        bundle.add(place, Content::Bytes(text.bytes));
    }
}

fn has_local_files(derivation: &Derivation) -> bool {
    let is_local = |input: &OutputRef| {
        matches!(
            input.derivation().builder(),
            Builder::Source(Source::Local(_))
        )
    };
    derivation.inputs().iter().any(is_local)
}
