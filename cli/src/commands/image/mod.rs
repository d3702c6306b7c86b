//! `pith image`: images that exist already, in files and in registries. One file a subcommand.

mod base;
mod copy;
mod diff;
mod image_command;
mod inspect;
mod ls;
pub(crate) mod place;
mod push;
mod rebase;
mod sign;
mod verify;

pub(crate) use base::{any_platform, describe_base, find_base};
pub(crate) use image_command::{ImageArgs, image};
pub(crate) use place::ImagePlace;
