//! `pith serve`: a cache's directory for other machines. One file a subcommand.

mod directory;
mod serve_command;
mod token;

pub(crate) use serve_command::{ServeArgs, serve};
