//! The two sides of `pith sources`: who gives, and who checks.

use std::path::{Path, PathBuf};

use clap::Args;
use pack::audit::sources::{
    Gap, Offer, Scope, SourceCode, SourceFinding, SourcesError, load_manifest, unpack, verify,
    verify_signature,
};
use pack::sign::ImageSecretKey;
use recipes::model::Platform;
use serde::Serialize;
use tempfile::TempDir;
use thiserror::Error;

use super::collect::{Wanted, collect};
use super::rebuild::rebuild;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::{read_image_key, read_image_secret};
use crate::output::plural;

/// Bundle the corresponding source of a target's image, or check such a bundle
///
/// A bundle has the sources as they were fetched, patches, recipes, scripts, texts of licenses, and how to build the image again. Exit status 3 says that
/// something is missing that no recipe names, 4 that a bundle is not what it says.
#[derive(Debug, Args)]
pub(crate) struct SourcesArgs {
    /// A package of the collection
    #[arg(
        value_name = "TARGET",
        required_unless_present = "verify",
        conflicts_with = "verify"
    )]
    target: Option<String>,
    /// Where to write the bundle: a tar if its name ends in .tar, else a directory
    #[arg(short, long, value_name = "PATH", required_unless_present = "verify")]
    output: Option<PathBuf>,
    /// obliged: of what has a license that asks for it; or all
    #[arg(long, value_name = "SCOPE", default_value = "all")]
    scope: Scope,
    /// Put the toolchain in too, so that nothing else is needed to build the image again
    #[arg(long)]
    toolchain: bool,
    /// Whom to write to for the source, in the written offer
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// Sign the bundle with the secret key in FILE; with `--verify`, have it be signed by this public key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Check the bundle at PATH
    #[arg(long, value_name = "PATH")]
    verify: Option<PathBuf>,
    /// Also build the image again from the bundle, in an empty store without a network, and compare its digest
    #[arg(long, requires = "verify")]
    rebuild: bool,
}

/// What a bundle was made with.
#[derive(Debug, Serialize)]
struct Written {
    output: String,
    image: String,
    components: usize,
    gaps: Vec<Gap>,
}

/// What is wrong with a bundle.
#[derive(Debug, Serialize)]
struct Checked {
    image: String,
    /// The digest of what was built again; null if that was not asked for.
    rebuilt: Option<String>,
    findings: Vec<SourceFinding>,
}

#[derive(Debug, Error)]
enum Answer {
    #[error("the bundle is not complete: {0}")]
    Gaps(String),
    #[error("the bundle is not what it says: {0}")]
    Findings(String),
}

/// Writes or checks a bundle.
pub(crate) fn sources(args: &SourcesArgs, context: &Context) -> Result<(), CommandError> {
    match (&args.verify, &args.target, &args.output) {
        (Some(bundle), ..) => check(args, bundle, context),
        (None, Some(target), Some(output)) => write(args, target, output, context),
        // The parser has asked for them.
        (None, ..) => Ok(()),
    }
}

fn write(
    args: &SourcesArgs,
    target: &str,
    output: &Path,
    context: &Context,
) -> Result<(), CommandError> {
    let offer = Offer {
        address: args.address.clone(),
    };
    let key = (args.key.as_ref()).map(|key| read_image_secret(&context.directory().join(key)));
    let key = key.transpose()?;
    let wanted = Wanted {
        target,
        platform: None,
        scope: args.scope,
        toolchain: args.toolchain,
        offer: &offer,
    };
    let collected = collect(context, &wanted)?;
    let output = context.directory().join(output);
    let written = collected.bundle.write(&output, key.as_ref());
    written.map_err(CommandError::failed)?;
    let printer = context.printer();
    tell_gaps(context, &collected.gaps);
    let manifest = &collected.manifest;
    printer.note(&format!(
        "the source of {}: {}",
        manifest.image.manifest,
        plural(manifest.components.len(), "component")
    ));
    let names: Vec<String> = (collected.gaps.iter())
        .map(|gap| format!("`{}`", gap.component))
        .collect();
    if printer.is_json() {
        printer.json(&Written {
            output: output.display().to_string(),
            image: manifest.image.manifest.clone(),
            components: manifest.components.len(),
            gaps: collected.gaps,
        })?;
    } else {
        printer.result(&output.display().to_string())?;
    }
    if names.is_empty() {
        return Ok(());
    }
    let error = Answer::Gaps(names.join(", "));
    Err(CommandError::new(ExitStatus::No, error).hint(
        "`GAPS.json` of the bundle says what is missing; a recipe that builds from source has none",
    ))
}

/// Writes the bundle of all sources of a target for one platform to a tar, and tells what is missing. Returns the digest of the image that it becomes.
pub(crate) fn write_sources(
    context: &Context,
    target: &str,
    platform: Platform,
    key: Option<&ImageSecretKey>,
    output: &Path,
) -> Result<String, CommandError> {
    let wanted = Wanted {
        target,
        platform: Some(platform),
        scope: Scope::All,
        toolchain: false,
        offer: &Offer::default(),
    };
    let collected = collect(context, &wanted)?;
    let written = collected.bundle.write(output, key);
    written.map_err(CommandError::failed)?;
    tell_gaps(context, &collected.gaps);
    Ok(collected.manifest.image.manifest)
}

fn tell_gaps(context: &Context, gaps: &[Gap]) {
    for gap in gaps {
        let license = gap.license.as_deref().unwrap_or("no license declared");
        context.printer().always(&format!(
            "gap: `{}` ({license}): {}",
            gap.component, gap.reason
        ));
    }
}

fn check(args: &SourcesArgs, bundle: &Path, context: &Context) -> Result<(), CommandError> {
    let place = context.directory().join(bundle);
    let mut unpacked: Option<TempDir> = None;
    let root = if place.is_dir() {
        place
    } else {
        let directory = unpacked.insert(tempfile::tempdir().map_err(CommandError::failed)?);
        unpack(&place, directory.path()).map_err(damaged)?;
        directory.path().to_path_buf()
    };
    let manifest = load_manifest(&root).map_err(damaged)?;
    let mut findings = verify(&root, &manifest).map_err(damaged)?;
    if let Some(key) = &args.key {
        let key = read_image_key(&context.directory().join(key))?;
        findings.extend(verify_signature(&root, &key).map_err(damaged)?);
    }
    let mut rebuilt = None;
    // What is not what it says would be found out by the builds, too, and much later.
    if args.rebuild && findings.is_empty() {
        let digest = rebuild(context, &root, &manifest)?;
        if digest != manifest.image.manifest {
            findings.push(SourceFinding {
                code: SourceCode::S104,
                file: manifest.image.manifest.clone(),
                problem: format!("was built again and became {digest}"),
            });
        }
        rebuilt = Some(digest);
    }
    let printer = context.printer();
    let problems = plural(findings.len(), "finding");
    let is_good = findings.is_empty();
    if printer.is_json() {
        printer.json(&Checked {
            image: manifest.image.manifest,
            rebuilt,
            findings,
        })?;
    } else {
        for finding in &findings {
            printer.result(&finding.to_string().replace(char::is_control, "?"))?;
        }
        if is_good {
            printer.note("every file of the bundle is what it says");
        }
        if let Some(rebuilt) = rebuilt {
            printer.note(&format!("built again, the image is {rebuilt}"));
        }
    }
    if is_good {
        return Ok(());
    }
    Err(CommandError::new(
        ExitStatus::Damaged,
        Answer::Findings(problems),
    ))
}

fn damaged(error: SourcesError) -> CommandError {
    CommandError::new(ExitStatus::Damaged, error)
}
