//! Puts a bundle together: what a target is made of, from the store or fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use pack::audit::Gathered;
use pack::audit::notice::Notice;
use pack::audit::sources::{
    Bundle, BundledFile, BundledImage, BundledRecipe, BundledTool, Content, Gap, MANIFEST_VERSION,
    Manifest, Offer, Scope,
};
use pack::layer::FORMAT_VERSION;
use pack::oci::Digest;
use recipes::lang::{Evaluator, Package};
use recipes::model::{Builder, ContentDigest, Derivation, OutputRef, Source};
use recipes::plan::{Material, MaterialRole, materials};
use store::{LocalStore, StorePath};

use super::components::{component, fetches, gap, is_in};
use crate::context::Context;
use crate::error::CommandError;
use crate::facts::gather;
use crate::planned::PlannedImage;
use crate::realise::{RealiseOptions, Realised, goals, realise};
use crate::select::Selection;

/// A bundle that is not written yet.
pub(super) struct Collected {
    pub(super) bundle: Bundle,
    pub(super) manifest: Manifest,
    pub(super) gaps: Vec<Gap>,
    /// Keeps what the bundle is written from.
    _kept: (PlannedImage, Realised),
}

/// A file that was fetched: where it lies on this disk, and what the bundle says of it.
struct Fetched {
    real: PathBuf,
    file: BundledFile,
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
        .filter(|one| !matches!(one.builder(), Builder::Fetch(_) | Builder::Source(_)))
        .filter(|one| is_in(scope, one))
        .collect();
    let of_software: BTreeSet<OutputRef> = (chosen.iter())
        .flat_map(|one| fetches(one).into_iter().cloned())
        .collect();
    let of_tools: BTreeSet<OutputRef> = (tools.iter().map(|one| &one.derivation))
        .filter(|one| matches!(one.builder(), Builder::Fetch(_)))
        .map(|one| OutputRef::default_of(Arc::clone(one)))
        .filter(|one| !of_software.contains(one))
        .collect();
    let mut needed: Vec<&OutputRef> = of_software.iter().collect();
    if toolchain {
        needed.extend(&of_tools);
    }
    let (fetched, kept) = fetch(context, &store, &needed, &of_software)?;

    let closure = store.closure(&planned.realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    let shipped: BTreeSet<(&str, &str)> = (gathered.parts.iter().chain(&gathered.linked))
        .filter_map(|part| {
            let component = part.info.component.as_ref()?;
            Some((component.name.as_str(), component.recipe.as_deref()?))
        })
        .collect();
    let mut components = Vec::new();
    let mut gaps = Vec::new();
    for derivation in chosen {
        let file = |one: &OutputRef| fetched.get(one).map(|found| found.file.clone());
        let mut one = component(derivation, false, &file);
        one.is_shipped = shipped.contains(&(one.name.as_str(), one.recipe.as_str()));
        gaps.extend(gap(&one, has_local_files(derivation)));
        components.push(one);
    }
    components.sort();
    gaps.sort();
    gaps.dedup();

    let mut bundle = Bundle::default();
    for found in fetched.values() {
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
        _kept: (planned, kept),
    })
}

/// Makes files valid that recipes fetch, and hashes them.
fn fetch(
    context: &Context,
    store: &LocalStore,
    needed: &[&OutputRef],
    of_software: &BTreeSet<OutputRef>,
) -> Result<(BTreeMap<OutputRef, Fetched>, Realised), CommandError> {
    let selections: Vec<Selection> = needed.iter().map(|one| selection(one)).collect();
    let realised = realise(context, store, &selections, &RealiseOptions::default())?;
    let mut fetched = BTreeMap::new();
    for (one, path) in needed.iter().zip(&realised.paths) {
        let folder = if of_software.contains(*one) {
            "sources"
        } else {
            "toolchain"
        };
        if let Some(found) = describe(store, one, path, folder)? {
            fetched.insert((*one).clone(), found);
        }
    }
    Ok((fetched, realised))
}

fn describe(
    store: &LocalStore,
    one: &OutputRef,
    path: &StorePath,
    folder: &str,
) -> Result<Option<Fetched>, CommandError> {
    let Builder::Fetch(fetch) = one.derivation().builder() else {
        return Ok(None);
    };
    let real = store.real_path(path);
    let name = one.store_name().to_string();
    let sha256 = match fetch.digest {
        // What is valid was compared with it.
        ContentDigest::Sha256(_) => {
            let text = fetch.digest.to_string();
            text.trim_start_matches("sha256:").to_owned()
        }
        ContentDigest::Sha512(_) | ContentDigest::Blake3(_) => {
            let bytes = std::fs::read(&real).map_err(CommandError::failed)?;
            Digest::of(&bytes).to_hex()
        }
    };
    Ok(Some(Fetched {
        real,
        file: BundledFile {
            file: Some(format!("{folder}/sha256/{sha256}/{name}")),
            name,
            digest: fetch.digest.to_string(),
            sha256: Some(sha256),
            urls: fetch.urls.clone(),
        },
    }))
}

fn selection(one: &OutputRef) -> Selection {
    Selection::Output {
        package: Package {
            name: one.store_name().to_string(),
            label: one.derivation().origin().file.clone(),
            derivation: Arc::clone(one.derivation()),
            images: Vec::new(),
        },
        output: one.clone(),
    }
}

/// The files of the toolchain, whether they are in the bundle or only named.
fn list_tools(
    tools: &BTreeSet<OutputRef>,
    fetched: &BTreeMap<OutputRef, Fetched>,
) -> Vec<BundledFile> {
    let mut files: Vec<BundledFile> = (tools.iter())
        .filter_map(|one| {
            if let Some(found) = fetched.get(one) {
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
