//! `pith image ls`: the tags of a repository.

use clap::Args;
use serde::Serialize;

use super::place::in_registry;
use crate::context::Context;
use crate::error::CommandError;
use crate::registry::RegistryArgs;

/// List the tags of a repository
#[derive(Debug, Args)]
pub(super) struct LsArgs {
    /// `registry.example/team/app`
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Sorted.
#[derive(Debug, Serialize)]
struct Report {
    repository: String,
    tags: Vec<String>,
}

/// Runs the command.
pub(super) fn ls(args: &LsArgs, context: &Context) -> Result<(), CommandError> {
    let (reference, repository) = in_registry(&args.repository, &args.registry, context)?;
    let name = reference.name();
    let place = format!("{}/{}", name.registry(), name.repository());
    let tags = repository.fetch_tags(&place);
    let mut tags = tags.map_err(CommandError::failed)?;
    tags.sort_unstable();
    tags.dedup();
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            repository: place,
            tags,
        })?;
        return Ok(());
    }
    for tag in tags {
        printer.result(&tag.escape_debug().to_string())?;
    }
    Ok(())
}
