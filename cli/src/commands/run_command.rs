//! From the parsed command line to the command's own function.

use clap::CommandFactory as _;

use super::{
    audit, build, cache, completions, debian, diff, image, init, key, lint, log, notice, pack,
    profile, run, sbom, search, serve, shell, show, size, sources, store, trace, tree, vulns, why,
};
use crate::args::{Cli, Command};
use crate::context::Context;
use crate::error::CommandError;

/// Runs `command`. The result is the exit status of a command that went as it should: 0, or what a program that was run
/// ended with.
pub(crate) fn run_command(command: Command, context: &Context) -> Result<u8, CommandError> {
    match command {
        Command::Build(args) => build::build(&args, context),
        Command::Pack(args) => pack::pack(&args, context),
        Command::Run(args) => return run::run(&args, context),
        Command::Init(args) => init::init(&args, context),
        Command::Shell(args) => return shell::shell(&args, context),
        Command::Search(args) => search::search(&args, context),
        Command::Show(args) => show::show(&args, context),
        Command::Lint(args) => lint::lint(&args, context),
        Command::Tree(args) => tree::tree(&args, context),
        Command::Why(args) => why::why(&args, context),
        Command::Sbom(args) => sbom::sbom(&args, context),
        Command::Vulns(args) => vulns::vulns(&args, context),
        Command::Size(args) => size::size(&args, context),
        Command::Diff(args) => diff::diff(&args, context),
        Command::Log(args) => log::log(&args, context),
        Command::Audit(args) => return audit::audit(&args, context),
        Command::Trace(args) => trace::trace(&args, context),
        Command::Notice(args) => notice::notice(&args, context),
        Command::Sources(args) => sources::sources(&args, context),
        Command::Debian(args) => debian::debian(&args, context),
        Command::Cache(args) => cache::cache(&args, context),
        Command::Image(args) => image::image(&args, context),
        Command::Key(args) => key::key(&args, context),
        Command::Serve(args) => serve::serve(&args, context),
        Command::Store(args) => return store::store(&args, context),
        Command::Profile(args) => profile::profile(&args, context),
        Command::Completions(args) => completions::completions(&args, Cli::command(), context),
    }?;
    Ok(0)
}
