//! `pith serve --cache`: answers until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use clap::Args;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use store::cache::backend::CacheUrl;
use store::cache::server::{
    ReadAccess, Server, ServerError, ServerEvent, ServerLimits, ServerOptions, Unsigned,
};
use store::trust::PublicKey;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::Printer;
use crate::settings::Origin;
use crate::size::Size;

#[derive(Debug, Args)]
pub(super) struct DirectoryArgs {
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8417")]
    listen: SocketAddr,
    /// Let everybody read; without it reading needs a token too
    #[arg(long)]
    public_read: bool,
    /// Who may read and write, as `pith serve token` writes it; changes count at once
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
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
    /// How many requests a second one client may ask; 0 for any number
    #[arg(long, value_name = "N", default_value = "2000")]
    rate: u32,
}

/// The report of a server that listens.
#[derive(Debug, Serialize)]
struct ServeReport {
    address: String,
}

/// It is not known what to serve: what settings files name is for taking from.
#[derive(Debug, Error)]
#[error("{count} caches are named on the command line, and one is served")]
struct NotOneCache {
    count: usize,
}

/// Runs the command.
pub(super) fn serve_directory(args: &DirectoryArgs, context: &Context) -> Result<(), CommandError> {
    let printer = context.printer();
    let cache = named_cache(context)?;
    let server = Server::bind(args.listen, options(args, cache, printer)).map_err(failed)?;
    let address = format!("http://{}", server.address());
    stop_on_signals(&server)?;
    if !args.listen.ip().is_loopback() {
        printer.note("tokens and files go unencrypted; put a proxy that does TLS before it");
    }
    if args.tokens.is_none() && !args.public_read {
        printer.note("nobody may use it: there is neither `--tokens` nor `--public-read`");
    }
    if printer.is_json() {
        printer.json(&ServeReport { address })?;
    } else {
        printer.result(&address)?;
    }
    server.run().map_err(failed)?;
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

fn options(args: &DirectoryArgs, cache: CacheUrl, printer: &Printer) -> ServerOptions {
    let told = printer.clone();
    ServerOptions {
        read: if args.public_read {
            ReadAccess::Public
        } else {
            ReadAccess::Tokens
        },
        tokens: args.tokens.clone(),
        keys: args.key.clone(),
        unsigned: if args.require_signatures {
            Unsigned::Refused
        } else {
            Unsigned::Accepted
        },
        limits: ServerLimits {
            file_bytes: args.max_file.bytes,
            body_bytes: args.max_receiving.bytes,
            requests_per_second: args.rate,
            burst: args.rate.saturating_mul(5),
            ..ServerLimits::default()
        },
        on_event: Some(Arc::new(move |event| tell(event, &told))),
        ..ServerOptions::new(cache)
    }
}

/// The first signal lets requests end; `main` makes the second one end everything.
fn stop_on_signals(server: &Server) -> Result<(), CommandError> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(CommandError::failed)?;
    let handle = server.handle();
    thread::spawn(move || {
        for _signal in &mut signals {
            handle.shutdown();
        }
    });
    Ok(())
}

fn tell(event: &ServerEvent<'_>, printer: &Printer) {
    match event {
        ServerEvent::Answered {
            client,
            token,
            method,
            path,
            status,
            refusal,
            took,
        } => {
            let who = match token {
                Some(token) => format!("{client} ({token})"),
                None => client.to_string(),
            };
            // What clients made up must not reach a terminal as it is.
            let (method, path) = (method.escape_debug(), path.escape_debug());
            let line = format!("{who}: {method} {path}: {status}");
            match refusal {
                // What is absent is asked for all the time.
                Some(why) if *status != 404 => printer.note(&format!("{line}: {why}")),
                _ => printer.detail(&format!("{line} in {} ms", took.as_millis())),
            }
        }
        ServerEvent::TokensUnreadable { error } => {
            printer.always(&format!("warning: no token is good: {error}"));
        }
        ServerEvent::NotAccepting { error } => {
            printer.always(&format!("warning: cannot accept a connection: {error}"));
        }
    }
}

fn failed(error: ServerError) -> CommandError {
    let status = match error {
        ServerError::NoDirectory { .. } => ExitStatus::Usage,
        _ => ExitStatus::Failed,
    };
    CommandError::new(status, error)
}
