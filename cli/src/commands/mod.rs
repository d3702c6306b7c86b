//! One file a command: its arguments, whose documentation is the help, and what it does with the libraries.

pub(crate) mod audit;
pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod completions;
pub(crate) mod debian;
pub(crate) mod diff;
pub(crate) mod image;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod lint;
pub(crate) mod log;
pub(crate) mod notice;
pub(crate) mod pack;
pub(crate) mod profile;
pub(crate) mod run;
mod run_command;
pub(crate) mod sbom;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod size;
pub(crate) mod sources;
pub(crate) mod store;
pub(crate) mod trace;
pub(crate) mod tree;
pub(crate) mod vulns;
pub(crate) mod why;
mod why_license;

pub(crate) use run_command::run_command;
