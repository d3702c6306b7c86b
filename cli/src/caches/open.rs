//! From settings to caches that can be asked.

use std::sync::Arc;

use store::cache::backend::{BackendOptions, CacheUrl, open_backend};
use store::cache::source::{Policy, Source};
use store::net::{NetOptions, Proxies};

use super::CacheError;
use super::secrets::{credentials, s3};
use crate::context::Context;
use crate::error::CommandError;
use crate::settings::{CacheEntry, CacheUse, Settings, Variables};

/// Opens the caches that the user wants to be asked, in their order; none with `--no-cache`, and offline none that is not a directory. Asks nobody.
pub(crate) fn open_caches(context: &Context) -> Result<Vec<Arc<Source>>, CommandError> {
    let settings = context.settings();
    let policy = match settings.caches.mode {
        CacheUse::Never => return Ok(Vec::new()),
        CacheUse::Only => Policy::patient(),
        CacheUse::First => Policy::default(),
    };
    let usable = |entry: &&CacheEntry| !settings.offline || entry.url.scheme() == "file";
    let entries = settings.caches.caches.iter().filter(usable);
    entries
        .map(|entry| open(settings, entry, policy).map(Arc::new))
        .collect()
}

/// Opens a cache that a command is about, and is patient with it. Asks nobody.
pub(crate) fn open_cache(context: &Context, url: &CacheUrl) -> Result<Source, CommandError> {
    let settings = context.settings();
    if settings.offline && url.scheme() != "file" {
        return Err(CommandError::failed(CacheError::Offline(url.to_string())));
    }
    open(settings, &settings.caches.entry(url), Policy::patient())
}

/// The proxies that the user's environment names.
pub(crate) fn proxies(variables: &Variables) -> Proxies {
    Proxies {
        http: variables.http_proxy.clone(),
        https: variables.https_proxy.clone(),
        direct: variables.no_proxy.clone(),
    }
}

fn open(settings: &Settings, entry: &CacheEntry, policy: Policy) -> Result<Source, CommandError> {
    let variables = &settings.variables;
    let options = BackendOptions {
        net: NetOptions {
            proxies: proxies(variables),
            ..BackendOptions::default().net
        },
        credentials: credentials(entry, variables)?,
        plaintext: entry.plaintext,
        s3: s3(entry, variables),
        ..BackendOptions::default()
    };
    let backend = open_backend(&entry.url, &options).map_err(CommandError::failed)?;
    Ok(Source::new(backend, policy))
}
