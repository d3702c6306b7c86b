//! `pith serve`: a cache's directory, or a registry that makes images on demand, for other machines. One file a subcommand or kind of server.

mod directory;
mod listen;
mod offers;
mod registry;
mod serve_command;
mod token;

pub(crate) use serve_command::{ServeArgs, serve};
