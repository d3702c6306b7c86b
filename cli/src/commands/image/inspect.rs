//! `pith image inspect`: what an image says about itself.

use std::fmt::Write as _;

use clap::Args;
use pack::existing::{AnyPlatform, BillPackage, ImageFacts, ImageReference, Inspection};
use serde::Serialize;
use store::registry::{ReferrersList, Repository};

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::{Verbosity, human_bytes, plural};
use crate::registry::RegistryArgs;

/// Show what an image is: platforms, layers, how it is run, and the store paths in it
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// An archive, a layout directory, or a name in a registry; `PATH:TAG` is one of several images
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Show only what is for this platform
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    image: &'a str,
    #[serde(flatten)]
    inspection: Inspection,
    /// What is known of the registry that the image is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    registry: Option<RegistryFacts>,
}

/// What is known of a registry.
#[derive(Debug, Serialize)]
struct RegistryFacts {
    /// Its host and port.
    name: String,
    /// Who keeps the list of signatures and the like: the registry, or whoever writes, under a tag.
    referrers: &'static str,
    /// How long the chunks are that blobs are sent in, where settings say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_bytes: Option<usize>,
}

/// Runs the command.
pub(super) fn inspect(args: &InspectArgs, context: &Context) -> Result<(), CommandError> {
    let place = ImagePlace::of_existing(&args.image, &args.registry, context)?;
    let image = place.open()?;
    let inspection = image.inspect(args.platform.as_ref())?;
    let printer = context.printer();
    // That is a further question, which not everybody has.
    let is_asked = printer.is_json() || printer.verbosity() >= Verbosity::Verbose;
    let registry = match &place {
        ImagePlace::Registry(registry) if is_asked => {
            Some(registry_facts(&registry.0, &registry.1, &inspection)?)
        }
        _ => None,
    };
    if printer.is_json() {
        printer.json(&Report {
            image: image.name(),
            inspection,
            registry,
        })?;
        return Ok(());
    }
    let mut text = format!("{} {}\n", inspection.digest, inspection.media_type);
    if let Some(registry) = &registry {
        let keeper = match registry.referrers {
            "api" => "the registry lists what refers to it",
            _ => "what refers to it is listed under a tag",
        };
        let _ = writeln!(text, "in `{}`, where {keeper}", registry.name);
    }
    for facts in &inspection.images {
        write_image(&mut text, facts);
    }
    for artifact in &inspection.artifacts {
        let kind = artifact.kind.escape_debug();
        let _ = writeln!(text, "\nartifact {} {kind}", artifact.digest);
    }
    printer.result(&text)?;
    Ok(())
}

fn registry_facts(
    image: &ImageReference,
    repository: &Repository,
    inspection: &Inspection,
) -> Result<RegistryFacts, CommandError> {
    let found = repository.find_referrers_list(&inspection.digest.to_string(), &image.to_string());
    let chunk_bytes = repository.profile().chunk_bytes;
    Ok(RegistryFacts {
        name: image.name().registry().to_owned(),
        referrers: match found.map_err(CommandError::failed)? {
            ReferrersList::Registry => "api",
            ReferrersList::Tag => "tag",
        },
        chunk_bytes: chunk_bytes.filter(|bytes| *bytes < usize::MAX),
    })
}

fn write_image(text: &mut String, facts: &ImageFacts) {
    let platform = facts.platform.escape_debug();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{platform} {}", facts.manifest);
    let config = &facts.config;
    for (name, value) in [
        ("created", facts.created.clone().unwrap_or_default()),
        ("entry point", config.entrypoint.join(" ")),
        ("arguments", config.cmd.join(" ")),
        ("user", config.user.clone()),
        ("directory", config.working_dir.clone()),
        ("ports", config.exposed_ports.join(" ")),
        ("volumes", config.volumes.join(" ")),
        ("variables", config.env.join(" ")),
        ("stop signal", config.stop_signal.clone()),
    ] {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name:<11} {}", value.escape_debug());
        }
    }
    let facts_of = [
        ("annotation", &facts.annotations),
        ("label", &config.labels),
    ];
    for (what, map) in facts_of {
        for (key, value) in map {
            let (key, value) = (key.escape_debug(), value.escape_debug());
            let _ = writeln!(text, "  {what:<11} {key}={value}");
        }
    }
    let count = plural(facts.layers.len(), "layer");
    let _ = writeln!(text, "  {count}, {}", human_bytes(facts.size_bytes));
    for layer in &facts.layers {
        let size = human_bytes(layer.size_bytes);
        let made_by = layer.made_by.as_deref().unwrap_or_default().escape_debug();
        let line = format!("    {size:>9}  {}  {made_by}", layer.digest);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if let Some(packages) = &facts.packages {
        let _ = writeln!(text, "  {}", plural(packages.len(), "store path"));
        for package in packages {
            let _ = writeln!(text, "    {}", described(package));
        }
    }
}

/// A store path, its license, and whether the base has it.
fn described(package: &BillPackage) -> String {
    let path = package.path.to_logical();
    let license = package.license.as_deref().unwrap_or_default();
    let base = if package.in_base {
        "  (in the base)"
    } else {
        ""
    };
    let line = format!("{path}  {}{base}", license.escape_debug());
    line.trim_end().to_owned()
}
