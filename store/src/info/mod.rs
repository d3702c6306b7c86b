//! What is known about a store path: facts, as plain values. Pure.
//!
//! Invariant: a [`PathInfo`] is complete and self-consistent as the store wrote it; its references ascend by store path and never name the path
//! itself. These are also the records under `var/meta`, in JSON, from which the database can be rebuilt.

mod component;
mod path_info;
mod realisation;

pub use self::{
    component::{
        Component, ComponentSource, ContainedComponent, LinkedComponent, UseKind, UsedObject,
    },
    path_info::{PathInfo, Reference},
    realisation::{Realisation, RecordedOutput},
};
