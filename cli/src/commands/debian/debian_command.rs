//! The subcommands of `pith debian`.

use clap::{Args, Subcommand};

use super::lock::{LockArgs, lock};
use crate::context::Context;
use crate::error::CommandError;

/// Pin packages of Debian
#[derive(Debug, Args)]
pub(crate) struct DebianArgs {
    #[command(subcommand)]
    command: DebianCommand,
}

#[derive(Debug, Subcommand)]
enum DebianCommand {
    Lock(LockArgs),
}

/// Runs the subcommand.
pub(crate) fn debian(args: &DebianArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        DebianCommand::Lock(args) => lock(args, context),
    }
}
