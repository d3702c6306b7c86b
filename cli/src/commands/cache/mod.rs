//! `pith cache`: objects and realisations shared between machines. One file a subcommand.

mod cache_command;
mod info;
mod push;
mod trust_explain;

pub(crate) use cache_command::{CacheArgs, cache};
