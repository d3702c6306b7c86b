//! `pith key`: keys that sign images and what goes into caches. One file a subcommand.

mod generate;
mod key_command;
mod show;

pub(crate) use key_command::{KeyArgs, key};
