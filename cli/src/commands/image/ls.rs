//! `pith image ls`: the tags of a repository, or of the images in a file.

use clap::Args;
use pack::existing::ImageReference;
use serde::Serialize;
use store::registry::Repository;

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::registry::RegistryArgs;

/// List the tags of a repository, or of the images in an archive or a layout directory
#[derive(Debug, Args)]
pub(super) struct LsArgs {
    /// `registry.example/team/app`, or the path of an archive or a layout directory
    #[arg(value_name = "REPOSITORY|PATH")]
    place: String,
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
    let place = ImagePlace::of_existing(&args.place, &args.registry, context)?;
    let (repository, tags) = match &place {
        ImagePlace::File(..) => {
            let images = place.open()?;
            (images.name().to_owned(), images.tags()?)
        }
        ImagePlace::Registry(registry) => fetch_tags(&registry.0, &registry.1)?,
    };
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report { repository, tags })?;
        return Ok(());
    }
    for tag in tags {
        printer.result(&tag.escape_debug().to_string())?;
    }
    Ok(())
}

fn fetch_tags(
    reference: &ImageReference,
    repository: &Repository,
) -> Result<(String, Vec<String>), CommandError> {
    let name = reference.name();
    let place = format!("{}/{}", name.registry(), name.repository());
    let tags = repository.fetch_tags(&place);
    let mut tags = tags.map_err(CommandError::failed)?;
    tags.sort_unstable();
    tags.dedup();
    Ok((place, tags))
}
