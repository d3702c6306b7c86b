#![doc = include_str!("../README.md")]

mod builder;
mod cgroup;
mod disk;
mod error;
mod filter;
mod helper;
mod host;
mod identity;
mod init;
mod launcher;
mod missing;
mod outcome;
mod probe;
mod reap;
mod rootfs;
mod spec;
mod supervisor;
mod sys;
mod watch;
mod wire;

pub use error::{OsError, SandboxError, StepError};
pub use helper::helper_main_if_requested;
pub use host::{HostProgram, execute_on_host};
pub use launcher::Launcher;
pub use missing::Missing;
pub use outcome::{Level, Outcome, Status, UnknownLevel};
pub use probe::probe;
pub use spec::{Access, File, Limits, Mount, Network, SandboxSpec, Stdio, Symlink, User};
