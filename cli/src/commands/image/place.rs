//! Where an image is, as the command line has it.

use std::path::{Path, PathBuf};

use pack::Event;
use pack::existing::{Depth, ExistingImage, ImageReference};
use store::registry::Repository;

use crate::context::Context;
use crate::error::CommandError;
use crate::registry::{RegistryArgs, open_registry, parse_existing};

/// The prefixes by which other tools say that an image is a file.
const FILES: [&str; 3] = ["oci-archive:", "docker-archive:", "oci:"];
/// The prefix by which other tools say that an image is in a registry.
const REGISTRY: &str = "docker://";

/// Where an image is.
pub(crate) enum ImagePlace {
    /// An archive or a layout, and which of its images.
    File(PathBuf, Option<String>),
    /// A registry.
    Registry(Box<(ImageReference, Repository)>),
}

impl ImagePlace {
    /// Opens an image that is there, to be copied with its progress shown.
    pub(super) fn open_shown<'a>(
        &'a self,
        show: &'a (dyn Fn(Event<'_>) + Sync),
    ) -> Result<ExistingImage<'a>, CommandError> {
        Ok(self.open()?.with_events(show))
    }

    /// Opens an image that is there.
    pub(crate) fn open(&self) -> Result<ExistingImage<'_>, CommandError> {
        let opened = match self {
            Self::File(path, tag) => ExistingImage::open(path, tag.as_deref()),
            Self::Registry(registry) => ExistingImage::fetch(&registry.0, &registry.1),
        };
        Ok(opened?)
    }

    /// How many of its layers are looked into: of an image in a registry all would have to be fetched.
    pub(crate) const fn depth(&self) -> Depth {
        match self {
            Self::File(..) => Depth::All,
            Self::Registry(_) => Depth::ToBill,
        }
    }

    /// Finds an image that is there: a file, if there is one of that name, else in a registry, of which nothing is asked yet.
    pub(crate) fn of_existing(
        text: &str,
        args: &RegistryArgs,
        context: &Context,
    ) -> Result<Self, CommandError> {
        Self::of_existing_in(context.directory(), text, args, context)
    }

    /// The same, with paths that are relative to `directory`.
    pub(crate) fn of_existing_in(
        directory: &Path,
        text: &str,
        args: &RegistryArgs,
        context: &Context,
    ) -> Result<Self, CommandError> {
        // Nobody calls an image in a registry so, and who has mistyped a file's name is told that it is not there.
        let is_path = text.starts_with(['/', '.']) || text.ends_with(".tar");
        if let Some(text) = file_of(text) {
            let (path, tag) = split_tag(text, directory);
            return Ok(Self::File(path, tag));
        }
        let (path, tag) = split_tag(text, directory);
        if is_path || path.exists() {
            return Ok(Self::File(path, tag));
        }
        in_registry(text, args, context).map(|found| Self::Registry(Box::new(found)))
    }

    /// Finds where an image is to be: in a registry where that is said, else a file.
    pub(crate) fn of_new(
        text: &str,
        args: &RegistryArgs,
        context: &Context,
    ) -> Result<Self, CommandError> {
        if text.starts_with(REGISTRY) {
            let found = in_registry(text, args, context)?;
            return Ok(Self::Registry(Box::new(found)));
        }
        let path = file_of(text).unwrap_or(text);
        Ok(Self::File(context.directory().join(path), None))
    }
}

/// Finds an image in a registry, of which nothing is asked yet.
pub(crate) fn in_registry(
    text: &str,
    args: &RegistryArgs,
    context: &Context,
) -> Result<(ImageReference, Repository), CommandError> {
    let name = parse_existing(text)?;
    let repository = open_registry(context, name.name(), args.plaintext())?;
    Ok((name, repository))
}

/// Takes `PATH:TAG` apart, where that is not itself the name of a file.
fn split_tag(text: &str, directory: &Path) -> (PathBuf, Option<String>) {
    let whole = directory.join(text);
    match text.rsplit_once(':') {
        Some((path, tag)) if !whole.exists() && directory.join(path).exists() => {
            (directory.join(path), Some(tag.to_owned()))
        }
        _ => (whole, None),
    }
}

/// What stands behind the prefix of a file.
fn file_of(text: &str) -> Option<&str> {
    FILES.iter().find_map(|prefix| text.strip_prefix(prefix))
}
