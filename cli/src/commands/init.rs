//! `pith init`: writes the `pith.star` of the app in a directory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use recipes::project::{Directory, Kind, ProjectError, Recognised, Wishes, recognise};
use serde::Serialize;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

const FILE: &str = "pith.star";

/// Write a pith.star for the app in this directory
///
/// What is recognised, and by which file, is told. A pith.star that is there stays as it is.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory of the app; this one by default
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Take it as an app of this kind, where there are several
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
    /// Let the image run this program, where there are several
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// List the kinds of apps that are recognised
    #[arg(long, conflicts_with_all = ["kind", "program"])]
    list: bool,
}

/// Why nothing was written.
#[derive(Debug, Error)]
enum InitError {
    /// There is one.
    #[error("`{}` is there already", .0.display())]
    Exists(PathBuf),
    /// The disk says no.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// One kind of app, for `--list`.
#[derive(Debug, Serialize)]
struct Known {
    kind: &'static str,
    recognised_by: &'static [&'static str],
    dependencies_from: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct KnownReport {
    kinds: Vec<Known>,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    kind: &'static str,
    name: String,
    recognised: Vec<String>,
}

/// Recognises, writes and tells.
pub(crate) fn init(args: &InitArgs, context: &Context) -> Result<(), CommandError> {
    if args.list {
        return list(context);
    }
    let directory = context.directory().join(&args.directory);
    let shown = args.directory.join(FILE);
    let shown = shown.strip_prefix(".").unwrap_or(&shown);
    let path = directory.join(FILE);
    if path.symlink_metadata().is_ok() {
        return Err(CommandError::failed(InitError::Exists(shown.to_owned()))
            .hint("`pith pack .` packs what it declares"));
    }
    // `.` has no name of its own.
    let real = directory.canonicalize().unwrap_or(directory);
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let wishes = Wishes {
        kind: args.kind,
        program: args.program.clone(),
    };
    let found = recognise(&Directory::new(&real), &name, &wishes)?;
    write(&path, shown, &found.text)?;
    tell(shown, found, context)
}

/// Writes a file that must not be there, and that messages call `shown`.
fn write(path: &Path, shown: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source: io::Error| {
        let path = shown.to_owned();
        CommandError::failed(match source.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists(path),
            _ => InitError::Write { path, source },
        })
    };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn tell(path: &Path, found: Recognised, context: &Context) -> Result<(), CommandError> {
    let path = path.display().to_string();
    for note in &found.notes {
        context.printer().note(note);
    }
    if context.printer().is_json() {
        context.printer().json(&Report {
            file: path,
            kind: found.kind.name(),
            name: found.name,
            recognised: found.notes,
        })?;
        return Ok(());
    }
    context.printer().result(&format!("{path}\n"))?;
    Ok(())
}

fn list(context: &Context) -> Result<(), CommandError> {
    let kinds: Vec<_> = Kind::ALL
        .into_iter()
        .map(|kind| Known {
            kind: kind.name(),
            recognised_by: kind.markers(),
            dependencies_from: kind.locks(),
        })
        .collect();
    if context.printer().is_json() {
        context.printer().json(&KnownReport { kinds })?;
        return Ok(());
    }
    let lines: String = kinds
        .iter()
        .map(|known| {
            let markers = known.recognised_by.join(", ");
            let line = match known.dependencies_from {
                [] => format!("{:7} {markers}", known.kind),
                locks => format!("{:7} {markers:32} {}", known.kind, locks.join(", ")),
            };
            line + "\n"
        })
        .collect();
    context.printer().result(&lines)?;
    Ok(())
}

impl From<ProjectError> for CommandError {
    fn from(error: ProjectError) -> Self {
        let hint = match &error {
            ProjectError::Unrecognised { .. } => {
                Some("`pith init --list` shows what is recognised".to_owned())
            }
            ProjectError::Several { candidates } => candidates
                .first()
                .map(|first| format!("`pith init --as {}` takes that one", first.kind)),
            ProjectError::Programs { programs, .. } => programs
                .first()
                .map(|first| format!("`pith init --program {first}` takes that one")),
            ProjectError::Lock(error) => error.hint(),
            ProjectError::NoLock { kind, .. } => make_lock(*kind).map(str::to_owned),
            _ => None,
        };
        let error = Self::new(ExitStatus::Failed, error);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// How an app's own tool pins its dependencies.
fn make_lock(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Rust => Some("`cargo generate-lockfile` makes it"),
        Kind::Go => Some("`go mod tidy` makes it"),
        Kind::Node => Some("`npm install --package-lock-only` makes it"),
        Kind::Python => Some(
            "`uv lock` makes one; from a requirements.txt, `uv pip compile requirements.txt -o pylock.toml` does; for a member of a workspace, `uv export --no-emit-workspace --format pylock.toml --package NAME -o pylock.toml`",
        ),
        Kind::Cmake | Kind::Meson | Kind::Make => None,
    }
}
