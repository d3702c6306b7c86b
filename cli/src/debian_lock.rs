//! The lock that `debian:NAME` is built by: the project's, or what the index says now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use recipes::debian::{LockFile, Request, SetError, SetOptions, default_prune, set_of};
use recipes::lang::Package;
use recipes::model::{Derivation, Location, OutputRef, Platform};
use thiserror::Error;

use crate::context::Context;
use crate::debian::{INDEX_AGE, Index, LOCK_FILE, read_lock};
use crate::error::CommandError;
use crate::selection::Selection;
use crate::whole_file::write_whole;

/// A lock file has nothing for the machine that packages are for.
#[derive(Debug, Error)]
#[error("`{}` locks nothing for {wanted}, only for {}", path.display(), locked.join(" and "))]
struct NotForArchitecture {
    path: PathBuf,
    wanted: &'static str,
    locked: Vec<String>,
}

/// What pins packages of Debian.
#[derive(Debug)]
pub(crate) struct DebianLock {
    locks: LockFile,
    /// The file it was read from; none where the index was asked.
    file: Option<PathBuf>,
    /// Whether it was made for the names that are selected: one that others provide is locked under the provider's.
    is_for_names: bool,
}

impl DebianLock {
    /// Returns the project's lock; where it has none, what the index says now, which in a project is written to its lock file.
    pub(crate) fn of(
        context: &Context,
        names: &[String],
        platform: Platform,
    ) -> Result<Self, CommandError> {
        match lock_path(context).filter(|path| path.exists()) {
            Some(path) => Ok(Self {
                locks: read_lock(&path)?.0,
                file: Some(path),
                is_for_names: false,
            }),
            None => Ok(Self {
                locks: resolve_now(context, names, &[platform])?,
                file: None,
                is_for_names: true,
            }),
        }
    }

    /// Reads the lock file of a bundle of sources.
    pub(crate) fn of_bundle(path: PathBuf) -> Result<Self, CommandError> {
        Ok(Self {
            locks: read_lock(&path)?.0,
            file: Some(path),
            is_for_names: true,
        })
    }

    /// Returns the text of the lock file.
    pub(crate) fn to_text(&self) -> String {
        self.locks.to_text()
    }

    /// Returns the packages as they are pinned.
    pub(crate) fn select(
        &self,
        names: &[String],
        platform: Platform,
    ) -> Result<Selection, CommandError> {
        let locks = &self.locks;
        let lock = locks.find(platform.arch()).ok_or_else(|| {
            let path = self.file.as_deref().unwrap_or(Path::new(LOCK_FILE));
            not_for_architecture(path, locks, platform)
        })?;
        let locked = |name: &String| match (lock.find(name), names.len(), lock.request.first()) {
            (None, 1, Some(only)) if lock.request.len() == 1 && self.is_for_names => only.clone(),
            _ => name.clone(),
        };
        let options = SetOptions {
            names: names.iter().map(locked).collect(),
            tree: false,
            origin: Location::default(),
        };
        let file = match &self.file {
            Some(path) => path.display().to_string(),
            None => "the index".to_owned(),
        };
        let set = set_of(lock, &file, &options, &mut Derivation::new).map_err(|error| {
            let is_absent = matches!(error, SetError::NotLocked { .. });
            let error = CommandError::failed(error);
            if is_absent {
                let mut all = lock.request.clone();
                all.extend(names.iter().cloned());
                let all: Vec<String> = all.into_iter().collect();
                return error.hint(format!("`pith debian lock {}` locks it too", all.join(" ")));
            }
            error
        })?;
        let package = Package {
            name: set.metadata().name.clone(),
            label: format!("debian:{}", names.join(",")),
            derivation: set.clone(),
            images: Vec::new(),
        };
        Ok(Selection::Output {
            package,
            output: OutputRef::default_of(set),
        })
    }
}

/// Locks packages for several platforms where the project that uses them has no lock file; it would get one for the first platform only.
pub(crate) fn lock_for_all(
    context: &Context,
    names: &[String],
    platforms: &[Platform],
) -> Result<(), CommandError> {
    match lock_path(context) {
        Some(path) if !path.exists() => resolve_now(context, names, platforms).map(drop),
        _ => Ok(()),
    }
}

/// Where the project has its lock file, if there is a project.
fn lock_path(context: &Context) -> Option<PathBuf> {
    let project = context.settings().project.as_ref();
    project.map(|project| project.join(LOCK_FILE))
}

/// Packages as the index says now; a project keeps that in its lock file.
fn resolve_now(
    context: &Context,
    names: &[String],
    platforms: &[Platform],
) -> Result<LockFile, CommandError> {
    let request = Request {
        packages: names.iter().cloned().collect(),
        prune: default_prune().map(str::to_owned).collect(),
    };
    let path = lock_path(context);
    let index = Index::from_flags(context, &[], None)?;
    let max_age = if path.is_some() {
        Duration::ZERO
    } else {
        INDEX_AGE
    };
    let architectures: Vec<String> = (platforms.iter())
        .map(|platform| platform.arch().to_owned())
        .collect();
    let lock = index.resolve(&context.open_store()?, &request, &architectures, max_age)?;
    if let Some(path) = &path {
        write_whole(path, &lock.to_text())?;
        let note = format!("wrote `{}`", path.display());
        context.printer().note(&note);
    }
    Ok(lock)
}

fn not_for_architecture(path: &Path, locks: &LockFile, platform: Platform) -> CommandError {
    let locked: Vec<String> = (locks.locks().iter())
        .map(|lock| lock.architecture.clone())
        .collect();
    let flags: String = (locked.iter().map(String::as_str))
        .chain([platform.arch()])
        .map(|architecture| format!(" --platform {}/{architecture}", platform.os()))
        .collect();
    CommandError::failed(NotForArchitecture {
        path: path.to_path_buf(),
        wanted: platform.arch(),
        locked,
    })
    .hint(format!(
        "`pith debian lock{flags}` locks it for all of them"
    ))
}
