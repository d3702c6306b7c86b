//! From a Starlark recipe to a valid store object.

pub mod lang;
pub mod model;
