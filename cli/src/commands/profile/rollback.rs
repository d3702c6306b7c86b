//! `pith profile rollback`: an older generation becomes the current one.

use clap::Args;
use store::profile::Profile;
use thiserror::Error;

use super::change::{lock, report};
use crate::context::Context;
use crate::error::CommandError;

/// Go back to an older generation, or to any other
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// The generation's number, as `history` shows it; the one before the current one when absent
    #[arg(long, value_name = "N")]
    to: Option<u64>,
}

/// The current generation is the oldest.
#[derive(Debug, Error)]
#[error("there is no older generation to go back to")]
struct NoOlder;

/// Runs the command.
pub(super) fn rollback(
    args: &RollbackArgs,
    context: &Context,
    profile: &Profile<'_>,
) -> Result<(), CommandError> {
    let locked = lock(context, profile)?;
    let before = profile.current_manifest()?;
    let number = match args.to {
        Some(number) => number,
        None => older(profile)?,
    };
    let generation = locked.switch_to(number)?;
    context
        .printer()
        .note(&format!("generation {number} is the current one"));
    let after = profile.manifest(&generation)?;
    report(context, profile, Some(&generation), &before, &after)
}

fn older(profile: &Profile<'_>) -> Result<u64, CommandError> {
    let current = profile.current()?.map(|generation| generation.number);
    let generations = profile.generations()?.into_iter().rev();
    generations
        .map(|generation| generation.number)
        .find(|number| Some(*number) < current)
        .ok_or_else(|| CommandError::failed(NoOlder))
}
