//! The image below a new one, which `pith pack --base` or `image(base = …)` names.

use std::path::Path;

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
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
