#![doc = include_str!("ROOT.md")]

mod accounts;
mod certificates;
mod compose;
mod defaults;
mod error;
mod glue;
mod members;
mod scripts;
mod shell;
mod write;

pub(crate) use compose::{Composition, MemberObject, Shape};
pub use error::CompositionError;
use error::at;
