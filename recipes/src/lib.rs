//! From a Starlark recipe to a valid store object.

pub mod build;
pub mod composition;
pub mod debian;
pub mod event;
pub mod facts;
pub mod lang;
pub mod lint;
pub mod model;
pub mod plan;
pub mod project;
pub mod source;
mod suggest;

pub use suggest::nearest;
