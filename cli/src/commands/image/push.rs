//! `pith image push`: an image that is there to a registry.

use clap::Args;
use pack::existing::AnyPlatform;
use pack::registry::{PushOptions, Pushed};
use pack::{Event, ImageName};

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::PackProgress;
use crate::registry::{RegistryArgs, open_registry, parse_reference, tell_pushed};

/// Push an archive or a layout to a registry, as it is
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// An archive or a layout directory; or a name in a registry
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Its name in the registry, `registry.example/team/app:1.0`
    #[arg(value_name = "REF", value_parser = parse_reference)]
    reference: ImageName,
    /// Of an image for several platforms, push only what is for this one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Runs the command.
pub(super) fn push(args: &PushArgs, context: &Context) -> Result<(), CommandError> {
    let source = ImagePlace::of_existing(&args.image, &args.registry, context)?;
    let name = &args.reference;
    let repository = open_registry(context, name, args.registry.plaintext())?;
    let options = PushOptions::default();
    let progress = PackProgress::new(context.printer());
    let show = |event: Event<'_>| progress.show(&event);
    let image = source.open_shown(&show)?;
    let pushed = image.push(args.platform.as_ref(), name, &repository, &options)?;
    print_pushed(name, &pushed, context)
}

/// Reports what a push cost.
pub(super) fn print_pushed(
    name: &ImageName,
    pushed: &Pushed,
    context: &Context,
) -> Result<(), CommandError> {
    let printer = context.printer();
    if printer.is_json() {
        printer.json(pushed)?;
        return Ok(());
    }
    tell_pushed(printer, name, pushed)
}
