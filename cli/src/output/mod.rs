//! What the user sees: results on standard output, progress and diagnostics on standard error.

mod collecting;
mod objects;
mod packing;
mod printer;
mod progress;
mod pulling;
mod pushing;
mod text;

pub(crate) use collecting::GcProgress;
pub(crate) use objects::ObjectProgress;
pub(crate) use packing::PackProgress;
pub(crate) use printer::{OutputError, Printer, Verbosity};
pub(crate) use progress::{BuildProgress, Done};
pub(crate) use pulling::PullProgress;
pub(crate) use pushing::PushProgress;
pub(crate) use text::{human_bytes, human_duration, human_time, plural};
