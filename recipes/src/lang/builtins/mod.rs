//! The functions that recipes have beside Starlark's own, one file each.
//!
//! Each takes its arguments by name through `Fields`, so that what is wrong with one is always said alike.

pub(super) mod debian;
pub(super) mod debs;
pub(super) mod derivation;
pub(super) mod fetch;
pub(super) mod image;
pub(super) mod json;
pub(super) mod lock;
mod lock_scripts;
mod metadata;
pub(super) mod multiply;
pub(super) mod package;
pub(super) mod platform;
pub(super) mod range;
pub(super) mod read;
mod smoke;
pub(super) mod source;
pub(super) mod toml;
