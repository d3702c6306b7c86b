//! `pith profile remove`: packages out of the profile, by a new generation without them.

use clap::Args;
use store::profile::{Manifest, Profile};
use thiserror::Error;

use super::change::change;
use crate::context::Context;
use crate::error::CommandError;

/// Remove packages
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Names of packages, as `list` shows them
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// A name that no package of the profile has.
#[derive(Debug, Error)]
#[error("the profile has no package `{0}`")]
pub(super) struct NotInstalled(String);

/// Runs the command.
pub(super) fn remove(
    args: &RemoveArgs,
    context: &Context,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    change(context, profile, |manifest| {
        for name in &args.names {
            if manifest.packages.remove(name).is_none() {
                return Err(not_installed(name, manifest));
            }
        }
        Ok(())
    })
}

/// The error for a name that is not in the profile, with those that are.
pub(super) fn not_installed(name: &str, manifest: &Manifest) -> CommandError {
    let error = CommandError::failed(NotInstalled(name.to_owned()));
    let names: Vec<_> = manifest
        .packages
        .keys()
        .map(|name| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        error.hint("the profile is empty")
    } else {
        error.hint(format!("it has {}", names.join(", ")))
    }
}
