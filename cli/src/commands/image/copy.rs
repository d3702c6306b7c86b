//! `pith image copy`: an image to another place.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use pack::existing::{AnyPlatform, ExistingImage, FileKind};
use pack::registry::PushOptions;
use pack::{Event, ImageName};
use serde::Serialize;
use store::registry::Repository;

use super::place::ImagePlace;
use super::push::print_pushed;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::PackProgress;
use crate::registry::{RegistryArgs, parse_reference};

/// Copy an image as it is: from a registry to a file, from a file to a registry, from one registry to another
#[derive(Debug, Args)]
pub(super) struct CopyArgs {
    /// An archive, a layout directory, or a name in a registry; `PATH:TAG` is one of several images
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where it goes: a path, or `docker://NAME` for a registry
    #[arg(value_name = "TARGET")]
    target: String,
    /// Of an image for several platforms, copy only what is for this one
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    #[command(flatten)]
    destination: DestinationArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What becomes of an image at a path.
#[derive(Debug, Args)]
pub(super) struct DestinationArgs {
    /// What a path becomes: a layout where one is already, else an archive
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<CopyFormat>,
    /// What the image is called in the file; by default what it is called now
    #[arg(short, long, value_name = "NAME[:TAG]", value_parser = parse_reference)]
    name: Option<ImageName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CopyFormat {
    /// One file, an OCI layout that docker reads too
    Archive,
    /// An OCI layout directory
    Oci,
}

#[derive(Debug, Serialize)]
struct Report {
    output: String,
    manifest: String,
}

/// An image is given a tag, its digest it has.
#[derive(Debug, thiserror::Error)]
#[error("an image is copied to a name with a tag, not to a digest")]
struct DigestTarget;

/// Runs the command.
pub(super) fn copy(args: &CopyArgs, context: &Context) -> Result<(), CommandError> {
    let source = ImagePlace::of_existing(&args.image, &args.registry, context)?;
    let destination = Destination::find(&args.target, &args.registry, context)?;
    let progress = PackProgress::new(context.printer());
    let show = |event: Event<'_>| progress.show(&event);
    let image = source.open_shown(&show)?;
    destination.write(&image, args.platform.as_ref(), &args.destination, context)
}

/// Where an image goes.
pub(super) enum Destination {
    /// A path, which becomes a layout unless it is said otherwise, or an archive.
    File(PathBuf, FileKind),
    /// A registry.
    Registry(Box<(ImageName, Repository)>),
}

impl Destination {
    /// Finds a registry where that is said, else a path. Asks nobody.
    pub(super) fn find(
        text: &str,
        args: &RegistryArgs,
        context: &Context,
    ) -> Result<Self, CommandError> {
        match ImagePlace::of_new(text, args, context)? {
            ImagePlace::Registry(registry) => {
                let (reference, repository) = *registry;
                if reference.digest().is_some() {
                    return Err(CommandError::new(ExitStatus::Usage, DigestTarget));
                }
                let name = reference.name().clone();
                Ok(Self::Registry(Box::new((name, repository))))
            }
            ImagePlace::File(path, _) => {
                let is_layout = text.starts_with("oci:") || path.is_dir();
                let kind = if is_layout {
                    FileKind::Layout
                } else {
                    FileKind::Archive
                };
                Ok(Self::File(path, kind))
            }
        }
    }

    /// Writes an image there, or what of it is for `platform`, and reports that.
    pub(super) fn write(
        &self,
        image: &ExistingImage<'_>,
        platform: Option<&AnyPlatform>,
        args: &DestinationArgs,
        context: &Context,
    ) -> Result<(), CommandError> {
        let (path, kind) = match self {
            Self::Registry(registry) => {
                let (name, repository) = &**registry;
                let options = PushOptions::default();
                let pushed = image.push(platform, name, repository, &options)?;
                return print_pushed(name, &pushed, context);
            }
            Self::File(path, kind) => (path, *kind),
        };
        let kind = match args.format {
            Some(CopyFormat::Oci) => FileKind::Layout,
            Some(CopyFormat::Archive) => FileKind::Archive,
            None => kind,
        };
        write_file(image, platform, kind, args.name.as_ref(), path, context)
    }
}

fn write_file(
    image: &ExistingImage<'_>,
    platform: Option<&AnyPlatform>,
    kind: FileKind,
    name: Option<&ImageName>,
    path: &Path,
    context: &Context,
) -> Result<(), CommandError> {
    let name = match name {
        Some(name) => name.clone(),
        None => match image.image_name()? {
            Some(name) => name,
            None => "image".parse()?,
        },
    };
    let copied = image.copy(platform, kind, &name, path)?;
    let output = copied.path.display().to_string();
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            output,
            manifest: copied.manifest_digest.to_string(),
        })?;
    } else {
        printer.result(&output)?;
    }
    Ok(())
}
