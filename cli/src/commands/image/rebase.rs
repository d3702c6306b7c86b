//! `pith image rebase`: another base below an image.

use clap::Args;
use pack::existing::AnyPlatform;

use super::copy::{Destination, DestinationArgs};
use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::registry::RegistryArgs;

/// Put another base below an image: the layers of the old one out, those of the new one in
///
/// Nothing is built and no layer is changed; how the image is run stays as it is. Refused where the layers of the old base are not the lowest.
#[derive(Debug, Args)]
pub(super) struct RebaseArgs {
    /// The image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where the result goes: a path, or `docker://NAME` for a registry
    #[arg(value_name = "TARGET")]
    target: String,
    /// The base that the image has
    #[arg(long, value_name = "IMAGE")]
    old_base: String,
    /// The base that it gets
    #[arg(long, value_name = "IMAGE")]
    new_base: String,
    /// Of an image for several platforms, take what is for this one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs the command.
pub(super) fn rebase(args: &RebaseArgs, context: &Context) -> Result<(), CommandError> {
    let existing = |text: &str| ImagePlace::of_existing(text, &args.registry, context);
    let (image, old, new) = (
        existing(&args.image)?,
        existing(&args.old_base)?,
        existing(&args.new_base)?,
    );
    let destination = Destination::find(&args.target, &args.registry, context)?;
    let (image, old, new) = (image.open()?, old.open()?, new.open()?);
    let rebased = image.rebase(args.platform.as_ref(), &old, &new)?;
    destination.write(&rebased, None, &args.destination, context)
}
