//! `pith vulns`: which known vulnerabilities are in a closure, an image, or what a bill of materials names.

mod place;
mod remembered;
mod text;
mod vulns_command;

pub(crate) use vulns_command::{Question, VulnsArgs, vulns};
