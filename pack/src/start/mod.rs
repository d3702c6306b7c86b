//! Whether the program of an image will start: it, its interpreter and its libraries are looked for as the kernel and the loader will, before anything is
//! written.

mod error;
mod libraries;
mod process;
mod program;
mod view;

pub use error::StartError;
pub(crate) use program::{Launch, Start, machine_name, runs};
pub(crate) use view::View;
