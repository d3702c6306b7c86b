//! `pith profile`: sets of installed packages. One file a subcommand.

mod change;
mod history;
mod install;
mod list;
mod profile_command;
mod remove;
mod rollback;
mod upgrade;

pub(crate) use profile_command::{ProfileArgs, profile};
