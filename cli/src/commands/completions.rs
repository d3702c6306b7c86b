//! `pith completions`: what a shell needs to complete command lines.

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::context::Context;
use crate::error::CommandError;

/// Print a shell's completion script
///
/// For bash: `pith completions bash > ~/.local/share/bash-completion/completions/pith`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints the script for what `command` takes.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    context: &Context,
) -> Result<(), CommandError> {
    let mut script = Vec::new();
    generate(args.shell, &mut command, "pith", &mut script);
    context.printer().bytes(&script)?;
    Ok(())
}
