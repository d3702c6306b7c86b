//! `pith store`: the store itself. One file a subcommand.

mod info;
mod path_info;
mod paths;
mod store_command;
mod verify;

pub(crate) use store_command::{StoreArgs, store};
