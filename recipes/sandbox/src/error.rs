//! What can fail: one variant for each step, so that an error names the step.

use std::path::PathBuf;
use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::missing::{Knobs, Missing};
use crate::wire::latin1;

/// Why a run could not be started or followed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The helper process could not be started.
    #[error("cannot start `{}` as the sandbox helper", exe.display())]
    StartHelper {
        /// The program that was to become the helper.
        exe: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The helper could not be talked to.
    #[error("cannot talk to the sandbox helper")]
    Helper {
        /// What the system said.
        source: io::Error,
    },
    /// The process that watches over the run ended without a report.
    #[error("the sandbox's supervisor ended without a report")]
    NoReport,
    /// The log pipe broke.
    #[error("cannot read the output of the builder")]
    ReadLog {
        /// What the system said.
        source: io::Error,
    },
    /// This machine or container forbids a step.
    #[error("cannot make a full sandbox here: {missing}")]
    Forbidden {
        /// What stands in the way.
        missing: Missing,
        /// The step that was refused.
        source: StepError,
    },
    /// A step of building the sandbox failed.
    #[error(transparent)]
    Step(StepError),
}

impl From<StepError> for SandboxError {
    fn from(source: StepError) -> Self {
        match Knobs::of_this_machine().explain(&source) {
            Some(missing) => Self::Forbidden { missing, source },
            None => Self::Step(source),
        }
    }
}

/// A number the system gave as the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsError(pub i32);

impl OsError {
    /// Returns true for "operation not permitted" and "permission denied".
    #[must_use]
    pub fn is_denied(self) -> bool {
        matches!(self.0, libc::EPERM | libc::EACCES)
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(out)
    }
}

impl std::error::Error for OsError {}

impl From<io::Error> for OsError {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<rustix::io::Errno> for OsError {
    fn from(error: rustix::io::Errno) -> Self {
        Self(error.raw_os_error())
    }
}

impl From<nix::errno::Errno> for OsError {
    fn from(error: nix::errno::Errno) -> Self {
        Self(error as i32)
    }
}

/// The step of building the sandbox that failed, in the order of the steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum StepError {
    #[error("cannot tie the sandbox to the life of its supervisor")]
    DieWithParent { source: OsError },
    #[error("the request to the sandbox helper cannot be read: {reason}")]
    ReadRequest { reason: String },
    #[error("cannot open `{}` for the sandbox", path.display())]
    OpenSource {
        #[serde(with = "latin1")]
        path: PathBuf,
        source: OsError,
    },
    #[error("cannot give `{}` to the user of the sandbox", path.display())]
    GiveToBuilder {
        #[serde(with = "latin1")]
        path: PathBuf,
        source: OsError,
    },
    #[error("cannot create the namespaces of the sandbox")]
    Namespaces { source: OsError },
    #[error("cannot map user and group ids of the sandbox in `{file}`")]
    MapIds { file: String, source: OsError },
    #[error("cannot become user {uid}, group {gid} of the sandbox")]
    BecomeUser { uid: u32, gid: u32, source: OsError },
    #[error("cannot hide the first process of the sandbox from its builder")]
    Hide { source: OsError },
    #[error("cannot make the mounts of the sandbox private")]
    PrivateMounts { source: OsError },
    #[error("cannot create the root of the sandbox")]
    RootFs { source: OsError },
    #[error("`{}` cannot be a place inside the sandbox: {reason}", path.display())]
    BadTarget {
        #[serde(with = "latin1")]
        path: PathBuf,
        reason: String,
    },
    #[error("cannot create `{}` inside the sandbox", path.display())]
    Create {
        #[serde(with = "latin1")]
        path: PathBuf,
        source: OsError,
    },
    #[error("cannot mount `{}` inside the sandbox", target.display())]
    Mount {
        #[serde(with = "latin1")]
        target: PathBuf,
        source: OsError,
    },
    #[error("cannot set up `/dev/{name}` inside the sandbox")]
    Device { name: String, source: OsError },
    #[error("cannot mount a fresh `/proc` inside the sandbox")]
    Proc { source: OsError },
    #[error("cannot change to the root of the sandbox")]
    PivotRoot { source: OsError },
    #[error("cannot remove the host's root from the sandbox")]
    UnmountOldRoot { source: OsError },
    #[error("cannot bring up `lo` inside the sandbox")]
    Loopback { source: OsError },
    #[error("cannot set the host name of the sandbox")]
    HostName { source: OsError },
    #[error("cannot start the builder's process")]
    Fork { source: OsError },
    #[error("cannot connect the builder's standard input, output and error")]
    ConnectStdio { source: OsError },
    #[error("cannot start a session for the builder")]
    Session { source: OsError },
    #[error("cannot limit {resource}")]
    ResourceLimit { resource: String, source: OsError },
    #[error("cannot change to `{}` inside the sandbox", path.display())]
    ChangeDirectory {
        #[serde(with = "latin1")]
        path: PathBuf,
        source: OsError,
    },
    #[error("cannot reset the signals of the builder")]
    Signals { source: OsError },
    #[error("cannot drop the capabilities of the builder")]
    Capabilities { source: OsError },
    #[error("cannot set no_new_privs")]
    NoNewPrivs { source: OsError },
    #[error("cannot close the files of the supervisor")]
    CloseFiles { source: OsError },
    #[error("cannot install the system call filter")]
    Filter { source: OsError },
    #[error("cannot execute `{}` inside the sandbox", program.display())]
    Execute {
        #[serde(with = "latin1")]
        program: PathBuf,
        source: OsError,
    },
    #[error("cannot wait for the sandbox")]
    Wait { source: OsError },
    #[error("the first process of the sandbox died before its builder")]
    InitDied,
}
