//! `pith audit`: what is inside, and whether it may be shipped. One file a question.

mod audit_command;
mod bytes;
mod diff;
mod explain;
mod image;
mod list;
mod policy;
mod subject;

pub(crate) use audit_command::{AuditArgs, audit};
pub(crate) use policy::load_policy;
pub(super) use subject::load_inventory;
