//! `pith profile install`: targets into a new generation.

use std::collections::BTreeMap;

use clap::Args;
use recipes::lang::Package;
use recipes::model::OutputRef;
use store::profile::{DEFAULT_PRIORITY, InstalledPackage, Origin, Profile};
use store::{LocalStore, StorePath};
use thiserror::Error;

use super::change::change;
use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::realise::realise;
use crate::select::{Want, select_all};
use crate::selection::Selection;
use crate::target::{Subject, Target};

/// Install packages, building or fetching what is missing
///
/// A package of the same name is replaced.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// What to install
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Which of two packages with the same file has it: the one with the lower number
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PRIORITY)]
    priority: u32,
}

/// Two targets would have the same name in the profile.
#[derive(Debug, Error)]
#[error("`{first}` and `{second}` are both called `{name}`")]
struct SameName {
    name: String,
    first: String,
    second: String,
}

/// Runs the command.
pub(super) fn install(
    args: &InstallArgs,
    context: &Context,
    store: &LocalStore,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    let selections = select_all(context, &context.evaluator(), &args.targets, Want::Objects)?;
    // Its lease lives until the new generation keeps the packages.
    let realised = realise(context, store, &selections, &RealiseOptions::default())?;
    let mut packages: BTreeMap<String, InstalledPackage> = BTreeMap::new();
    for ((text, selection), path) in args.targets.iter().zip(&selections).zip(&realised.paths) {
        let (name, mut package) = describe(context, store, text, selection, path)?;
        package.priority = args.priority;
        let target = package.target.clone();
        if let Some(other) = packages.insert(name.clone(), package)
            && other.target != target
        {
            return Err(CommandError::new(
                ExitStatus::Usage,
                SameName {
                    name,
                    first: other.target,
                    second: target,
                },
            ));
        }
    }
    change(context, profile, |manifest| {
        manifest.packages.extend(packages);
        Ok(())
    })
}

/// What the manifest says of a target, and its name in the profile.
fn describe(
    context: &Context,
    store: &LocalStore,
    text: &str,
    selection: &Selection,
    path: &StorePath,
) -> Result<(String, InstalledPackage), CommandError> {
    let target: Target = text.parse()?;
    let mut installed = InstalledPackage {
        target: text.to_owned(),
        origin: Origin::Path,
        collection: context.settings().collection.clone(),
        output: None,
        version: None,
        priority: DEFAULT_PRIORITY,
        path: path.clone(),
    };
    let Selection::Output { package, output } = selection else {
        let component = store.path_info(path)?.and_then(|info| info.component);
        installed.version = component
            .as_ref()
            .and_then(|component| component.version.clone());
        installed.collection = None;
        let name = component.map_or_else(|| path.name().to_string(), |component| component.name);
        return Ok((name, installed));
    };
    installed.version = package.derivation.metadata().version.clone();
    installed.origin = origin(context, &target.subject, package);
    let is_default = *output == OutputRef::default_of(package.derivation.clone());
    installed.output = (!is_default).then(|| output.output().to_owned());
    let name = match &installed.output {
        Some(output) => format!("{}^{output}", package.name),
        None => package.name.clone(),
    };
    Ok((name, installed))
}

/// Where a package was looked up: collections have labels of their own.
fn origin(context: &Context, subject: &Subject, package: &Package) -> Origin {
    let project = match subject {
        Subject::Project { directory, .. } => Some(context.directory().join(directory)),
        _ if package.label.starts_with("//") => None,
        _ => context.settings().project.clone(),
    };
    let name = match subject {
        Subject::Name(name) => name.clone(),
        _ => package.name.clone(),
    };
    match project {
        Some(directory) => Origin::Project {
            package: name,
            directory: directory.canonicalize().unwrap_or(directory),
        },
        None => Origin::Collection { package: name },
    }
}
