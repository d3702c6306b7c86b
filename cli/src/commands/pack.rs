//! `pith pack`: the closure of a target as an image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use pack::oci::Platform as ImagePlatform;
use pack::registry::{PushOptions, Pushed};
use pack::{Compression, Format, Image, ImageName, ImageReport, PackOptions, SinkError, Written};
use recipes::model::Platform;
use serde::Serialize;
use store::net::Plaintext;
use store::registry::Repository;

use crate::context::Context;
use crate::debian::lock_for_all;
use crate::error::{CommandError, ExitStatus};
use crate::image::{declared_spec, default_spec};
use crate::output::{PackProgress, human_bytes, plural};
use crate::platform::asked_platforms;
use crate::realise::{RealiseOptions, realise};
use crate::registry::{open_registry, parse_reference};
use crate::select::{Selection, Want, select_all};
use crate::target::{Subject, Target};

/// Pack the closure of targets into an image
///
/// Without a declared image of that name, the image runs the program called as the first target is.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// An image that the project declares, or packages
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// archive (also oci-archive, docker-archive), oci, tar, dir or bundle
    #[arg(short, long, value_name = "FORMAT", default_value = "archive")]
    format: Format,
    /// Where to write it; NAME.tar, or NAME for a directory, by default, and nowhere with `--push`
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Send it to a registry, `registry.example/team/app:1.0`, straight from the store; may be repeated
    #[arg(long = "push", value_name = "REF", value_parser = parse_reference)]
    pushes: Vec<ImageName>,
    /// Speak http to registries elsewhere too: everybody on the way can read and change what is sent
    #[arg(long, requires = "pushes")]
    insecure: bool,
    /// The name and tag of the image; the first target's name and `latest` by default
    #[arg(short, long, value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// What it runs on, linux/amd64 or linux/arm64, this machine by default; several, in oci and archives, make an index
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<ImagePlatform>,
    /// At most N layers, 1 to 100
    #[arg(long, value_name = "N", default_value_t = PackOptions::default().max_layers)]
    max_layers: usize,
    /// gzip, zstd or none
    #[arg(long, value_name = "COMPRESSION", default_value = "gzip")]
    compression: Compression,
    /// Pack what cannot start, too
    ///
    /// Otherwise the program, its interpreter and the libraries that the loader will look for must be in the image.
    #[arg(long)]
    no_check: bool,
    /// Show which store paths are in which layer
    #[arg(long)]
    explain: bool,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    manifest: Option<String>,
    /// Bytes of tar that were made from the store; 0 when the output was there already.
    bytes_read: u64,
    unchanged: bool,
    /// The registries that have it now, in the order of the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pushed: Vec<Pushed>,
    /// The image, where it is for one platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageReport>,
    /// The images of an index, sorted by platform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageReport>,
}

/// Builds, packs and prints where the image is.
pub(crate) fn pack(args: &PackArgs, context: &Context) -> Result<(), CommandError> {
    let platforms = asked_platforms(&args.platforms);
    let registries = open_registries(args, context)?;
    let is_written = registries.is_empty() || args.output.is_some();
    if platforms.len() > 1 {
        if is_written {
            check_format(args.format)?;
        }
        lock_targets(args, context, &platforms)?;
    }
    let store = context.open_store()?;
    let options = PackOptions {
        compression: args.compression,
        max_layers: args.max_layers,
        check_start: !args.no_check,
        ..PackOptions::default()
    };
    let progress = PackProgress::new(context.printer());
    let events = |event: pack::Event<'_>| progress.show(&event);
    let mut title = String::new();
    let mut images = Vec::with_capacity(platforms.len());
    for platform in platforms {
        let evaluator = context.evaluator_for(platform);
        let selections = select_all(context, &evaluator, &args.targets, Want::Image)?;
        let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
        title = selections.first().map(title_of).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(|| title.clone());
        let spec = match selections.as_slice() {
            [Selection::Image(image)] => declared_spec(image, &name, platform, &realised.paths)?,
            _ => default_spec(&name, platform)?,
        };
        images.push(Image::new(
            &store,
            &realised.paths,
            &spec,
            &options,
            &events,
        )?);
    }
    let Some((image, others)) = images.split_first() else {
        return Ok(());
    };
    let written = if is_written {
        let file = match args.format {
            Format::Archive | Format::DockerArchive | Format::Tar => format!("{title}.tar"),
            Format::Oci | Format::Directory | Format::Bundle => title,
        };
        let output = context
            .directory()
            .join(args.output.as_deref().unwrap_or(Path::new(&file)));
        Some(image.write_with(others, args.format, &output)?)
    } else {
        None
    };
    let mut pushed = Vec::with_capacity(registries.len());
    for (name, registry) in args.pushes.iter().zip(&registries) {
        pushed.push(image.push_with(others, name, registry, &PushOptions::default())?);
    }
    let reports: Vec<ImageReport> = images.iter().map(Image::report).collect();
    let outcome = Outcome {
        images: reports,
        written,
        pushed,
    };
    report(args, context, outcome)
}

