//! `pith cache push`: from the store of this machine into a cache.

use std::path::PathBuf;

use clap::Args;
use pack::layer::share_layers;
use recipes::build::{Builder, Plans, Recorded, log_path};
use recipes::plan::Goal;
use sandbox::Level;
use serde::Serialize;
use store::LocalStore;
use store::cache::backend::CacheUrl;
use store::cache::pull::forget_misses;
use store::cache::push::{BuildLog, PlannedHint, PushError, PushReport, PushRequest, Pusher};
use store::trust::SecretKey;

use crate::build_options::{RealiseOptions, build_options};
use crate::caches::open_cache;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::key_file::read_secret;
use crate::output::{PushProgress, human_bytes, plural};
use crate::realise::{goals, realise};
use crate::select::{Want, select_all};
use crate::selection::Selection;

/// Put targets with everything they need into a cache
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// A directory, or an address: s3://…, oci://…, https://…; what is empty becomes a cache
    #[arg(value_name = "CACHE")]
    cache: CacheUrl,
    /// What to push; built first if need be
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// Push what the targets were built with too
    #[arg(long)]
    build_closure: bool,
    /// Sign with the secret key in FILE instead of the one in the settings
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Push what was built in the weaker sandbox LEVEL too
    #[arg(long, value_name = "LEVEL")]
    allow_sandbox: Vec<Level>,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    cache: String,
    objects: usize,
    size_bytes: u64,
    new_objects: usize,
    new_bytes: u64,
    reused_bytes: u64,
    packs: u64,
    sent_bytes: u64,
    signed: usize,
    realisations: usize,
    key: Option<String>,
}

/// Makes the targets valid, and pushes them.
pub(super) fn push(args: &PushArgs, context: &Context) -> Result<(), CommandError> {
    let key = secret_key(args, context)?;
    let cache = open_cache(context, &args.cache)?;
    let selections = select_all(context, &context.evaluator(), &args.targets, Want::Objects)?;
    let store = context.open_store()?;
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let recorded = recorded(args, context, &store, &selections)?;
    let mut request = request(args, &store, realised.paths.clone(), recorded);
    // Until the push keeps them itself.
    let lease = store.lease().map_err(CommandError::failed)?;
    let layers = share_layers(&store, &realised.paths, &lease, seconds_now());
    request.others.extend(layers.map_err(CommandError::failed)?);
    let mut pusher = Pusher::new(&store, &cache);
    if let Some(key) = &key {
        pusher = pusher.sign_with(key);
    }
    for level in &args.allow_sandbox {
        pusher = pusher.allow_sandbox(level.to_string());
    }
    let progress = PushProgress::new(context.printer());
    let pushed = pusher.push(&request, &|event| progress.show(&event), context.cancel());
    progress.finish();
    let pushed = pushed.map_err(failed)?;
    // What was not there when it was asked for last may be there now.
    forget_misses(&store, &cache.url().to_string()).map_err(CommandError::failed)?;
    let report = report(&args.cache, &pushed, key.as_ref());
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        context.printer().note(&text(&report));
    }
    Ok(())
}

fn secret_key(args: &PushArgs, context: &Context) -> Result<Option<SecretKey>, CommandError> {
    let configured = context.settings().caches.signing_key.as_ref();
    let file = args.key.as_ref().or(configured);
    Ok(file.map(|file| read_secret(file)).transpose()?)
}

/// What is recorded of the targets that have recipes.
fn recorded(
    args: &PushArgs,
    context: &Context,
    store: &LocalStore,
    selections: &[Selection],
) -> Result<Recorded, CommandError> {
    let goals: Vec<Goal> = goals(selections);
    if goals.is_empty() {
        return Ok(Recorded::default());
    }
    let plans = if args.build_closure {
        Plans::All
    } else {
        Plans::Closures
    };
    let builder = Builder::new(store, build_options(context, &RealiseOptions::default())?);
    Ok(builder.recorded(&goals, plans)?)
}

fn request(
    args: &PushArgs,
    store: &LocalStore,
    targets: Vec<store::StorePath>,
    recorded: Recorded,
) -> PushRequest {
    let logs = store.logs_dir();
    PushRequest {
        targets,
        others: if args.build_closure {
            recorded.objects.into_iter().collect()
        } else {
            Vec::new()
        },
        hints: recorded
            .plans
            .into_iter()
            .map(|(plan, realisations)| PlannedHint { plan, realisations })
            .collect(),
        logs: recorded
            .resolved
            .into_iter()
            .map(|resolved| BuildLog {
                path: log_path(&logs, &resolved),
                resolved,
            })
            .collect(),
    }
}

fn failed(error: PushError) -> CommandError {
    match &error {
        PushError::WeakSandbox { level, .. } => {
            let hint = format!("`--allow-sandbox {level}` pushes it nevertheless");
            CommandError::new(ExitStatus::No, error).hint(hint)
        }
        PushError::Damaged { .. } | PushError::Unrecorded { .. } => {
            CommandError::new(ExitStatus::Damaged, error)
                .hint("`pith store repair` puts right what is damaged")
        }
        PushError::Collected { .. } => {
            CommandError::failed(error).hint("push again when the collection is over")
        }
        PushError::Interrupted => CommandError::new(ExitStatus::Interrupted, error),
        _ => CommandError::failed(error),
    }
}

fn report(cache: &CacheUrl, pushed: &PushReport, key: Option<&SecretKey>) -> Report {
    Report {
        cache: cache.to_string(),
        objects: pushed.objects,
        size_bytes: pushed.size_bytes,
        new_objects: pushed.new_objects,
        new_bytes: pushed.new_bytes,
        reused_bytes: pushed.reused_bytes,
        packs: pushed.packs,
        sent_bytes: pushed.sent_bytes,
        signed: pushed.signed,
        realisations: pushed.realisations,
        key: key.map(|key| key.name().to_string()),
    }
}

fn text(report: &Report) -> String {
    if report.sent_bytes == 0 {
        return format!(
            "{} already there, nothing sent to {}",
            plural(report.objects, "object"),
            report.cache
        );
    }
    let saved = report.size_bytes.saturating_sub(report.sent_bytes);
    let signed = report.key.as_ref();
    let signed = signed.map_or_else(String::new, |key| format!(", signed with {key}"));
    format!(
        "pushed {} of {} to {}: {} sent, {} saved{signed}",
        report.new_objects,
        plural(report.objects, "object"),
        report.cache,
        human_bytes(report.sent_bytes),
        human_bytes(saved)
    )
}
