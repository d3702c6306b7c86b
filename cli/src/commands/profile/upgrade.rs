//! `pith profile upgrade`: what the targets come to now.

use std::path::Path;

use clap::Args;
use store::LocalStore;
use store::profile::{InstalledPackage, Manifest, Origin, Profile};

use super::change::change;
use super::remove::not_installed;
use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::CommandError;
use crate::realise::realise;
use crate::select::select_package;
use crate::selection::Selection;

/// Look packages up again where they came from, and install what has changed
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// Names of packages, as `list` shows them; all when none is given
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Runs the command.
pub(super) fn upgrade(
    args: &UpgradeArgs,
    context: &Context,
    store: &LocalStore,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    let seen = profile.current_manifest()?;
    let wanted = wanted(&args.names, &seen)?;
    let mut names = Vec::new();
    let mut selections = Vec::new();
    for (name, package) in wanted {
        if let Some(selection) = look_up(context, package)? {
            names.push(name);
            selections.push(selection);
        } else {
            let path = package.path.to_logical();
            context
                .printer()
                .detail(&format!("{name} stays: it was installed as {path}"));
        }
    }
    // Its lease lives until the new generation keeps the packages.
    let realised = realise(context, store, &selections, &RealiseOptions::default())?;
    let mut upgrades = Vec::new();
    for ((name, selection), path) in names.iter().zip(&selections).zip(&realised.paths) {
        let (Some(package), Selection::Output { package: found, .. }) =
            (seen.packages.get(*name), selection)
        else {
            continue;
        };
        upgrades.push((
            *name,
            InstalledPackage {
                collection: collection(context, package).map(Path::to_path_buf),
                version: found.derivation.metadata().version.clone(),
                path: path.clone(),
                ..package.clone()
            },
        ));
    }
    change(context, profile, |manifest| {
        for (name, package) in upgrades {
            // Whoever removed or replaced a package in the meantime meant what they did.
            if manifest.packages.get(name) == seen.packages.get(name) {
                manifest.packages.insert(name.clone(), package);
            }
        }
        Ok(())
    })
}

/// The packages of these names, or all.
fn wanted<'a>(
    names: &[String],
    manifest: &'a Manifest,
) -> Result<Vec<(&'a String, &'a InstalledPackage)>, CommandError> {
    if names.is_empty() {
        return Ok(manifest.packages.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            let found = manifest.packages.get_key_value(name);
            found.ok_or_else(|| not_installed(name, manifest))
        })
        .collect()
}

/// What a package's target comes to now; nothing for a store path, which never changes.
fn look_up(
    context: &Context,
    package: &InstalledPackage,
) -> Result<Option<Selection>, CommandError> {
    let (name, project) = match &package.origin {
        Origin::Collection { package } => (package, None),
        Origin::Project { package, directory } => (package, Some(directory.as_path())),
        Origin::Path => return Ok(None),
    };
    let evaluator = context.evaluator_of(collection(context, package), None);
    let output = package.output.as_deref();
    select_package(&evaluator, project, name, output).map(Some)
}

/// The collection that is named now, else the one that was named then.
fn collection<'a>(context: &'a Context, package: &'a InstalledPackage) -> Option<&'a Path> {
    let now = context.settings().collection.as_deref();
    now.or(package.collection.as_deref())
}
