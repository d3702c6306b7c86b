//! What Python's lock files pin, and which file of each release a platform gets.
//!
//! The formats differ in what they say of a file: `uv.lock`, `poetry.lock` and `pylock.toml` name it, so that the wheel that
//! fits is chosen here, by a rule that depends on names alone ([`wheel`]). A `requirements.txt` has digests only, so it
//! must have one for each release.

mod choose;
mod marker;
mod poetry;
mod pylock;
mod requirements;
mod requires;
mod uv;
mod wheel;

pub(crate) use choose::check_requirements;
pub(in crate::lang) use choose::{PythonPackage, python_lock};
pub(in crate::lang) use marker::Target;
pub(in crate::lang) use requires::python_version;
