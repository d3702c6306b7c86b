//! `pith sources`: the corresponding source of an image, and whether a bundle of it is complete.

mod collect;
mod components;
mod rebuild;
mod sources_command;

pub(crate) use sources_command::{SourcesArgs, sources};
