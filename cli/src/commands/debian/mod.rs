//! `pith debian`: packages of Debian. One file a subcommand.

mod debian_command;
mod lock;

pub(crate) use debian_command::{DebianArgs, debian};
