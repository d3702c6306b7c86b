//! `pith store`: the store itself. One file a subcommand.

mod du;
mod export;
mod gc;
mod info;
mod keeper;
mod path_info;
mod paths;
mod rebuild_db;
mod repair;
mod roots;
mod store_command;
mod verify;

pub(crate) use store_command::{StoreArgs, store};
