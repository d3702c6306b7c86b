//! The subcommands of `pith store`.

use clap::{Args, Subcommand};

use super::{
    info::info,
    path_info::{PathInfoArgs, path_info},
};
use crate::context::Context;
use crate::error::CommandError;

/// Look into the store
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Show where the store is and how much it holds
    Info,
    PathInfo(PathInfoArgs),
}

/// Runs the subcommand.
pub(crate) fn store(args: &StoreArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        StoreCommand::Info => info(context),
        StoreCommand::PathInfo(args) => path_info(args, context),
    }
}
