//! The command line as clap sees it: global options and the list of commands.
//!
//! A command's own arguments live beside its code in [`crate::commands`]; this file only lists them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sandbox::Level;
use store::cache::backend::CacheUrl;
use store::trust::PublicKey;

use crate::commands;

/// Builds packages hermetically and packs the closure of an app into a minimal image.
#[derive(Debug, Parser)]
#[command(
    name = "pith",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "\
TARGET is a package (`hello`, the project's pith.star first, then the collection), `./dir:app`,
a store path, or any of these with an output: `zlib^dev`.

Exit status: 0 done, 1 failed, 2 usage, 3 the answer is no, 4 damaged,
5 undecided, 70 a bug of pith, 100 a build failed, 102 a fixed digest did not match,
104 not reproducible, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Use the store at DIR instead of $PITH_ROOT, /pith or $XDG_DATA_HOME/pith
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Read recipes from DIR instead of the collection inside the binary
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) collection: Option<PathBuf>,
    /// How many builds run at once
    #[arg(short, long, global = true, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// How many processors one build may use
    #[arg(long, global = true, value_name = "N")]
    pub(crate) cores: Option<usize>,
    /// The weakest sandbox to build in: full, or no-proc where a container forbids a fresh /proc
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) sandbox: Option<Level>,
    /// Take what is built already from the cache at URL instead of those in the settings; may be repeated
    #[arg(long = "cache", global = true, value_name = "URL")]
    pub(crate) caches: Vec<CacheUrl>,
    /// Fail where a cache does not have what would have to be built
    #[arg(long, global = true)]
    pub(crate) cache_only: bool,
    /// Ask no cache
    #[arg(long, global = true, conflicts_with = "cache_only")]
    pub(crate) no_cache: bool,
    /// Trust KEY too, `<name>:<base64>`; may be repeated
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) trust: Vec<PublicKey>,
    /// Use only what is on this machine
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: every step with its reason; twice: the builders' output
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Report in JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Every command of `pith`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(commands::build::BuildArgs),
    Pack(commands::pack::PackArgs),
    Run(commands::run::RunArgs),
    Init(commands::init::InitArgs),
    Shell(commands::shell::ShellArgs),
    Search(commands::search::SearchArgs),
    Show(commands::show::ShowArgs),
    Lint(commands::lint::LintArgs),
    Tree(commands::tree::TreeArgs),
    Why(commands::why::WhyArgs),
    Sbom(commands::sbom::SbomArgs),
    Vulns(commands::vulns::VulnsArgs),
    Size(commands::size::SizeArgs),
    Diff(commands::diff::DiffArgs),
    Log(commands::log::LogArgs),
    Audit(commands::audit::AuditArgs),
    Trace(commands::trace::TraceArgs),
    Notice(commands::notice::NoticeArgs),
    Sources(commands::sources::SourcesArgs),
    Debian(commands::debian::DebianArgs),
    Image(commands::image::ImageArgs),
    Cache(commands::cache::CacheArgs),
    Key(commands::key::KeyArgs),
    Serve(commands::serve::ServeArgs),
    Store(commands::store::StoreArgs),
    Profile(commands::profile::ProfileArgs),
    Completions(commands::completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_command_has_two_arguments_of_one_name() {
        // Building a command line looks at one command; this looks at all.
        Cli::command().debug_assert();
    }
}
