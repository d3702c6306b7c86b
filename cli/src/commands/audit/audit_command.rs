//! The questions of `pith audit`.

use clap::Args;

use super::bytes::{BytesArgs, account_bytes};
use crate::context::Context;
use crate::error::CommandError;
use crate::registry::RegistryArgs;

/// Account for what is in an image
///
/// Exit status 3 says that something is in it that has no origin, 4 that something is not what it should be, 5 that this could not be told.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// What to ask: where every byte comes from
    #[arg(long, required = true)]
    bytes: bool,
    /// A target, or an image: an archive, a layout directory, or a name in a registry
    #[arg(value_name = "TARGET|IMAGE")]
    subject: String,
    #[command(flatten)]
    of_bytes: BytesArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Answers the question.
pub(crate) fn audit(args: &AuditArgs, context: &Context) -> Result<(), CommandError> {
    account_bytes(&args.of_bytes, &args.subject, &args.registry, context)
}
