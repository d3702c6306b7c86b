//! What a question about contents is asked of: an image that exists, or the one that a target would be packed into.

use std::collections::BTreeSet;
use std::path::Path;

use pack::existing::ExistingImage;
use store::LocalStore;

use crate::commands::image::{ImagePlace, find_base};
use crate::context::Context;
use crate::error::CommandError;
use crate::planned::{PlannedImage, TemporaryImage};
use crate::registry::RegistryArgs;
use crate::selection::Selection;

/// An image, wherever it is.
pub(crate) enum Contents {
    /// One that exists.
    Existing(ImagePlace),
    /// One that was made for this.
    Made(MadeImage),
}

/// An image that was made for a question.
pub(crate) struct MadeImage {
    image: TemporaryImage,
    /// The target, as it was asked for.
    target: String,
    /// What its specification asks for.
    asked: BTreeSet<Vec<u8>>,
    /// The line of the recipe that declares it; none of an image that nobody declares.
    declared: Option<String>,
}

impl Contents {
    /// Finds an image that exists, or packs the target of that name.
    pub(crate) fn find(
        text: &str,
        registry: &RegistryArgs,
        context: &Context,
        store: &LocalStore,
    ) -> Result<Self, CommandError> {
        if is_image(text, context.directory()) {
            return Ok(Self::Existing(ImagePlace::of_existing(
                text, registry, context,
            )?));
        }
        let planned = PlannedImage::realise(context, store, &context.evaluator(), text)?;
        let selections = std::slice::from_ref(&planned.selection);
        let base = find_base(None, selections, registry, context)?;
        let declared = match &planned.selection {
            Selection::Image(image) => {
                let file = Path::new(&image.origin.file);
                let project = context.settings().project.as_deref();
                let within = project.and_then(|project| file.strip_prefix(project).ok());
                let file = within.unwrap_or(file).display();
                Some(format!("{file}:{}", image.origin.line))
            }
            Selection::Output { .. } | Selection::Path(_) => None,
        };
        Ok(Self::Made(MadeImage {
            image: planned.write(store, base.as_ref())?,
            target: text.to_owned(),
            asked: planned.asked_for(),
            declared,
        }))
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<ExistingImage<'_>, CommandError> {
        match self {
            Self::Existing(place) => place.open(),
            Self::Made(made) => {
                let image = ExistingImage::open(&made.image.layout, None)?;
                Ok(image.named(made.target.clone()))
            }
        }
    }

    /// What its specification asks for, as far as that is known.
    pub(crate) fn asked_for(&self) -> BTreeSet<Vec<u8>> {
        match self {
            Self::Existing(_) => BTreeSet::new(),
            Self::Made(made) => made.asked.clone(),
        }
    }

    /// The line of the recipe that declares it, as far as that is known.
    pub(crate) fn declared(&self) -> Option<&str> {
        match self {
            Self::Existing(_) => None,
            Self::Made(made) => made.declared.as_deref(),
        }
    }
}

/// Whether a text names an image rather than a target: by what other tools put before it, as a file or layout that is there, or as a name with a registry.
pub(crate) fn is_image(text: &str, directory: &Path) -> bool {
    const PREFIXES: [&str; 4] = ["oci-archive:", "docker-archive:", "oci:", "docker://"];
    if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
        return true;
    }
    let without_tag = text.rsplit_once(':').map_or(text, |(path, _)| path);
    let is_there = |text: &str| {
        let path = directory.join(text);
        path.is_file() || path.join("index.json").is_file()
    };
    if is_there(text) || is_there(without_tag) || text.ends_with(".tar") {
        return true;
    }
    let registry = text.split_once('/').map(|(registry, _)| registry);
    registry.is_some_and(|registry| {
        let is_host = registry.contains(['.', ':']) || registry == "localhost";
        is_host && !registry.starts_with('.') && !directory.join(registry).exists()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_targets_are_told_apart() {
        let directory = tempfile::tempdir().expect("there is room");
        std::fs::write(directory.path().join("app.img"), "").expect("it is ours");
        for (text, expected) in [
            ("app.img", true),
            ("app.img:1.0", true),
            ("gone.tar", true),
            ("oci:layout", true),
            ("docker://app", true),
            ("registry.example/team/app:1", true),
            ("localhost:5000/app", true),
            ("hello", false),
            ("zlib^dev", false),
            ("./dir:app", false),
            ("debian:nginx", false),
            (
                "/pith/store/00000000000000000000000000000000000000000-x",
                false,
            ),
        ] {
            assert_eq!(is_image(text, directory.path()), expected, "{text}");
        }
    }
}
