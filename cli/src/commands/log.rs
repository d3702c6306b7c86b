//! `pith log`: what a builder wrote.

use std::io::{self, Read as _};

use clap::Args;
use recipes::build::{Builder, read_log};
use thiserror::Error;

use crate::build_options::{RealiseOptions, build_options};
use crate::context::Context;
use crate::error::CommandError;
use crate::select::{Want, select};
use crate::selection::{SelectError, Selection};

/// How much of a log is written at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Show the log of a target's last build on this machine
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What was built
    #[arg(value_name = "TARGET")]
    target: String,
}

#[derive(Debug, Error)]
enum LogError {
    #[error("there is no log of `{0}`: it was not built on this machine")]
    NoLog(String),
    #[error("cannot read the log of `{target}`")]
    Read { target: String, source: io::Error },
}

/// Writes the whole log to standard output, also that of a failed build.
pub(crate) fn log(args: &LogArgs, context: &Context) -> Result<(), CommandError> {
    let selection = select(context, &context.evaluator(), &args.target, Want::Objects)?;
    let Selection::Output { package, .. } = selection else {
        return Err(SelectError::NoRecipe(args.target.clone()).into());
    };
    let store = context.open_store()?;
    let builder = Builder::new(&store, build_options(context, &RealiseOptions::default())?);
    let failed = |source| {
        CommandError::failed(LogError::Read {
            target: args.target.clone(),
            source,
        })
    };
    let absent = || CommandError::failed(LogError::NoLog(args.target.clone()));
    let key = builder.find_log(&package.derivation)?.ok_or_else(absent)?;
    let mut log = read_log(&store.logs_dir(), &key)
        .map_err(failed)?
        .ok_or_else(absent)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = log.read(&mut chunk).map_err(failed)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            return Ok(());
        };
        context.printer().bytes(read)?;
    }
}
