//! `pith serve --cache`: answers until it is told to stop.

use clap::Args;
use store::cache::backend::CacheUrl;
use store::cache::server::{CacheService, ServerError, ServerOptions, Unsigned};
use store::serve::{ReadAccess, ServerLimits};
use store::trust::PublicKey;
use thiserror::Error;

use super::listen::{ListenArgs, teller};
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::Printer;
use crate::settings::Origin;
use crate::size::Size;

#[derive(Debug, Args)]
pub(super) struct DirectoryArgs {
    /// Verify signatures of KEY, `<name>:<base64>`, and offer it to readers; may be repeated
    #[arg(long, value_name = "KEY")]
    key: Vec<PublicKey>,
    /// Refuse what no KEY has signed
    #[arg(long, requires = "key")]
    require_signatures: bool,
    /// The largest file that is taken
    #[arg(long, value_name = "SIZE", default_value = "128M")]
    max_file: Size,
    /// How much memory files may take while they are received and checked
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    max_receiving: Size,
}

/// It is not known what to serve: what settings files name is for taking from.
#[derive(Debug, Error)]
#[error("{count} caches are named on the command line, and one is served")]
struct NotOneCache {
    count: usize,
}

/// Runs the command.
pub(super) fn serve_directory(
    listen: &ListenArgs,
    args: &DirectoryArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let printer = context.printer();
    let cache = named_cache(context)?;
    let service = CacheService::open(options(listen, args, cache, printer)).map_err(failed)?;
    let server = listen.bind(service)?;
    if listen.tokens.is_none() && !listen.public_read {
        printer.note("nobody may use it: there is neither `--tokens` nor `--public-read`");
    }
    listen.announce(&server, printer)?;
    server.run()?;
    printer.note("stopped");
    Ok(())
}

fn named_cache(context: &Context) -> Result<CacheUrl, CommandError> {
    let caches = &context.settings().caches.caches;
    let mut named = caches
        .iter()
        .filter(|entry| entry.origin == Origin::Command);
    match (named.next(), named.count()) {
        (Some(entry), 0) => Ok(entry.url.clone()),
        (first, others) => {
            let count = others + usize::from(first.is_some());
            let error = CommandError::new(ExitStatus::Usage, NotOneCache { count });
            Err(error.hint("`--cache ./DIR` says which directory is served"))
        }
    }
}

fn options(
    listen: &ListenArgs,
    args: &DirectoryArgs,
    cache: CacheUrl,
    printer: &Printer,
) -> ServerOptions {
    ServerOptions {
        read: if listen.public_read {
            ReadAccess::Public
        } else {
            ReadAccess::Tokens
        },
        tokens: listen.tokens.clone(),
        keys: args.key.clone(),
        unsigned: if args.require_signatures {
            Unsigned::Refused
        } else {
            Unsigned::Accepted
        },
        limits: ServerLimits {
            file_bytes: args.max_file.bytes,
            body_bytes: args.max_receiving.bytes,
            ..listen.limits()
        },
        on_event: Some(teller(printer)),
        ..ServerOptions::new(cache)
    }
}

fn failed(error: ServerError) -> CommandError {
    let status = match error {
        ServerError::NoDirectory { .. } => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    };
    CommandError::new(status, error)
}
