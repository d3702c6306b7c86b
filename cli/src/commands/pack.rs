//! `pith pack`: the closure of a target as an image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use pack::{Compression, Format, Image, ImageReport, PackOptions, Written};
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;
use crate::image::{declared_spec, default_spec};
use crate::output::{PackProgress, human_bytes, plural};
use crate::realise::{RealiseOptions, realise};
use crate::select::{Selection, Want, select_all};

/// Pack the closure of targets into an image
///
/// Without a declared image of that name, the image runs the program called as the first target is.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// An image that the project declares, or packages
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// archive (also oci-archive, docker-archive), oci, tar or dir
    #[arg(short, long, value_name = "FORMAT", default_value = "archive")]
    format: Format,
    /// Where to write it; NAME.tar, or NAME for a directory, by default
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The name and tag of the image; the first target's name and `latest` by default
    #[arg(short, long, value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// At most N layers, 1 to 100
    #[arg(long, value_name = "N", default_value_t = PackOptions::default().max_layers)]
    max_layers: usize,
    /// gzip, zstd or none
    #[arg(long, value_name = "COMPRESSION", default_value = "gzip")]
    compression: Compression,
    /// Show which store paths are in which layer
    #[arg(long)]
    explain: bool,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    output: String,
    format: String,
    manifest: Option<String>,
    /// Bytes of tar that were made from the store; 0 when the output was there already.
    bytes_read: u64,
    unchanged: bool,
    image: ImageReport,
}

/// Builds, packs and prints where the image is.
pub(crate) fn pack(args: &PackArgs, context: &Context) -> Result<(), CommandError> {
    let evaluator = context.evaluator();
    let selections = select_all(context, &evaluator, &args.targets, Want::Image)?;
    let store = context.open_store()?;
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let title = selections.first().map(title).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(|| title.clone());
    let spec = match selections.as_slice() {
        [Selection::Image(image)] => declared_spec(image, &name, &realised.paths)?,
        _ => default_spec(&name)?,
    };
    let options = PackOptions {
        compression: args.compression,
        max_layers: args.max_layers,
        ..PackOptions::default()
    };
    let progress = PackProgress::new(context.printer());
    let events = |event: pack::Event<'_>| progress.show(&event);
    let image = Image::new(&store, &realised.paths, &spec, &options, &events)?;
    let file = match args.format {
        Format::Archive | Format::Tar => format!("{title}.tar"),
        Format::Oci | Format::Directory => title,
    };
    let output = context
        .directory()
        .join(args.output.as_deref().unwrap_or(Path::new(&file)));
    let written = image.write(args.format, &output)?;
    report(args, context, &image.report(), &written)
}

/// What an image is called after: the declared image, the package, or the store path's name.
fn title(selection: &Selection) -> String {
    match selection {
        Selection::Image(image) => image.name.clone(),
        Selection::Output { package, .. } => package.name.clone(),
        Selection::Path(path) => path.name().to_string(),
    }
}

fn report(
    args: &PackArgs,
    context: &Context,
    image: &ImageReport,
    written: &Written,
) -> Result<(), CommandError> {
    let output = written.path.display().to_string();
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            output,
            format: args.format.to_string(),
            manifest: written.manifest_digest.map(|digest| digest.to_string()),
            bytes_read: written.encoded_bytes,
            unchanged: written.unchanged,
            image: image.clone(),
        })?;
        return Ok(());
    }
    if args.explain {
        printer.result(&layers(image))?;
    }
    let size = image
        .image_size_bytes
        .map_or_else(String::new, |size| format!(", {}", human_bytes(size)));
    printer.note(&format!(
        "{}: {} of {} in {}{size}",
        image.name,
        plural(
            image.layers.iter().map(|layer| layer.paths.len()).sum(),
            "store path"
        ),
        human_bytes(image.closure_size_bytes),
        plural(image.layers.len(), "layer"),
    ));
    printer.result(&output)?;
    Ok(())
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
