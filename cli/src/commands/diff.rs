//! `pith diff`: what has changed between two closures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use store::{LocalStore, PathInfo, StorePath};
use thiserror::Error;

use crate::context::Context;
use crate::error::CommandError;
use crate::output::human_bytes;
use crate::realise::realise_one;

/// How many files of one package are named without `--files`.
const SHOWN_FILES: usize = 5;
/// How much of two files is compared at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Show what differs between two targets and all that they need
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The older one
    #[arg(value_name = "A")]
    old: String,
    /// The newer one
    #[arg(value_name = "B")]
    new: String,
    /// Name every file that differs
    #[arg(long)]
    files: bool,
}

#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// One object on one side.
#[derive(Debug, Clone, Serialize)]
struct Side {
    path: String,
    version: Option<String>,
    size_bytes: u64,
}

/// An output of a package that is not the same on both sides; a side is null where it is not there. `files` is empty unless both are.
#[derive(Debug, Serialize)]
struct Change {
    name: String,
    old: Option<Side>,
    new: Option<Side>,
    files: Vec<FileChange>,
}

/// A file that differs: `added`, `removed` or `changed`.
#[derive(Debug, Serialize)]
struct FileChange {
    file: String,
    change: &'static str,
}

/// Changes are sorted by name.
#[derive(Debug, Serialize)]
struct Report {
    changes: Vec<Change>,
    old_size_bytes: u64,
    new_size_bytes: u64,
    same: bool,
}

/// Prints what was added, removed and changed; nothing when both are the same.
pub(crate) fn diff(args: &DiffArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let old = realise_one(context, &store, &args.old)?;
    let new = realise_one(context, &store, &args.new)?;
    let old_closure = store.closure(std::slice::from_ref(&*old))?;
    let new_closure = store.closure(std::slice::from_ref(&*new))?;
    let (olds, news) = (
        by_name(old_closure.infos(), &new_closure),
        by_name(new_closure.infos(), &old_closure),
    );
    let mut names: Vec<&String> = olds.keys().chain(news.keys()).collect();
    names.sort();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let (old, new) = (olds.get(name), news.get(name));
        let empty = Vec::new();
        let (old, new) = (old.unwrap_or(&empty), new.unwrap_or(&empty));
        for index in 0..old.len().max(new.len()) {
            let (old, new) = (old.get(index), new.get(index));
            let files = match (old, new) {
                (Some(old), Some(new)) => changed_files(&store, &old.path, &new.path)?,
                _ => Vec::new(),
            };
            changes.push(Change {
                name: name.clone(),
                old: old.map(|info| side(info)),
                new: new.map(|info| side(info)),
                files,
            });
        }
    }
    let report = Report {
        same: changes.is_empty(),
        changes,
        old_size_bytes: old_closure.size_bytes(),
        new_size_bytes: new_closure.size_bytes(),
    };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else if report.same {
        context.printer().note("both are the same");
    } else {
        context.printer().result(&text(&report, args.files))?;
    }
    Ok(())
}

/// The objects that the other side does not have, by their store name without the version; several of one name in the order of their paths.
fn by_name<'a>(
    infos: &'a [PathInfo],
    other: &store::Closure,
) -> BTreeMap<String, Vec<&'a PathInfo>> {
    let mut found: BTreeMap<String, Vec<&PathInfo>> = BTreeMap::new();
    for info in infos.iter().filter(|info| other.find(&info.path).is_none()) {
        found.entry(name_of(info)).or_default().push(info);
    }
    for infos in found.values_mut() {
        infos.sort_by(|a, b| a.path.cmp(&b.path));
    }
    found
}

fn name_of(info: &PathInfo) -> String {
    let name = info.path.name().as_str();
    let version = info
        .component
        .as_ref()
        .and_then(|one| one.version.as_deref());
    match version {
        Some(version) => name.replacen(&format!("-{version}"), "", 1),
        None => name.to_owned(),
    }
}

fn side(info: &PathInfo) -> Side {
    Side {
        path: info.path.to_logical(),
        version: info.component.as_ref().and_then(|one| one.version.clone()),
        size_bytes: info.size_bytes,
    }
}

