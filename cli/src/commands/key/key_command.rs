//! The subcommands of `pith key`.

use clap::{Args, Subcommand};

use super::{
    generate::{GenerateArgs, generate},
    show::{ShowArgs, show},
};
use crate::context::Context;
use crate::error::CommandError;

/// Make and show the keys that sign images and what goes into caches
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    Generate(GenerateArgs),
    Show(ShowArgs),
}

/// Runs the subcommand.
pub(crate) fn key(args: &KeyArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        KeyCommand::Generate(args) => generate(args, context),
        KeyCommand::Show(args) => show(args, context),
    }
}
