//! `pith cache`: objects and realisations shared between machines. One file a subcommand.

mod asked;
mod cache_command;
mod challenge;
mod gc;
mod info;
mod push;
mod trust_explain;
mod why_missed;

pub(crate) use cache_command::{CacheArgs, cache};
