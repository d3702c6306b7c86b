//! The subcommands of `pith cache`.

use clap::{Args, Subcommand};

use super::challenge::{ChallengeArgs, challenge};
use super::gc::{GcArgs, gc};
use super::info::{InfoArgs, info};
use super::push::{PushArgs, push};
use super::trust_explain::{TrustExplainArgs, trust_explain};
use super::why_missed::{WhyMissedArgs, why_missed};
use crate::context::Context;
use crate::error::CommandError;

/// Share what is built between machines
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    Push(PushArgs),
    Info(InfoArgs),
    TrustExplain(TrustExplainArgs),
    WhyMissed(WhyMissedArgs),
    Challenge(ChallengeArgs),
    Gc(GcArgs),
}

/// Runs the subcommand.
pub(crate) fn cache(args: &CacheArgs, context: &Context) -> Result<(), CommandError> {
    match &args.command {
        CacheCommand::Push(args) => push(args, context),
        CacheCommand::Info(args) => info(args, context),
        CacheCommand::TrustExplain(args) => trust_explain(args, context),
        CacheCommand::WhyMissed(args) => why_missed(args, context),
        CacheCommand::Challenge(args) => challenge(args, context),
        CacheCommand::Gc(args) => gc(args, context),
    }
}
