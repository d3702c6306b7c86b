//! The subcommands of `pith image`.

use clap::{Args, Subcommand};

use super::{
    copy::{CopyArgs, copy},
    diff::{DiffArgs, diff},
    inspect::{InspectArgs, inspect},
    ls::{LsArgs, ls},
    push::{PushArgs, push},
    rebase::{RebaseArgs, rebase},
    sign::{SignArgs, sign},
    verify::{VerifyArgs, verify},
};
use crate::context::Context;
use crate::error::CommandError;

/// Look at images that exist already, and copy them
///
/// IMAGE is an archive, a layout directory, or a name in a registry; `docker://NAME` is always a name.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    Inspect(InspectArgs),
    Ls(LsArgs),
    Copy(CopyArgs),
    Diff(DiffArgs),
    Verify(VerifyArgs),
    Push(PushArgs),
    Rebase(RebaseArgs),
    Sign(SignArgs),
}

/// Runs the subcommand.
pub(crate) fn image(args: &ImageArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        ImageCommand::Inspect(args) => inspect(args, context),
        ImageCommand::Ls(args) => ls(args, context),
        ImageCommand::Copy(args) => copy(args, context),
        ImageCommand::Diff(args) => diff(args, context),
        ImageCommand::Verify(args) => verify(args, context),
        ImageCommand::Push(args) => push(args, context),
        ImageCommand::Rebase(args) => rebase(args, context),
        ImageCommand::Sign(args) => sign(args, context),
    }
}
