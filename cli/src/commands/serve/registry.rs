//! `pith serve --registry`: images are built, packed and sent when somebody pulls them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;

use clap::Args;
use pack::oci::Platform as ImagePlatform;
use pack::serve::{Depot, DepotError, RegistryService, RegistryServiceOptions};
use pack::{Compression, PackOptions};
use store::serve::{GateOptions, ReadAccess, ServerLimits, TokenError};
use thiserror::Error;

use super::listen::{ListenArgs, teller};
use super::offers::{Asked, Channel, Offers};
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_image_secret;
use crate::platform::asked_platforms;
use crate::size::Size;

/// Names that are built at once; further ones wait.
const BUILDERS: usize = 4;

#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Be a registry: `podman pull localhost:8417/curl/jq` builds both, or takes them from caches, and packs them
    #[arg(long, conflicts_with_all = ["key", "require_signatures", "max_file", "max_receiving"])]
    pub(super) registry: bool,
    /// Keep what clients push in DIR, too
    #[arg(long, value_name = "DIR", requires = "registry")]
    allow_push: Option<PathBuf>,
    /// The largest blob that is taken
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16G",
        requires = "registry"
    )]
    max_blob: Size,
    /// What images are for, linux/amd64 or linux/arm64, this machine by default; several make an index
    #[arg(long = "platform", value_name = "PLATFORM", requires = "registry")]
    platforms: Vec<ImagePlatform>,
    /// gzip, zstd or none
    #[arg(
        long,
        value_name = "COMPRESSION",
        default_value = "gzip",
        requires = "registry"
    )]
    compression: Compression,
    /// Sign images and what is attached to them with the secret key in FILE, so that `pith image verify --key` and `cosign verify` can tell whose they are
    #[arg(long, value_name = "FILE", requires = "registry")]
    attest_key: Option<PathBuf>,
}

/// Whoever reaches the registry could replace what is in it.
#[derive(Debug, Error)]
#[error("everybody who reaches {0} could push")]
struct OpenToAll(std::net::SocketAddr);

/// Runs the command.
pub(super) fn serve_registry(
    listen: &ListenArgs,
    args: &RegistryArgs,
    context: &Context,
) -> Result<(), CommandError> {
    let printer = context.printer();
    let is_local = listen.listen.ip().is_loopback();
    if args.allow_push.is_some() && listen.tokens.is_none() && !is_local {
        let error = CommandError::new(ExitStatus::Usage, OpenToAll(listen.listen));
        return Err(error.hint("`--tokens FILE` says who may; `pith serve token` makes one"));
    }
    if listen.tokens.is_none() && !is_local {
        printer
            .note("everybody who reaches it may have packages built; `--tokens FILE` says who may");
    }
    let (sender, receiver) = mpsc::channel();
    let options = options(listen, args, context)?;
    let service = RegistryService::new(Box::new(Channel::new(sender)), options);
    let server = listen.bind(service.map_err(tokens_failed)?)?;
    listen.announce(&server, printer)?;
    let store = context.open_store()?;
    let offers = Offers {
        context,
        store: &store,
        platforms: asked_platforms(&args.platforms),
        options: PackOptions {
            compression: args.compression,
            ..PackOptions::default()
        },
    };
    let receiver = Mutex::new(receiver);
    thread::scope(|scope| {
        for _ in 0..BUILDERS {
            scope.spawn(|| make_offers(&offers, &receiver));
        }
        // When it ends, nobody asks any more, and the others end, too.
        server.run()
    })?;
    printer.note("stopped");
    Ok(())
}

fn options(
    listen: &ListenArgs,
    args: &RegistryArgs,
    context: &Context,
) -> Result<RegistryServiceOptions, CommandError> {
    let depot = args.allow_push.as_ref();
    let depot = depot.map(|directory| Depot::open(&context.directory().join(directory)));
    let key = args.attest_key.as_ref();
    let key = key.map(|file| read_image_secret(&context.directory().join(file)));
    let is_open = listen.tokens.is_none();
    Ok(RegistryServiceOptions {
        gate: GateOptions {
            read: match is_open || listen.public_read {
                true => ReadAccess::Public,
                false => ReadAccess::Tokens,
            },
            public_write: is_open && args.allow_push.is_some(),
            tokens: listen.tokens.clone(),
            limits: ServerLimits {
                file_bytes: args.max_blob.bytes,
                ..listen.limits()
            },
            on_event: Some(teller(context.printer())),
            counters: "registry",
        },
        depot: depot
            .transpose()
            .map_err(|error: DepotError| CommandError::failed(error))?,
        key: key.transpose()?,
    })
}

fn make_offers(offers: &Offers<'_>, receiver: &Mutex<Receiver<Asked>>) {
    loop {
        let next = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(asked) = next else { return };
        let answer = AssertUnwindSafe(|| asked.answer(offers));
        // A panic must not take a builder away; who asked is told when the question is dropped.
        drop(catch_unwind(answer));
    }
}

fn tokens_failed(error: TokenError) -> CommandError {
    CommandError::failed(error)
}
