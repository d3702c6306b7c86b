//! `pith debian lock`: resolve packages against the signed index, and write what came out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use pack::oci::Platform as ImagePlatform;
use recipes::debian::{Lock, LockFile, Request, default_prune};
use serde::Serialize;
use thiserror::Error;

use crate::context::Context;
use crate::debian::{Index, LOCK_FILE, read_lock};
use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};
use crate::platform::asked_platforms;
use crate::whole_file::write_whole;

/// Resolve packages against Debian's signed index and pin versions and digests
///
/// Without NAME, what the lock file asks for is locked again. What is in `packages` and `prune` of the file may be edited.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    /// The packages to have, in place of those that the lock file asks for
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The lock file; `debian.lock` in the project's directory, else in the working directory, by default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out NAME and what only it needs, although something depends on it; may be repeated
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// Lock for PLATFORM, linux/amd64 or linux/arm64, in place of those that the lock file has, else this machine's; may be repeated
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<ImagePlatform>,
    /// Resolve against SUITE of MIRROR instead of Debian 12 with updates and security; may be repeated
    #[arg(long = "suite", value_name = "MIRROR/SUITE")]
    suites: Vec<String>,
    /// Believe what the OpenPGP keys in FILE have signed instead of Debian's keys
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    changed: bool,
    packages: Vec<ReportedPackage>,
    pruned: Vec<String>,
    suites: Vec<ReportedSuite>,
}

#[derive(Debug, Serialize)]
struct ReportedPackage {
    name: String,
    version: String,
    /// What it is locked for.
    platform: String,
    size_bytes: u64,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct ReportedSuite {
    name: String,
    date: String,
}

/// Nothing says what is to be locked.
#[derive(Debug, Error)]
#[error("no package is named, and there is no lock file `{}`", .0.display())]
struct NothingToLock(PathBuf);

/// Runs the command.
pub(super) fn lock(args: &LockArgs, context: &Context) -> Result<(), CommandError> {
    let base = context.settings().project.as_deref();
    let base = base.unwrap_or_else(|| context.directory());
    let path = match &args.output {
        Some(path) => context.directory().join(path),
        None => base.join(LOCK_FILE),
    };
    let before = if path.exists() {
        Some(read_lock(&path)?)
    } else {
        None
    };
    let locked = before.as_ref().map(|(locks, _)| locks);
    let request = request(args, locked.and_then(|locks| locks.locks().first()), &path)?;
    let architectures = architectures(args, locked);
    let index = Index::from_flags(context, &args.suites, args.keyring.as_deref())?;
    let store = context.open_store()?;
    let lock = index.resolve(&store, &request, &architectures, Duration::ZERO)?;
    let text = lock.to_text();
    let changed = before.as_ref().is_none_or(|(_, before)| *before != text);
    if changed {
        write_whole(&path, &text)?;
    }
    report(
        context,
        &path,
        &lock,
        before.map(|(lock, _)| lock).as_ref(),
        changed,
    )
}

/// What is locked for: what flags say, else what the lock file has, else this machine.
fn architectures(args: &LockArgs, before: Option<&LockFile>) -> Vec<String> {
    match before {
        Some(before) if args.platforms.is_empty() => (before.locks().iter())
            .map(|lock| lock.architecture.clone())
            .collect(),
        _ => (asked_platforms(&args.platforms).iter())
            .map(|platform| platform.arch().to_owned())
            .collect(),
    }
}

fn request(args: &LockArgs, before: Option<&Lock>, path: &Path) -> Result<Request, CommandError> {
    let packages: BTreeSet<String> = match (args.names.as_slice(), before) {
        ([], Some(before)) => before.request.clone(),
        ([], None) => {
            let error = NothingToLock(path.to_path_buf());
            return Err(CommandError::new(ExitStatus::Usage, error)
                .hint("`pith debian lock nginx` locks nginx and what it needs"));
        }
        (names, _) => names.iter().cloned().collect(),
    };
    let mut prune: BTreeSet<String> = match before {
        Some(before) => before.prune.clone(),
        None => default_prune().map(str::to_owned).collect(),
    };
    prune.extend(args.without.iter().cloned());
    Ok(Request { packages, prune })
}

fn report(
    context: &Context,
    path: &Path,
    locks: &LockFile,
    before: Option<&LockFile>,
    changed: bool,
) -> Result<(), CommandError> {
    let printer = context.printer();
    let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if printer.is_json() {
        return Ok(printer.json(&json_report(&file, locks, changed))?);
    }
    for lock in locks.locks() {
        let architecture = &lock.architecture;
        let mark = match locks.locks() {
            [_] => String::new(),
            _ => format!(" for {architecture}"),
        };
        let old = before.and_then(|before| before.find(architecture));
        for line in old.map(|old| changes(old, lock)).unwrap_or_default() {
            printer.note(&format!("{line}{mark}"));
        }
        let bytes = lock.packages.iter().map(|package| package.size_bytes).sum();
        printer.note(&format!(
            "locked {}{mark}, {} to fetch{}",
            plural(lock.packages.len(), "package"),
            human_bytes(bytes),
            if changed { "" } else { "; nothing has changed" }
        ));
        if !lock.pruned.is_empty() {
            let names: Vec<&str> = lock.pruned.keys().map(String::as_str).collect();
            printer.note(&format!("left out{mark}: {}", names.join(", ")));
        }
    }
    printer.result(&file.display().to_string())?;
    Ok(())
}

fn json_report(file: &Path, locks: &LockFile, changed: bool) -> Report {
    let locks = locks.locks();
    let pruned: BTreeSet<String> = (locks.iter())
        .flat_map(|lock| lock.pruned.keys().cloned())
        .collect();
    let packages = locks.iter().flat_map(|lock| {
        lock.packages.iter().map(|package| ReportedPackage {
            name: package.name.clone(),
            version: package.version.to_string(),
            platform: format!("linux/{}", lock.architecture),
            size_bytes: package.size_bytes,
        })
    });
    let mut suites: Vec<ReportedSuite> = Vec::new();
    for suite in locks.iter().flat_map(|lock| &lock.suites) {
        let suite = ReportedSuite {
            name: suite.name.clone(),
            date: suite.date.clone(),
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    Report {
        file: file.display().to_string(),
        changed,
        packages: packages.collect(),
        pruned: pruned.into_iter().collect(),
        suites,
    }
}

/// What is different from an earlier lock, a line for each package.
fn changes(before: &Lock, after: &Lock) -> Vec<String> {
    let names: BTreeSet<&str> = (before.packages.iter().chain(&after.packages))
        .map(|package| package.name.as_str())
        .collect();
    let mut lines = Vec::new();
    for name in names {
        match (before.find(name), after.find(name)) {
            (Some(old), Some(new)) if old.version.as_str() != new.version.as_str() => {
                lines.push(format!("~ {name} {} → {}", old.version, new.version));
            }
            (None, Some(new)) => lines.push(format!("+ {name} {}", new.version)),
            (Some(old), None) => lines.push(format!("- {name} {}", old.version)),
            _ => {}
        }
    }
    lines
}
