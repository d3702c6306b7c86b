//! `pith cache info`: what a cache says of itself, and what lies in it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use store::cache::backend::{CacheUrl, ErrorClass, FileKind};
use store::cache::format::{CacheInfo, CacheName, FormatError, VERSION};
use store::cache::source::{Source, SourceError};
use store::trust::PublicKey;
use thiserror::Error;

use crate::caches::{open_cache, open_caches};
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::{human_bytes, plural};

/// Show what a cache is and what it holds; without CACHE, those that are configured
#[derive(Debug, Args)]
pub(super) struct InfoArgs {
    /// A directory, or an address: https://…, s3://…, oci://…
    #[arg(value_name = "CACHE")]
    cache: Option<CacheUrl>,
}

/// Why nothing can be said of a cache.
#[derive(Debug, Error)]
enum InfoError {
    #[error("no cache is configured")]
    NoCache,
    #[error("there is no cache at `{0}`")]
    Absent(String),
    #[error("cannot ask the cache `{cache}`")]
    Ask { cache: String, source: SourceError },
    #[error("the cache `{cache}` cannot be used")]
    Format { cache: String, source: FormatError },
}

#[derive(Debug, Serialize)]
struct Report {
    caches: Vec<CacheReport>,
}

#[derive(Debug, Serialize)]
struct CacheReport {
    url: String,
    format: u64,
    store_dir: &'static str,
    keys: Vec<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<Contents>,
}

/// What was found by listing.
#[derive(Debug, Default, Serialize)]
struct Contents {
    objects: u64,
    packs: u64,
    size_bytes: u64,
    /// Files and bytes of each folder.
    folders: BTreeMap<&'static str, Folder>,
}

#[derive(Debug, Default, Serialize)]
struct Folder {
    files: u64,
    size_bytes: u64,
}

/// Asks one cache or all that are configured, and prints what they are.
pub(super) fn info(args: &InfoArgs, context: &Context) -> Result<(), CommandError> {
    let caches = match &args.cache {
        Some(url) => vec![open_cache(context, url)?.into()],
        None => open_caches(context)?,
    };
    if caches.is_empty() {
        return Err(CommandError::failed(InfoError::NoCache).hint(
            "`caches = [\"URL\"]` in the settings, `PITH_CACHE` or `--cache URL` names one",
        ));
    }
    let mut reports = Vec::new();
    for cache in &caches {
        reports.push(ask(cache)?);
    }
    let report = Report { caches: reports };
    if context.printer().is_json() {
        context.printer().json(&report)?;
    } else {
        let texts: Vec<_> = report.caches.iter().map(text).collect();
        context.printer().result(&texts.join("\n"))?;
    }
    Ok(())
}

fn ask(cache: &Source) -> Result<CacheReport, CommandError> {
    let url = cache.url().to_string();
    let failed = |source| {
        CommandError::failed(InfoError::Ask {
            cache: url.clone(),
            source,
        })
    };
    let bytes = match cache.read(&CacheName::Info, CacheName::Info.max_bytes()) {
        Ok(bytes) => bytes,
        Err(SourceError::Backend(error)) if error.class() == ErrorClass::Absent => {
            return Err(CommandError::failed(InfoError::Absent(url))
                .hint("`pith cache push` makes one of an empty place"));
        }
        Err(error) => return Err(failed(error)),
    };
    let info = CacheInfo::decode(&bytes).map_err(|source| {
        let cache = url.clone();
        CommandError::new(ExitStatus::Failed, InfoError::Format { cache, source })
    })?;
    Ok(CacheReport {
        contents: list(cache).map_err(failed)?,
        format: VERSION,
        store_dir: store::STORE_DIR,
        keys: info.keys,
        url,
    })
}

/// Counts the files; `None` for a cache that cannot list them.
fn list(cache: &Source) -> Result<Option<Contents>, SourceError> {
    let mut contents = Contents::default();
    for kind in FileKind::ALL {
        let mut folder = Folder::default();
        let listed = cache.list(kind, &mut |file| {
            folder.files += 1;
            folder.size_bytes += file.size_bytes;
        });
        match listed {
            Ok(()) => {}
            Err(SourceError::Backend(error)) if error.class() == ErrorClass::Unsupported => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        contents.size_bytes += folder.size_bytes;
        match kind {
            FileKind::Object => contents.objects = folder.files,
            FileKind::Pack => contents.packs = folder.files,
            _ => {}
        }
        contents.folders.insert(kind.folder(), folder);
    }
    Ok(Some(contents))
}

fn text(report: &CacheReport) -> String {
    let mut text = format!(
        "{}\n  format {} for {}\n",
        report.url, report.format, report.store_dir
    );
    if let Some(contents) = &report.contents {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {} in {}, {}",
            plural_u64(contents.objects, "object"),
            plural_u64(contents.packs, "pack"),
            human_bytes(contents.size_bytes)
        );
    }
    for key in &report.keys {
        let _ = writeln!(text, "  offers {key}");
    }
    text
}

fn plural_u64(count: u64, noun: &str) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), noun)
}
