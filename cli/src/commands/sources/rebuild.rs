//! Builds an image again from a bundle: an empty store, no network, nothing but the bundle and, where it is not in it, the toolchain of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pack::audit::sources::Manifest;
use pack::{Image, PackOptions};
use recipes::build::Builder;
use recipes::event::Event;
use recipes::lang::Collection;
use recipes::lang::Evaluator;
use recipes::model::{ContentDigest, Platform};
use recipes::plan::{Graph, Lookup, find_fetched};
use store::LocalStore;
use thiserror::Error;

use super::project::FOLDER;
use crate::build_options::{RealiseOptions, build_options};
use crate::context::Context;
use crate::debian::LOCK_FILE;
use crate::debian_lock::DebianLock;
use crate::error::{CommandError, ExitStatus, build_failed};
use crate::image::spec_of;
use crate::output::BuildProgress;
use crate::realise::goals;
use crate::select::select_image;
use crate::target::{Subject, Target};

/// Why a bundle cannot be built here.
#[derive(Debug, Error)]
enum CannotRebuild {
    #[error(
        "`{0}` is no package of a recipe or of Debian, and only these can be built from a bundle"
    )]
    Target(String),
    #[error("the bundle is for `{0}`, which this machine does not know")]
    Platform(String),
}

/// Builds and packs; returns the digest of the manifest.
pub(super) fn rebuild(
    context: &Context,
    root: &Path,
    manifest: &Manifest,
) -> Result<String, CommandError> {
    let printer = context.printer();
    let usage = |error| CommandError::new(ExitStatus::Usage, error);
    let image = &manifest.image;
    let target: Target = image.target.parse()?;
    let platform: Platform = (image.platform.parse())
        .map_err(|_| usage(CannotRebuild::Platform(image.platform.clone())))?;
    let project = root.join(FOLDER);
    let selection = match (target.subject, target.output) {
        (Subject::Name(name), None) => {
            let collection = Collection::directory(&root.join("recipes"));
            let project = project.is_dir().then_some(project);
            let evaluator = Evaluator::new(collection, project.as_deref()).with_platform(platform);
            select_image(&evaluator, project.as_deref(), &name)?
        }
        (Subject::Debian(names), None) => {
            DebianLock::of_bundle(project.join(LOCK_FILE))?.select(&names, platform)?
        }
        _ => return Err(usage(CannotRebuild::Target(image.target.clone()))),
    };
    let goals = goals(std::slice::from_ref(&selection));

    let mut files = bundled(root, manifest);
    if !manifest.has_toolchain && !manifest.toolchain.is_empty() {
        printer.note(
            "the toolchain is not in the bundle; its files are taken from this machine's store",
        );
        let graph = Graph::new(&goals).map_err(CommandError::failed)?;
        let store = context.open_store()?;
        let lookup = Lookup::new(&store, &graph);
        let known = find_fetched(&lookup, &graph).map_err(CommandError::failed)?;
        for (digest, path) in known {
            files
                .entry(digest)
                .or_insert_with(|| store.real_path(&path));
        }
    }
    let directory = tempfile::tempdir().map_err(CommandError::failed)?;
    let store = LocalStore::open(&directory.path().join("store"), context.store_options())?;
    let mut options = build_options(context, &RealiseOptions::default())?;
    options.fetch.offline = true;
    options.fetch.local_files = files;
    let progress = BuildProgress::new(printer);
    let events = |event: Event| progress.show(&event);
    let realised = Builder::new(&store, options).realise(&goals, &events, context.cancel());
    let realised = realised.map_err(|error| build_failed(error, &goals))?;
    let paths: Vec<_> = realised.goals.iter().map(|one| one.path.clone()).collect();
    let title = selection.title();
    let spec = spec_of(std::slice::from_ref(&selection), &title, platform, &paths)?;
    let options = PackOptions {
        check_start: false,
        ..PackOptions::default()
    };
    let image = Image::new(&store, &paths, &spec, &options, &|_| ())?;
    Ok(image.manifest_digest()?.to_string())
}

/// The files of the bundle, by the digests that recipes name.
fn bundled(root: &Path, manifest: &Manifest) -> BTreeMap<ContentDigest, PathBuf> {
    let files = manifest.files().filter_map(|file| {
        let digest = file.digest.parse().ok()?;
        Some((digest, root.join(file.file.as_ref()?)))
    });
    files.collect()
}
