//! `pith build`: targets to valid store paths.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use store::{LocalStore, RootKind};
use thiserror::Error;

use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::CommandError;
use crate::link::plain_path;
use crate::realise::{Realised, realise};
use crate::select::{Want, select_all};
use crate::size::Size;

/// Build targets and print their store paths
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// What to build
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Build N times and compare, even what is built already
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    rounds: u32,
    /// Keep the directory of a failed build
    #[arg(long)]
    keep_failed: bool,
    /// Go on with what does not depend on a failed build
    #[arg(long)]
    keep_going: bool,
    /// End a build that takes longer than SECONDS
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// End a build that keeps more than SIZE on disk, such as 8G
    #[arg(long, value_name = "SIZE")]
    max_disk: Option<Size>,
    /// Give a build at most SIZE of memory, such as 4G
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<Size>,
    /// Make LINK a symlink to the first store path, which then stays until the link is removed
    #[arg(short, long, value_name = "LINK")]
    output: Option<PathBuf>,
}

/// The symlink of `-o` could not be made.
#[derive(Debug, Error)]
#[error("cannot make the link `{}`", link.display())]
struct LinkError {
    link: PathBuf,
    source: io::Error,
}

/// The report of `--json`: names are sorted, outputs in the order of the targets.
#[derive(Debug, Serialize)]
struct Report {
    outputs: Vec<Built>,
    built: Vec<String>,
    fetched: Vec<String>,
    shared: Vec<String>,
    substituted: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Built {
    target: String,
    path: String,
}

/// Builds and prints one store path a line, in the order of the targets.
pub(crate) fn build(args: &BuildArgs, context: &Context) -> Result<(), CommandError> {
    let selections = select_all(context, &context.evaluator(), &args.targets, Want::Objects)?;
    let store = context.open_store()?;
    let options = RealiseOptions {
        rounds: args.rounds,
        keep_failed: args.keep_failed,
        keep_going: args.keep_going,
        timeout: args.timeout.map(Duration::from_secs),
        max_disk: args.max_disk,
        max_memory: args.max_memory,
    };
    let realised = realise(context, &store, &selections, &options)?;
    if let (Some(link), Some(first)) = (&args.output, realised.paths.first()) {
        make_root(context, &store, &context.directory().join(link), first)?;
    }
    report(args, context, &realised)
}

fn report(args: &BuildArgs, context: &Context, realised: &Realised) -> Result<(), CommandError> {
    let paths = realised.paths.iter().map(store::StorePath::to_logical);
    if context.printer().is_json() {
        let outputs = args
            .targets
            .iter()
            .cloned()
            .zip(paths)
            .map(|(target, path)| Built { target, path });
        let done = realised.done.clone();
        context.printer().json(&Report {
            outputs: outputs.collect(),
            built: done.built.into_iter().collect(),
            fetched: done.fetched.into_iter().collect(),
            shared: done.shared.into_iter().collect(),
            substituted: done.substituted.into_iter().collect(),
        })?;
    } else {
        let lines: String = paths.map(|path| path + "\n").collect();
        context.printer().result(&lines)?;
    }
    Ok(())
}

/// Makes `link` lead to the real place of `path`, and the store keep the path as long as the link does. A link that an
/// earlier build made is replaced; anything else of that name is left alone.
fn make_root(
    context: &Context,
    store: &LocalStore,
    link: &Path,
    path: &store::StorePath,
) -> Result<(), CommandError> {
    let failed = |source| {
        CommandError::failed(LinkError {
            link: link.into(),
            source,
        })
    };
    let link = &plain_path(link).map_err(failed)?;
    // The root has the link's name, by which it is known whether the link is still there.
    let name = link
        .to_str()
        .ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?;
    match link.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => fs::remove_file(link).map_err(failed)?,
        Ok(_) => {
            return Err(failed(io::ErrorKind::AlreadyExists.into())
                .hint("`-o` replaces a symlink only; name another file or remove this one"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    store.add_root(name, path, RootKind::BuildResult)?;
    symlink(store.real_path(path), link).map_err(failed)?;
    context.printer().detail(&format!("{name} keeps {path}"));
    Ok(())
}
