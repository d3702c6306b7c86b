//! Everything a sandboxed program sees and may do, as closed data.
//!
//! Nothing is inherited from the caller: what is not written here does not exist inside. All paths "inside" are absolute,
//! without `.` and `..`, and never lead through a symlink; the sandbox refuses anything else.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::Level;
use crate::wire::{latin1, latin1_list, latin1_map};

/// The whole description of one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// What is shown of the host, in any order; parents are mounted before what lies below them. No two have one target.
    pub mounts: Vec<Mount>,
    /// Symlinks to create, after the mounts.
    pub symlinks: Vec<Symlink>,
    /// Small generated files, such as `/etc/passwd`, after the mounts.
    pub files: Vec<File>,
    /// Empty directories to create (mode 0755); their parents come by themselves.
    #[serde(with = "latin1_list")]
    pub directories: Vec<PathBuf>,
    /// The program and its arguments. A name without a slash is looked up in the `PATH` of [`env`](Self::env).
    #[serde(with = "latin1_list")]
    pub argv: Vec<OsString>,
    /// The whole environment.
    #[serde(with = "latin1_map")]
    pub env: BTreeMap<OsString, OsString>,
    /// The directory inside in which the program starts.
    #[serde(with = "latin1")]
    pub cwd: PathBuf,
    /// Whether the network of the host is visible.
    pub network: Network,
    /// Where standard input, output and error lead.
    pub stdio: Stdio,
    /// Who the program is.
    pub user: User,
    /// What ends the run from outside.
    pub limits: Limits,
    /// The weakest level that is still acceptable; [`Level::Full`] by default.
    pub weakest_level: Level,
}

/// A file or directory of the host, shown inside. Set-user-id bits and devices have no effect in it.
///
/// A source that is a symlink is not followed: the same symlink is created inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// Where it lies on the host.
    #[serde(with = "latin1")]
    pub source: PathBuf,
    /// Where it is shown inside. Missing parents are created.
    #[serde(with = "latin1")]
    pub target: PathBuf,
    /// Whether the program may write to it.
    pub access: Access,
}

/// Whether a mount can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Recursively read-only.
    ReadOnly,
    /// Read-write. With [`User::Builder`] the source must be private to this run: where the sandbox is started by root, it is
    /// given, with all that lies in it, to the unprivileged user the builder runs as.
    ReadWrite,
}

/// A symlink to create inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Symlink {
    /// What the link says.
    #[serde(with = "latin1")]
    pub target: PathBuf,
    /// Where the link lies.
    #[serde(with = "latin1")]
    pub link: PathBuf,
}

/// A small file to create inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct File {
    /// Where it lies.
    #[serde(with = "latin1")]
    pub path: PathBuf,
    /// What it holds.
    #[serde(with = "latin1")]
    pub bytes: Vec<u8>,
    /// Its permission bits; set-id bits are refused.
    pub mode: u32,
}

/// Whether the network of the host is visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// A network namespace of its own in which only `lo` exists.
    #[default]
    Denied,
    /// The network of the caller, abstract unix sockets included.
    Shared,
}

/// Where standard input, output and error lead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// Input is `/dev/null`; output and error are one pipe to the log callback. The program leads a session without terminal.
    #[default]
    Captured,
    /// The caller's own three; the program stays in the caller's session and process group, so that a terminal works.
    Inherited,
}

/// Who the program is, inside and for the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// 1000:100 inside. Outside it is the caller, or, when the caller is root, an unprivileged user of this run alone.
    #[default]
    Builder,
    /// The caller's own ids, inside as outside.
    Caller,
}

/// What ends a run from outside. `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From the start of the program to its end.
    pub wall: Option<Duration>,
    /// Without any output.
    pub silence: Option<Duration>,
    /// All output together. What lies beyond is not handed to the log.
    pub log_bytes: Option<u64>,
    /// Memory of all processes together where a cgroup can be had, otherwise private memory of each process.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
    /// Blocks used in all read-write mounts together.
    pub disk_bytes: Option<u64>,
}
