//! `pith sources`: the corresponding source of an image, and whether a bundle of it is complete.

mod binaries;
mod collect;
mod components;
mod derivations;
mod fetched;
mod licenses;
mod patches;
mod project;
mod rebuild;
mod sources_command;

pub(crate) use sources_command::{SourcesArgs, sources, write_sources};
