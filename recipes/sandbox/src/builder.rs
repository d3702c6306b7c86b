//! The last steps, in the builder's own process: streams, limits, privileges, filter, exec.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use crate::error::{OsError, StepError};
use crate::filter::Filter;
use crate::helper::UMASK;
use crate::init::Go;
use crate::spec::{SandboxSpec, Stdio};
use crate::sys;

/// Open files: far above what a build needs, and not above the hard limit that any distribution sets, so that it is the same
/// everywhere.
const OPEN_FILES: u64 = 16_384;

/// The soft limit of the stack, Linux's default.
const STACK_BYTES: u64 = 8 << 20;

/// The first descriptor that is not standard input, output or error.
const FIRST_OTHER_FILE: u32 = 3;

/// Where the builder's standard streams lead.
#[derive(Debug)]
pub(crate) enum Streams {
    /// Output and error; input is `/dev/null`.
    Log(OwnedFd),
    /// Input, output, error.
    Caller([OwnedFd; 3]),
    /// Handed over or no longer needed.
    Closed,
}

impl Streams {
    /// Lets go of the streams, so that only the builder keeps them open.
    pub(crate) fn close(&mut self) {
        *self = Self::Closed;
    }

    fn connect(&mut self) -> Result<(), OsError> {
        match std::mem::replace(self, Self::Closed) {
            Self::Log(log) => {
                let null =
                    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                connect([null.as_fd(), log.as_fd(), log.as_fd()])
            }
            Self::Caller([input, output, error]) => {
                connect([input.as_fd(), output.as_fd(), error.as_fd()])
            }
            Self::Closed => Err(OsError(libc::EBADF)),
        }
    }
}

fn connect([input, output, error]: [std::os::fd::BorrowedFd<'_>; 3]) -> Result<(), OsError> {
    nix::unistd::dup2_stdin(input)?;
    nix::unistd::dup2_stdout(output)?;
    nix::unistd::dup2_stderr(error)?;
    Ok(())
}

/// Becomes the program of `spec`; returns only when a step fails.
pub(crate) fn become_builder(
    spec: &SandboxSpec,
    go: Go,
    streams: &mut Streams,
    filter: &Filter,
) -> Result<Infallible, StepError> {
    if spec.stdio == Stdio::Captured {
        rustix::process::setsid().map_err(|source| StepError::Session {
            source: source.into(),
        })?;
    }
    streams
        .connect()
        .map_err(|source| StepError::ConnectStdio { source })?;
    rustix::process::umask(UMASK);
    limit_resources(spec, go)?;
    rustix::process::chdir(&spec.cwd).map_err(|source| StepError::ChangeDirectory {
        path: spec.cwd.clone(),
        source: source.into(),
    })?;
    sys::reset_signals().map_err(|source| StepError::Signals {
        source: source.into(),
    })?;
    drop_capabilities().map_err(|source| StepError::Capabilities {
        source: source.into(),
    })?;
    rustix::thread::set_no_new_privs(true).map_err(|source| StepError::NoNewPrivs {
        source: source.into(),
    })?;
    sys::close_at_exec_from(FIRST_OTHER_FILE).map_err(|source| StepError::CloseFiles {
        source: source.into(),
    })?;
    filter
        .install()
        .map_err(|source| StepError::Filter { source })?;
    execute(spec)
}

fn limit_resources(spec: &SandboxSpec, go: Go) -> Result<(), StepError> {
    limit(Resource::RLIMIT_CORE, "core files", Some(0), 0)?;
    limit(
        Resource::RLIMIT_NOFILE,
        "open files",
        Some(OPEN_FILES),
        OPEN_FILES,
    )?;
    limit(Resource::RLIMIT_STACK, "the stack", None, STACK_BYTES)?;
    if let Some(processes) = spec.limits.processes {
        // The first process counts as well.
        let with_init = processes.saturating_add(1);
        limit(
            Resource::RLIMIT_NPROC,
            "processes",
            Some(with_init),
            with_init,
        )?;
    }
    if let (Some(bytes), Go::WithoutGroup) = (spec.limits.memory_bytes, go) {
        // Not RLIMIT_AS, which counts reserved address space: Go, Java and the sanitizers reserve terabytes.
        limit(Resource::RLIMIT_DATA, "memory", Some(bytes), bytes)?;
    }
    if let Some(bytes) = spec.limits.disk_bytes {
        limit(
            Resource::RLIMIT_FSIZE,
            "the size of a file",
            Some(bytes),
            bytes,
        )?;
    }
    Ok(())
}

/// Sets both limits of one resource, never above the hard limit we were started with; `hard: None` keeps that one.
fn limit(resource: Resource, name: &str, hard: Option<u64>, soft: u64) -> Result<(), StepError> {
    let failed = |source: Errno| StepError::ResourceLimit {
        resource: name.to_owned(),
        source: source.into(),
    };
    let (_, allowed) = getrlimit(resource).map_err(failed)?;
    let hard = hard.map_or(allowed, |hard| hard.min(allowed));
    setrlimit(resource, soft.min(hard), hard).map_err(failed)
}

fn drop_capabilities() -> rustix::io::Result<()> {
    for capability in CapabilitySet::all()
        .iter_names()
        .map(|(_, capability)| capability)
    {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // A capability newer than the kernel.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    rustix::thread::set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

fn execute(spec: &SandboxSpec) -> Result<Infallible, StepError> {
    let no_program = || StepError::Execute {
        program: PathBuf::new(),
        source: OsError(libc::ENOENT),
    };
    let program = spec.argv.first().ok_or_else(no_program)?;
    let failed = |source: OsError| StepError::Execute {
        program: program.into(),
        source,
    };
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| failed(OsError(libc::EINVAL)));
    let argv = spec
        .argv
        .iter()
        .map(|argument| c_string(argument.as_bytes()))
        .collect::<Result<Vec<_>, _>>()?;
    let env = spec
        .env
        .iter()
        .map(|(key, value)| c_string(&[key.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut reason = OsError(libc::ENOENT);
    for candidate in candidates(program, &spec.env) {
        let candidate = c_string(candidate.as_os_str().as_bytes())?;
        let Err(error) = nix::unistd::execve(&candidate, &argv, &env);
        if error != Errno::ENOENT && error != Errno::ENOTDIR {
            reason = error.into();
            if error != Errno::EACCES {
                break;
            }
        }
    }
    Err(failed(reason))
}

/// Returns the paths that `program` may mean, in the order in which they are tried.
fn candidates(program: &OsStr, env: &BTreeMap<OsString, OsString>) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = env
        .get(OsStr::new("PATH"))
        .map_or(b"".as_slice(), |path| path.as_bytes());
    path.split(|&byte| byte == b':')
        .filter(|directory| directory.starts_with(b"/"))
        .map(|directory| Path::new(OsStr::from_bytes(directory)).join(program))
        .collect()
}