/// What came of packing.
struct Outcome {
    images: Vec<ImageReport>,
    written: Option<Written>,
    pushed: Vec<Pushed>,
}

/// Opens the registries that the image goes to, so that nothing is built in vain.
fn open_registries(args: &PackArgs, context: &Context) -> Result<Vec<Repository>, CommandError> {
    let plaintext = if args.insecure {
        Plaintext::Allowed
    } else {
        Plaintext::Denied
    };
    args.pushes
        .iter()
        .map(|name| open_registry(context, name, plaintext))
        .collect()
}

/// Refuses, before anything is built, a format that cannot hold several platforms.
fn check_format(format: Format) -> Result<(), CommandError> {
    if format.holds_platforms() {
        return Ok(());
    }
    let error = SinkError::OnePlatform { format };
    Err(CommandError::new(ExitStatus::Usage, error).hint(
        "`-f oci` and `-f oci-archive` hold several; for others pack each platform by itself",
    ))
}

/// Locks the packages of Debian among the targets for all platforms, where a project has no lock file.
fn lock_targets(
    args: &PackArgs,
    context: &Context,
    platforms: &[Platform],
) -> Result<(), CommandError> {
    for target in &args.targets {
        if let Subject::Debian(names) = target.parse::<Target>()?.subject {
            lock_for_all(context, &names, platforms)?;
        }
    }
    Ok(())
}

/// What an image is called after: the declared image, the package, or the store path's name.
fn title_of(selection: &Selection) -> String {
    match selection {
        Selection::Image(image) => image.name.clone(),
        Selection::Output { package, .. } => package.name.clone(),
        Selection::Path(path) => path.name().to_string(),
    }
}

fn report(args: &PackArgs, context: &Context, outcome: Outcome) -> Result<(), CommandError> {
    let Outcome {
        mut images,
        written,
        pushed,
    } = outcome;
    let output = written.as_ref().map(|w| w.path.display().to_string());
    let printer = context.printer();
    if printer.is_json() {
        let image = if images.len() == 1 {
            images.pop()
        } else {
            None
        };
        let digest = written.as_ref().and_then(|w| w.manifest_digest);
        let digest = digest.or_else(|| Some(pushed.first()?.manifest_digest));
        let all_there = written.as_ref().is_none_or(|w| w.unchanged)
            && pushed.iter().all(|pushed| pushed.unchanged);
        printer.json(&Report {
            format: output.as_ref().map(|_| args.format.to_string()),
            output,
            manifest: digest.map(|digest| digest.to_string()),
            bytes_read: written.as_ref().map_or(0, |w| w.encoded_bytes)
                + pushed
                    .iter()
                    .map(|pushed| pushed.encoded_bytes)
                    .sum::<u64>(),
            unchanged: all_there,
            pushed,
            image,
            images,
        })?;
        return Ok(());
    }
    for image in &images {
        let mark = match images.as_slice() {
            [_] => String::new(),
            _ => format!(" for {}", image.platform),
        };
        if args.explain {
            printer.result(&layers(image))?;
        }
        let size = image
            .image_size_bytes
            .map_or_else(String::new, |size| format!(", {}", human_bytes(size)));
        printer.note(&format!(
            "{}{mark}: {} of {} in {}{size}",
            image.name,
            plural(
                image.layers.iter().map(|layer| layer.paths.len()).sum(),
                "store path"
            ),
            human_bytes(image.closure_size_bytes),
            plural(image.layers.len(), "layer"),
        ));
    }
    if let Some(output) = output {
        printer.result(&output)?;
    }
    for (name, pushed) in args.pushes.iter().zip(&pushed) {
        printer.note(&pushed_note(pushed));
        let digest = pushed.manifest_digest;
        let place = format!("{}/{}", name.registry(), name.repository());
        printer.result(&format!("{place}@{digest}"))?;
    }
    Ok(())
}

/// What a push cost.
fn pushed_note(pushed: &Pushed) -> String {
    let name = &pushed.name;
    if pushed.unchanged {
        return format!("`{name}` is this image already");
    }
    let mut text = format!(
        "`{name}`: sent {}, {}",
        plural(pushed.sent_blobs, "blob"),
        human_bytes(pushed.sent_bytes)
    );
    if pushed.mounted_blobs > 0 {
        let _ = write!(text, "; {} from other repositories", pushed.mounted_blobs);
    }
    text
}

/// The layers, the lowest first, each with its store paths.
fn layers(image: &ImageReport) -> String {
    let mut text = String::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let compressed = layer.size_bytes.map_or_else(String::new, |size| {
            format!(", {} compressed", human_bytes(size))
        });
        let _ = writeln!(
            text,
            "layer {} ({}{compressed})",
            number + 1,
            human_bytes(layer.file_size_bytes)
        );
        for path in &layer.paths {
            let mark = if path.requested { " [requested]" } else { "" };
            let _ = writeln!(
                text,
                "  {:>10}  {}{mark}",
                human_bytes(path.size_bytes),
                path.path
            );
        }
        if layer.generated {
            text += "              generated: links, /etc, SBOM\n";
        }
    }
    text
}
