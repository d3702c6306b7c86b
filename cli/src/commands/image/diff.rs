//! `pith image diff`: what differs between two images.

use std::fmt::Write as _;

use clap::Args;
use pack::existing::{AnyPlatform, ChangeKind, ImageDiff, PackageChange, PackageSide};
use serde::Serialize;

use super::place::ImagePlace;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};
use crate::registry::RegistryArgs;

/// How many files are named without `--files`.
const SHOWN_FILES: usize = 20;

/// Show what differs between two images: packages, licenses, files, settings, and the bytes to pull
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The older image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "A")]
    old: String,
    /// The newer image
    #[arg(value_name = "B")]
    new: String,
    /// Compare what is for this platform; by default the first one that both are for
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<AnyPlatform>,
    /// Name every file that differs
    #[arg(long)]
    files: bool,
    /// End with status 3 if the images differ
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    old_image: &'a str,
    new_image: &'a str,
    same: bool,
    #[serde(flatten)]
    diff: &'a ImageDiff,
}

/// The images differ, and that was the question.
#[derive(Debug, thiserror::Error)]
#[error("`{new}` is another image than `{old}`")]
struct Different {
    old: String,
    new: String,
}

/// Runs the command.
pub(super) fn diff(args: &DiffArgs, context: &Context) -> Result<(), CommandError> {
    let old = ImagePlace::of_existing(&args.old, &args.registry, context)?;
    let new = ImagePlace::of_existing(&args.new, &args.registry, context)?;
    let (old, new) = (old.open()?, new.open()?);
    let diff = old.diff(&new, args.platform.as_ref())?;
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            old_image: old.name(),
            new_image: new.name(),
            same: diff.is_same(),
            diff: &diff,
        })?;
    } else if diff.is_same() {
        printer.note("both are the same");
    } else {
        printer.result(&text(&diff, args.files))?;
    }
    if args.exit_code && !diff.is_same() {
        let different = Different {
            old: old.name().to_owned(),
            new: new.name().to_owned(),
        };
        return Err(CommandError::new(ExitStatus::No, different));
    }
    Ok(())
}

fn text(diff: &ImageDiff, all_files: bool) -> String {
    let mut text = String::new();
    for package in &diff.packages {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", package_line(package));
    }
    let shown = if all_files { usize::MAX } else { SHOWN_FILES };
    for file in diff.files.iter().take(shown) {
        let sign = match file.change {
            ChangeKind::Added => "+",
            ChangeKind::Removed => "-",
            ChangeKind::Changed => "~",
        };
        let _ = writeln!(text, "    {sign} /{}", file.path.escape_debug());
    }
    let hidden = diff.files.len().saturating_sub(shown);
    if hidden > 0 {
        let _ = writeln!(text, "    and {hidden} more; `--files` names them");
    }
    for change in &diff.config {
        let (old, new) = (change.old.escape_debug(), change.new.escape_debug());
        let _ = writeln!(text, "~ {}: `{old}` → `{new}`", change.field);
    }
    let layers = diff.shared_layers + diff.new_layers;
    let _ = writeln!(
        text,
        "{} of {} shared, {} to pull; {} → {}",
        diff.shared_layers,
        plural(layers, "layer"),
        human_bytes(diff.pull_bytes),
        human_bytes(diff.old_size_bytes),
        human_bytes(diff.new_size_bytes)
    );
    text
}

fn package_line(package: &PackageChange) -> String {
    let name = package.name.escape_debug();
    match (&package.old, &package.new) {
        (Some(old), Some(new)) => {
            let versions = change(old.version.as_ref(), new.version.as_ref());
            let licenses = change(old.license.as_ref(), new.license.as_ref());
            let parts: Vec<String> = [versions, licenses].into_iter().flatten().collect();
            if parts.is_empty() {
                format!("~ {name}: other contents, same version")
            } else {
                format!("~ {name}: {}", parts.join(", "))
            }
        }
        (Some(side), None) => format!("- {name}{}", described(side)),
        (None, Some(side)) => format!("+ {name}{}", described(side)),
        (None, None) => name.to_string(),
    }
}

fn change(old: Option<&String>, new: Option<&String>) -> Option<String> {
    let shown = |text: Option<&String>| {
        text.map_or_else(
            || "nothing".to_owned(),
            |text| text.escape_debug().to_string(),
        )
    };
    (old != new).then(|| format!("{} → {}", shown(old), shown(new)))
}

fn described(side: &PackageSide) -> String {
    let version = side.version.as_ref().map(|version| format!(" {version}"));
    let license = side.license.as_ref().map(|license| format!(", {license}"));
    let both = [version, license].into_iter().flatten();
    both.map(|text| text.escape_debug().to_string()).collect()
}
