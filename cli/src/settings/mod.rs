//! Settings from flags, environment and files, each value decided once.
//!
//! The order is: flags, then `PITH_*` variables, then `pith.toml` of the project, then the user's
//! file, then the system's. Nothing else in the workspace reads the environment.

mod cache_table;
mod caches;
mod documents;
mod file;
mod registries;
mod resolve;
mod trust;
mod variables;

pub(crate) use cache_table::CredentialSource;
#[cfg(test)]
pub(crate) use caches::CacheSettings;
pub(crate) use caches::{CacheEntry, CacheUse, Origin};
pub(crate) use resolve::{Settings, SettingsError};
pub(crate) use variables::{Variables, read_variable, search_path};
