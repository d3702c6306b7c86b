//! What the subcommands that change a profile share: the change itself and its report.

use std::env;

use serde::Serialize;
use store::profile::{
    Change, DEFAULT_PRIORITY, Generation, InstalledPackage, LockedProfile, Manifest, Outcome,
    Profile, ProfileError,
};

use crate::context::Context;
use crate::error::CommandError;

/// A package in a report.
#[derive(Debug, Serialize)]
pub(super) struct ReportedPackage {
    version: Option<String>,
    output: Option<String>,
    path: String,
}

/// A change in a report; what was added has no `before`, what was removed no `after`.
#[derive(Debug, Serialize)]
pub(super) struct ReportedChange {
    name: String,
    before: Option<ReportedPackage>,
    after: Option<ReportedPackage>,
}

/// The report of a change.
#[derive(Debug, Serialize)]
struct Report {
    profile: String,
    generation: Option<u64>,
    changes: Vec<ReportedChange>,
}

impl ReportedPackage {
    pub(super) fn of(package: &InstalledPackage) -> Self {
        Self {
            version: package.version.clone(),
            output: package.output.clone(),
            path: package.path.to_logical(),
        }
    }
}

impl ReportedChange {
    pub(super) fn of(change: &Change) -> Self {
        Self {
            name: change.name.clone(),
            before: change.before.as_ref().map(ReportedPackage::of),
            after: change.after.as_ref().map(ReportedPackage::of),
        }
    }
}

/// Locks the profile, saying so when that takes time.
pub(super) fn lock<'a>(
    context: &Context,
    profile: &'a Profile<'a>,
) -> Result<LockedProfile<'a>, CommandError> {
    let note = || {
        let name = profile.directory().display();
        context
            .printer()
            .note(&format!("waiting for another pith that changes `{name}`"));
    };
    Ok(profile.lock(&note)?)
}

/// Changes the set of packages by `edit`, which sees what is installed while nobody else changes it, and reports what came of it.
pub(super) fn change(
    context: &Context,
    profile: &Profile<'_>,
    edit: impl FnOnce(&mut Manifest) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let locked = lock(context, profile)?;
    let before = profile.current_manifest()?;
    let mut after = before.clone();
    edit(&mut after)?;
    locked.set_starter(&env::current_exe().map_err(CommandError::failed)?)?;
    let outcome = locked
        .install(&after)
        .map_err(|error| explain(error, &before, &after))?;
    match outcome {
        Outcome::Switched(generation) => {
            report(context, profile, Some(&generation), &before, &after)
        }
        Outcome::Unchanged(generation) => {
            report(context, profile, generation.as_ref(), &before, &before)
        }
    }
}

/// Adds the ways out of a conflict, which depend on what was installed before.
fn explain(error: ProfileError, before: &Manifest, after: &Manifest) -> CommandError {
    let ProfileError::Conflict(conflict) = &error else {
        return error.into();
    };
    let (first, second) = (conflict.first.clone(), conflict.second.clone());
    // The one that comes in, and the one that may be there already.
    let (incoming, other) = if before.packages.contains_key(&second) {
        (first, second)
    } else {
        (second, first)
    };
    let target = match after.packages.get(&incoming) {
        Some(package) => package.target.clone(),
        None => incoming.clone(),
    };
    let mut error = CommandError::from(error);
    if before.packages.contains_key(&other) {
        error = error.hint(format!("`pith profile remove {other}` makes room"));
    }
    error.hint(format!(
        "with `pith profile install --priority {} {target}` the files of `{incoming}` win, with `--priority {}` those of `{other}`",
        DEFAULT_PRIORITY - 1,
        DEFAULT_PRIORITY + 1,
    ))
}

/// Says how the current generation differs from the one before.
pub(super) fn report(
    context: &Context,
    profile: &Profile<'_>,
    current: Option<&Generation>,
    before: &Manifest,
    after: &Manifest,
) -> Result<(), CommandError> {
    let changes = Change::between(before, after);
    let printer = context.printer();
    if printer.is_json() {
        printer.json(&Report {
            profile: profile.directory().to_string_lossy().into_owned(),
            generation: current.map(|generation| generation.number),
            changes: changes.iter().map(ReportedChange::of).collect(),
        })?;
        return Ok(());
    }
    if changes.is_empty() {
        printer.note("nothing to change");
        return Ok(());
    }
    let lines: String = changes.iter().map(|change| line(change) + "\n").collect();
    printer.result(&lines)?;
    let programs = profile.programs_dir();
    let path = context.settings().variables.path.as_deref();
    let is_in_path =
        path.is_some_and(|path| env::split_paths(path).any(|directory| directory == programs));
    if !is_in_path && !after.packages.is_empty() {
        printer.note(&format!(
            "hint: put the programs into your PATH: export PATH=\"{}:$PATH\"",
            programs.display()
        ));
    }
    Ok(())
}

/// One change: `+ jq 1.6`, `- jq 1.6` or `~ jq 1.6 → 1.7`.
pub(super) fn line(change: &Change) -> String {
    let name = &change.name;
    let version = |package: &InstalledPackage| {
        let version = package.version.as_deref();
        version
            .map(|version| format!(" {version}"))
            .unwrap_or_default()
    };
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("+ {name}{}", version(after)),
        (Some(before), None) => format!("- {name}{}", version(before)),
        (Some(before), Some(after)) if before.version != after.version => {
            let unknown = || "unknown".to_owned();
            format!(
                "~ {name} {} → {}",
                before.version.clone().unwrap_or_else(unknown),
                after.version.clone().unwrap_or_else(unknown)
            )
        }
        (Some(before), Some(after)) if before.path != after.path => {
            format!("~ {name}{} (rebuilt)", version(after))
        }
        (Some(before), Some(after)) if before.priority != after.priority => format!(
            "~ {name}{} (priority {} → {})",
            version(after),
            before.priority,
            after.priority
        ),
        (Some(_), Some(after)) => {
            format!("~ {name}{} (now from `{}`)", version(after), after.target)
        }
        (None, None) => String::new(),
    }
}