/// Compares the files of two objects, whose names for themselves are their own and so always differ.
fn changed_files(
    store: &LocalStore,
    old: &StorePath,
    new: &StorePath,
) -> Result<Vec<FileChange>, CommandError> {
    let (old, new) = (store.real_path(old), store.real_path(new));
    let (olds, news) = (files(&old)?, files(&new)?);
    let mut names: Vec<&String> = olds.keys().chain(news.keys()).collect();
    names.sort();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        let change = match (olds.get(name), news.get(name)) {
            (Some(_), None) => "removed",
            (None, Some(_)) => "added",
            (Some(one), Some(two)) if is_same(one, two)? => continue,
            _ => "changed",
        };
        changes.push(FileChange {
            file: name.clone(),
            change,
        });
    }
    Ok(changes)
}

/// What is not a directory below `root`, by its path there.
fn files(root: &Path) -> Result<BTreeMap<String, PathBuf>, CommandError> {
    let mut found = BTreeMap::new();
    let mut pending = vec![(String::new(), root.to_owned())];
    while let Some((name, path)) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
        if !metadata.is_dir() {
            found.insert(name, path);
            continue;
        }
        for entry in fs::read_dir(&path).map_err(unreadable(&path))? {
            let entry = entry.map_err(unreadable(&path))?.file_name();
            let below = entry.to_string_lossy();
            let below = if name.is_empty() {
                below.into_owned()
            } else {
                format!("{name}/{below}")
            };
            pending.push((below, path.join(&entry)));
        }
    }
    Ok(found)
}

fn is_same(one: &Path, two: &Path) -> Result<bool, CommandError> {
    let read = |path: &Path| fs::symlink_metadata(path).map_err(unreadable(path));
    let (a, b) = (read(one)?, read(two)?);
    if a.is_symlink() && b.is_symlink() {
        let target = |path: &Path| fs::read_link(path).map_err(unreadable(path));
        return Ok(target(one)? == target(two)?);
    }
    if a.file_type() != b.file_type() || a.len() != b.len() || a.permissions() != b.permissions() {
        return Ok(false);
    }
    let open = |path: &Path| fs::File::open(path).map_err(unreadable(path));
    let (mut a, mut b) = (open(one)?, open(two)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let limit = CHUNK_BYTES as u64;
        a.by_ref()
            .take(limit)
            .read_to_end(&mut left)
            .map_err(unreadable(one))?;
        b.by_ref()
            .take(limit)
            .read_to_end(&mut right)
            .map_err(unreadable(two))?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> CommandError + use<> {
    let path = path.to_owned();
    |source| CommandError::failed(ReadError { path, source })
}

fn text(report: &Report, all_files: bool) -> String {
    let mut text = String::new();
    for change in &report.changes {
        // Writing to a String cannot fail.
        let _ = match (&change.old, &change.new) {
            (Some(old), Some(new)) => {
                let versions = match (&old.version, &new.version) {
                    (Some(old), Some(new)) if old != new => format!("{old} → {new}, "),
                    _ => String::new(),
                };
                let sizes = difference(old.size_bytes, new.size_bytes);
                writeln!(text, "~ {}: {versions}{sizes}", change.name)
            }
            (Some(old), None) => writeln!(text, "- {}{}", change.name, described(old)),
            (None, Some(new)) => writeln!(text, "+ {}{}", change.name, described(new)),
            (None, None) => Ok(()),
        };
        let shown = if all_files { usize::MAX } else { SHOWN_FILES };
        for file in change.files.iter().take(shown) {
            let name = if file.file.is_empty() {
                "the file itself"
            } else {
                &file.file
            };
            let _ = writeln!(text, "    {} {name}", file.change);
        }
        let hidden = change.files.len().saturating_sub(shown);
        if hidden > 0 {
            let _ = writeln!(text, "    and {hidden} more; `--files` names them");
        }
    }
    let _ = writeln!(
        text,
        "{}",
        difference(report.old_size_bytes, report.new_size_bytes)
    );
    text
}

fn described(side: &Side) -> String {
    let version = side
        .version
        .as_ref()
        .map_or(String::new(), |version| format!(" {version}"));
    format!("{version}, {}", human_bytes(side.size_bytes))
}

fn difference(old: u64, new: u64) -> String {
    let sign = if new < old { "-" } else { "+" };
    let (from, to) = (human_bytes(old), human_bytes(new));
    match old.abs_diff(new) {
        0 => from,
        by => format!("{from} → {to} ({sign}{})", human_bytes(by)),
    }
}
