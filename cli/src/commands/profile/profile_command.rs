//! The subcommands of `pith profile`, and which profile they are about.

use std::fs;
use std::path;

use clap::{Args, Subcommand};
use store::LocalStore;
use store::profile::{Profile, ProfileName};

use super::history::{HistoryArgs, history};
use super::install::{InstallArgs, install};
use super::list::list;
use super::remove::{RemoveArgs, remove};
use super::rollback::{RollbackArgs, rollback};
use super::upgrade::{UpgradeArgs, upgrade};
use crate::context::Context;
use crate::error::CommandError;

/// Install packages for use outside of pith, upgrade them and go back
///
/// Each change makes a new generation of the profile, or goes to an older one; a directory of it, which `install` names, belongs into PATH.
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// The profile: a name, or a directory if there is a slash in it
    #[arg(
        long,
        global = true,
        value_name = "NAME|DIR",
        default_value = "default"
    )]
    profile: String,
    #[command(subcommand)]
    command: ProfileCommand,
}

#[derive(Debug, Subcommand)]
enum ProfileCommand {
    Install(InstallArgs),
    Remove(RemoveArgs),
    /// List the packages of the current generation
    List,
    Upgrade(UpgradeArgs),
    Rollback(RollbackArgs),
    History(HistoryArgs),
}

/// Runs the subcommand.
pub(crate) fn profile(args: &ProfileArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let profile = open(&args.profile, context, &store)?;
    match &args.command {
        ProfileCommand::Install(args) => install(args, context, &store, &profile),
        ProfileCommand::Remove(args) => remove(args, context, &profile),
        ProfileCommand::List => list(context, &profile),
        ProfileCommand::Upgrade(args) => upgrade(args, context, &store, &profile),
        ProfileCommand::Rollback(args) => rollback(args, context, &profile),
        ProfileCommand::History(args) => history(args, context, &profile),
    }
}

/// Roots are named by the profile's directory, so it is made to have one name.
fn open<'a>(
    name: &str,
    context: &Context,
    store: &'a LocalStore,
) -> Result<Profile<'a>, CommandError> {
    if !name.contains('/') {
        return Ok(Profile::named(store, &name.parse::<ProfileName>()?));
    }
    let directory = context.directory().join(name);
    let directory = fs::canonicalize(&directory)
        .or_else(|_| path::absolute(&directory))
        .map_err(CommandError::failed)?;
    Ok(Profile::at(store, directory))
}
