//! `pith serve`, with and without a subcommand.

use clap::{Args, Subcommand};

use super::{
    directory::{DirectoryArgs, serve_directory},
    listen::ListenArgs,
    registry::{RegistryArgs, serve_registry},
    token::{TokenArgs, token},
};
use crate::context::Context;
use crate::error::CommandError;

/// Serve the directory that --cache names, or with --registry images that are built when somebody pulls them
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten, next_help_heading = "Options of a cache")]
    directory: DirectoryArgs,
    #[command(flatten, next_help_heading = "Options of a registry")]
    registry: RegistryArgs,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    Token(TokenArgs),
}

/// Runs the command.
pub(crate) fn serve(args: &ServeArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        Some(ServeCommand::Token(args)) => token(args, context),
        None if args.registry.registry => serve_registry(&args.listen, &args.registry, context),
        None => serve_directory(&args.listen, &args.directory, context),
    }
}
