//! `pith audit`: what is inside, and whether it may be shipped. One file a question.

mod audit_command;
mod bytes;

pub(crate) use audit_command::{AuditArgs, audit};
