//! `pith profile list`: the packages of the current generation.

use serde::Serialize;
use store::profile::{InstalledPackage, Origin, Profile};

use crate::context::Context;
use crate::error::CommandError;

#[derive(Debug, Serialize)]
struct Report<'a> {
    profile: String,
    programs: String,
    generation: Option<u64>,
    packages: Vec<Listed<'a>>,
}

/// A package; `path` is a whole store path.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    version: Option<&'a str>,
    output: Option<&'a str>,
    path: String,
    target: &'a str,
    origin: &'a Origin,
    priority: u32,
}

/// Runs the command. Nothing is printed for an empty profile.
pub(super) fn list(context: &Context, profile: &Profile<'_>) -> Result<(), CommandError> {
    let current = profile.current()?;
    let manifest = profile.current_manifest()?;
    let packages: Vec<_> = manifest
        .packages
        .iter()
        .map(|(name, package)| listed(name, package))
        .collect();
    if context.printer().is_json() {
        context.printer().json(&Report {
            profile: profile.directory().to_string_lossy().into_owned(),
            programs: profile.programs_dir().to_string_lossy().into_owned(),
            generation: current.map(|generation| generation.number),
            packages,
        })?;
        return Ok(());
    }
    if packages.is_empty() {
        context.printer().note("the profile is empty");
        return Ok(());
    }
    let width = packages
        .iter()
        .map(|package| package.name.len())
        .max()
        .unwrap_or_default();
    let lines: String = packages
        .iter()
        .map(|package| {
            let version = package.version.unwrap_or("-");
            format!("{:width$}  {version:10}  {}\n", package.name, package.path)
        })
        .collect();
    context.printer().result(&lines)?;
    Ok(())
}

fn listed<'a>(name: &'a str, package: &'a InstalledPackage) -> Listed<'a> {
    Listed {
        name,
        version: package.version.as_deref(),
        output: package.output.as_deref(),
        path: package.path.to_logical(),
        target: &package.target,
        origin: &package.origin,
        priority: package.priority,
    }
}
