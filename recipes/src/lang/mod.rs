#![doc = include_str!("REFERENCE.md")]
//!
//! # How it is done
//!
//! A file is read, checked for a shape that would exhaust the parser, parsed, then what it loads is evaluated, then the file
//! itself; its values are frozen and kept. Nothing is evaluated that is not needed, and nothing twice. Evaluation reads
//! recipe files, and what they name with `read` and `lock` below a project: no clock, environment, network or other file.
//!
//! Not responsible for: taking files into the store, fetching, building; what stands in a license expression.

mod builtins;
mod changes;
mod collection;
mod context;
mod dialect;
mod error;
mod evaluate;
mod explain;
mod fields;
mod guard;
mod label;
mod locks;
mod overrides;
mod place;
mod session;
mod values;
mod variant;
mod watch;

pub use collection::{Collection, EmbeddedFile, ReadError};
pub use dialect::{EvaluationLimits, prepare};
pub use error::{LangError, Limit, Place, Problem};
pub use evaluate::{CollectionEntry, Evaluator, Event, Package, Project};
pub use label::LabelError;
pub(crate) use locks::check_requirements;
pub use locks::{LockError, LockProblem};
