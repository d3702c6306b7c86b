//! `pith store`: the store itself. One file a subcommand.

mod info;
mod path_info;
mod store_command;

pub(crate) use store_command::{StoreArgs, store};
