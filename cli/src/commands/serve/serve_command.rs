//! `pith serve`, with and without a subcommand.

use clap::{Args, Subcommand};

use super::{
    directory::{DirectoryArgs, serve_directory},
    token::{TokenArgs, token},
};
use crate::context::Context;
use crate::error::CommandError;

/// Serve the directory that --cache names to other machines, and take from them what is right
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    command: Option<ServeCommand>,
    #[command(flatten)]
    directory: DirectoryArgs,
}

#[derive(Debug, Subcommand)]
enum ServeCommand {
    Token(TokenArgs),
}

/// Runs the command.
pub(crate) fn serve(args: &ServeArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        Some(ServeCommand::Token(args)) => token(args, context),
        None => serve_directory(&args.directory, context),
    }
}
