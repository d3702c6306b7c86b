//! Puts a bundle together: what a target is made of, from the store or fetched.

use std::collections::BTreeSet;
use std::sync::Arc;

use pack::audit::Gathered;
use pack::audit::notice::Notice;
use pack::audit::sources::{
    Bundle, BundledFile, BundledImage, BundledRecipe, BundledTool, Content, Gap, MANIFEST_VERSION,
    Manifest, Offer, Scope,
};
use pack::layer::FORMAT_VERSION;
use pack::oci::Digest;
use recipes::lang::Evaluator;
use recipes::model::{Builder, Derivation, OutputRef, Source};
use recipes::plan::{Material, MaterialRole, materials};
use store::{LocalStore, StoreName};

use super::binaries::{SourceOf, fetch_sources};
use super::components::{component, fetches, gap, is_component, is_in};
use super::fetched::{AllFetched, Folder};
use crate::context::Context;
use crate::error::CommandError;
use crate::facts::gather;
use crate::planned::PlannedImage;
use crate::realise::goals;

/// A bundle that is not written yet.
pub(super) struct Collected {
    pub(super) bundle: Bundle,
    pub(super) manifest: Manifest,
    pub(super) gaps: Vec<Gap>,
    /// Keeps what the bundle is written from.
    _kept: (PlannedImage, AllFetched),
}

/// Builds a target, if it is not built, and collects what it is made of.
pub(super) fn collect(
    context: &Context,
    target: &str,
    scope: Scope,
    toolchain: bool,
    offer: &Offer,
) -> Result<Collected, CommandError> {
    let store = context.open_store()?;
    let evaluator = context.evaluator();
    let planned = PlannedImage::realise(context, &store, &evaluator, target)?;
    let image = planned.image(&store)?.manifest_digest()?;
    let wanted = goals(std::slice::from_ref(&planned.selection));
    let materials = materials(&wanted).map_err(CommandError::failed)?;
    let (software, tools): (Vec<Material>, Vec<Material>) =
        (materials.into_iter()).partition(|material| material.role == MaterialRole::Software);

    let chosen: Vec<&Arc<Derivation>> = (software.iter().map(|one| &one.derivation))
        .filter(|one| is_component(one) && is_in(scope, one))
        .collect();
    let of_software: BTreeSet<&OutputRef> = (chosen.iter()).flat_map(|one| fetches(one)).collect();
    let of_tools: BTreeSet<OutputRef> = (tools.iter().map(|one| &one.derivation))
        .filter(|one| matches!(one.builder(), Builder::Fetch(_)))
        .map(|one| OutputRef::default_of(Arc::clone(one)))
        .filter(|one| !of_software.contains(one))
        .collect();
    let mut fetched = AllFetched::default();
    fetched.fetch(context, &store, of_software, Folder::Sources)?;
    let named = chosen
        .iter()
        .flat_map(|one| &one.metadata().source_packages);
    fetched.fetch(context, &store, named, Folder::Sources)?;
    let obliged = chosen.iter().filter(|one| is_in(Scope::Obliged, one));
    let obliged = obliged.flat_map(|one| fetches(one));
    let binaries = fetch_sources(context, &store, obliged, &mut fetched)?;
    if toolchain {
        fetched.fetch(context, &store, &of_tools, Folder::Toolchain)?;
    }

    let closure = store.closure(&planned.realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    // What is in the image may have been made by a step that a cache ran; what it is called is the same.
    let shipped: BTreeSet<&StoreName> = (gathered.parts.iter().chain(&gathered.linked))
        .map(|part| part.info.path.name())
        .collect();
    let is_shipped = |derivation: &Derivation| {
        let mut outputs = derivation.outputs().iter();
        outputs.any(|output| shipped.contains(output.store_name()))
    };
    let mut components = Vec::new();
    let mut gaps = Vec::new();
    for derivation in chosen {
        let file = |one: &OutputRef| fetched.find(one).map(|found| found.file.clone());
        let mut one = component(derivation, is_shipped(derivation), &file);
        let mut unsourced = Vec::new();
        for source in fetches(derivation) {
            let name = source.store_name();
            match binaries.source_of(source) {
                None => {}
                Some(SourceOf::Files(files)) => one.source_packages.extend_from_slice(files),
                Some(missing) => unsourced.push(format!("{name}, {missing}")),
            }
        }
        one.source_packages.sort();
        one.source_packages.dedup();
        gaps.extend(gap(&one, &unsourced, has_local_files(derivation)));
        components.push(one);
    }
    components.sort();
    gaps.sort();
    gaps.dedup();

    let mut bundle = Bundle::default();
    for (_, found) in fetched.iter() {
        if let Some(place) = &found.file.file {
            bundle.add(place.clone(), Content::File(found.real.clone()));
        }
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        tool: BundledTool {
            name: "pith".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format: FORMAT_VERSION,
        },
        image: BundledImage {
            target: target.to_owned(),
            platform: evaluator.platform().system().to_owned(),
            manifest: image.to_string(),
        },
        scope,
        has_toolchain: toolchain,
        components,
        toolchain: list_tools(&of_tools, &fetched),
        recipes: add_recipes(&mut bundle, &evaluator)?,
    };
    add_notices(&mut bundle, &planned.title, &gathered, &store)?;
    bundle.explain(&manifest, &gaps, offer);
    bundle.describe(&manifest, &gaps);
    Ok(Collected {
        bundle,
        manifest,
        gaps,
        _kept: (planned, fetched),
    })
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
fn add_recipes(
    bundle: &mut Bundle,
    evaluator: &Evaluator,
) -> Result<Vec<BundledRecipe>, CommandError> {
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
    Ok(recipes)
}

fn add_notices(
    bundle: &mut Bundle,
    title: &str,
    gathered: &Gathered,
    store: &LocalStore,
) -> Result<(), CommandError> {
    let notice = Notice::collect(title, gathered, store).map_err(CommandError::failed)?;
    bundle.add("NOTICE.txt", Content::Bytes(notice.to_text()));
    bundle.add("NOTICE.html", Content::Bytes(notice.to_html().into_bytes()));
    for text in notice.texts {
        let place = format!("licenses/{}.txt", text.sha256);
        bundle.add(place, Content::Bytes(text.bytes));
    }
    Ok(())
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
