//! A program that sees the whole host, and one directory where the host has none: how installed programs find what they were linked against.
//!
//! Not a sandbox: nothing is hidden or forbidden, and nobody watches. This process *becomes* the program, in a mount namespace of its own, so its
//! process id, terminal, signals, limits and exit status are those of a program that was executed directly.
//!
//! The steps, in order:
//!
//! 1. The directory is shown already, by an earlier run around this one or by the host itself: go on with step 6.
//! 2. A mount namespace; without the right to make one, inside a user namespace that maps this user to itself.
//! 3. What is mounted on the host from now on appears inside too, nothing the other way round.
//! 4. Where the host has a directory of that name, the source is mounted there, read-only. Otherwise a new root, a read-only tmpfs: every entry of the
//!    host's root as it is, with all that is mounted below, and the directory besides.
//! 5. The working directory again.
//! 6. `SIGPIPE` to its default, which Rust's start changes. Execute.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use rustix::fs::{Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use rustix::thread::CapabilitySet;

use crate::error::{OsError, SandboxError, StepError};
use crate::rootfs::{Root, Source};
use crate::spec::Access;
use crate::sys;

/// What to execute, and what it must find.
#[derive(Debug, Clone)]
pub struct HostProgram {
    /// The directory that is shown, read-only.
    pub source: PathBuf,
    /// Where it is shown: absolute, without `.` and `..`.
    pub target: PathBuf,
    /// The program, as a path of the namespace.
    pub program: PathBuf,
    /// What it is called, and its arguments.
    pub argv: Vec<OsString>,
}

/// Becomes the program; returns only when that fails. The environment and all descriptors without `O_CLOEXEC` are passed on.
///
/// Must be called by a process with one thread, early in `main`. After an error the process may have lost sight of the host; all it should do
/// is tell.
pub fn execute_on_host(spec: &HostProgram) -> Result<Infallible, SandboxError> {
    if !is_same(&spec.source, &spec.target) {
        enter(spec)?;
    }
    sys::default_signal(Signal::SIGPIPE).map_err(|error| StepError::Signals {
        source: error.into(),
    })?;
    Ok(execute(spec)?)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Steps 2 to 5.
fn enter(spec: &HostProgram) -> Result<(), StepError> {
    unshare_mounts()?;
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(|source| StepError::PrivateMounts {
        source: source.into(),
    })?;
    let shown = Source::open(&spec.source, &spec.target, Access::ReadOnly)?;
    if spec.target.is_dir() {
        return shown.attach_to_host();
    }
    let mut sources = entries_of_root(&spec.target)?;
    sources.push(shown);
    let here = WorkingDirectory::remember();
    let root = Root::create()?;
    root.place_all(sources)?;
    root.enter()?;
    here.change_back();
    Ok(())
}

fn unshare_mounts() -> Result<(), StepError> {
    let is_privileged = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    let mut flags = CloneFlags::CLONE_NEWNS;
    if !is_privileged {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    unshare(flags).map_err(|source| StepError::Namespaces {
        source: source.into(),
    })?;
    if is_privileged {
        return Ok(());
    }
    let write = |file: &str, text: String| {
        fs::write(file, text).map_err(|source| StepError::MapIds {
            file: file.to_owned(),
            source: source.into(),
        })
    };
    // Without this the kernel lets nobody but root map groups: dropping a group can grant access.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// Opens every entry of the host's root but the one that `target` begins with.
fn entries_of_root(target: &Path) -> Result<Vec<Source>, StepError> {
    let failed = |source: std::io::Error| StepError::OpenSource {
        path: "/".into(),
        source: source.into(),
    };
    let replaced = target.components().find_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    });
    let mut sources = Vec::new();
    for entry in fs::read_dir("/").map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if Some(entry.file_name()) == replaced {
            continue;
        }
        match Source::open_as_it_is(&entry.path()) {
            Ok(source) => sources.push(source),
            // It was removed a moment ago, or is a network's file system whose server is gone: a directory that no program could enter either.
            Err(StepError::OpenSource {
                source: OsError(libc::ENOENT | libc::EACCES | libc::ENOTCONN | libc::ESTALE),
                ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sources)
}

/// Where this process is, by name and as a descriptor.
struct WorkingDirectory {
    path: Option<PathBuf>,
    directory: Option<OwnedFd>,
}

impl WorkingDirectory {
    fn remember() -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            path: std::env::current_dir().ok(),
            directory: rustix::fs::open(".", flags, Mode::empty()).ok(),
        }
    }

    /// Goes there by its name in the new root. A directory without one (removed, or out of reach) is gone to as it is; a program that is
    /// executed directly finds itself in it as well.
    fn change_back(self) {
        let by_name = self.path.map(rustix::process::chdir);
        if !matches!(by_name, Some(Ok(())))
            && let Some(directory) = self.directory
        {
            let _unchanged_at_worst = rustix::process::fchdir(directory);
        }
    }
}

fn execute(spec: &HostProgram) -> Result<Infallible, StepError> {
    let failed = |source: OsError| StepError::Execute {
        program: spec.program.clone(),
        source,
    };
    let c_string =
        |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| failed(OsError(libc::EINVAL)));
    let program = c_string(spec.program.as_os_str())?;
    let argv = spec
        .argv
        .iter()
        .map(|argument| c_string(argument))
        .collect::<Result<Vec<_>, _>>()?;
    nix::unistd::execv(&program, &argv).map_err(|error| failed(error.into()))
}
