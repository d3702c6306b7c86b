//! The image below a new one, which `pith pack --base` or `image(base = …)` names.

use std::path::Path;

use pack::existing::{AnyPlatform, ImageFacts};
use recipes::model::Platform;

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::platform::image_platform;
use crate::registry::RegistryArgs;
use crate::selection::Selection;

/// Finds the base of an image of `selections`: the one of the command line, else the declared one, whose path is relative to the file that declares it.
pub(crate) fn find_base(
    asked: Option<&str>,
    selections: &[Selection],
    args: &RegistryArgs,
    context: &Context,
) -> Result<Option<ImagePlace>, CommandError> {
    if let Some(text) = asked {
        return ImagePlace::of_existing(text, args, context).map(Some);
    }
    let [Selection::Image(image)] = selections else {
        return Ok(None);
    };
    let Some(text) = &image.base else {
        return Ok(None);
    };
    let file = context.directory().join(&image.origin.file);
    let directory = file.parent().unwrap_or(Path::new("/"));
    ImagePlace::of_existing_in(directory, text, args, context).map(Some)
}

/// Reads what is known of the image below the one that `selections` declare; none where there is none.
pub(crate) fn describe_base(
    selections: &[Selection],
    args: &RegistryArgs,
    platform: Platform,
    context: &Context,
) -> Result<Option<ImageFacts>, CommandError> {
    let Some(place) = find_base(None, selections, args, context)? else {
        return Ok(None);
    };
    let image = place.open()?;
    let platform = any_platform(platform)?;
    let inspection = image.inspect_layers(Some(&platform), place.depth())?;
    Ok(inspection.images.into_iter().next())
}

/// A platform in the words of images that anybody made.
pub(crate) fn any_platform(platform: Platform) -> Result<AnyPlatform, CommandError> {
    let platform = image_platform(platform).to_string();
    platform.parse().map_err(CommandError::failed)
}
