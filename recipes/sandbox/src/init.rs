//! The first process of the sandbox (process 1 inside): builds it step by step, starts the builder, reaps.
//!
//! When it ends, for whatever reason, the kernel kills every other process of the sandbox and the last one takes the mounts
//! with it. It ends when the builder does, and it is killed when its supervisor dies.

use std::convert::Infallible;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::DumpableBehavior;

use crate::builder::{self, Streams};
use crate::disk::DiskWatch;
use crate::error::{OsError, StepError};
use crate::filter::Filter;
use crate::identity::Identity;
use crate::reap::Reaper;
use crate::rootfs::{self, Root, Source};
use crate::spec::{Access, Network, SandboxSpec};
use crate::sys::{self, Fork};
use crate::wire::{self, BuilderEnd, Report};

/// The host name inside, fixed so that no build can see where it runs.
const HOST_NAME: &str = "localhost";

/// The byte by which the supervisor says that the id maps are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Go {
    /// Memory and processes are limited by a control group.
    InGroup = 1,
    /// They are left to the resource limits of each process.
    WithoutGroup = 2,
}

/// What the first process is given by its supervisor.
#[derive(Debug)]
pub(crate) struct Init<'a> {
    pub(crate) spec: &'a SandboxSpec,
    pub(crate) identity: Identity,
    /// The mounts, where the supervisor has opened them.
    pub(crate) sources: Option<Vec<Source>>,
    pub(crate) streams: Streams,
    pub(crate) filter: &'a Filter,
    /// To the supervisor: its first byte says that the id maps are written; our report goes back.
    pub(crate) supervisor: UnixStream,
}

impl Init<'_> {
    /// Runs to the end of the sandbox.
    pub(crate) fn run(mut self) -> ! {
        let report = self
            .build_and_wait()
            .map_or_else(Report::Failed, Report::Ended);
        // A supervisor that is gone needs no report: its death has already killed us.
        let sent = wire::send(&self.supervisor, &report);
        sys::exit_now(i32::from(sent.is_err()))
    }

    /// The steps, in order. Those that need no ids come first, while the supervisor writes the id maps.
    fn build_and_wait(&mut self) -> Result<BuilderEnd, StepError> {
        rootfs::make_mounts_private()?;
        let sources = match self.sources.take() {
            Some(sources) => sources,
            None => rootfs::open_sources(self.spec)?,
        };
        if self.spec.network == Network::Denied {
            sys::bring_up_loopback().map_err(|error| StepError::Loopback {
                source: error.into(),
            })?;
        }
        rustix::system::sethostname(HOST_NAME.as_bytes()).map_err(|error| StepError::HostName {
            source: error.into(),
        })?;
        let go = self.wait_for_maps()?;
        self.identity.assume()?;
        self.die_with_supervisor()?;
        Self::hide_from_builder()?;
        let root = Root::create()?;
        let level = root.fill(self.spec, sources)?;
        root.enter()?;
        wire::send(&self.supervisor, &Report::Started(level)).map_err(|error| {
            StepError::DieWithParent {
                source: error.into(),
            }
        })?;
        self.start_builder_and_reap(go)
    }

    /// Closes this process to the builder's `ptrace` and, for the most part, `/proc`.
    fn hide_from_builder() -> Result<(), StepError> {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
            StepError::Hide {
                source: error.into(),
            }
        })
    }

    /// Has the kernel kill this process when the supervisor dies; after the change of ids, which clears it. A supervisor that has
    /// died before has closed its end.
    fn die_with_supervisor(&self) -> Result<(), StepError> {
        let failed = |source: OsError| StepError::DieWithParent { source };
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| failed(error.into()))?;
        let mut probe = [PollFd::new(&self.supervisor, PollFlags::empty())];
        poll(&mut probe, Some(&Timespec::default())).map_err(|error| failed(error.into()))?;
        if probe[0].revents().is_empty() {
            Ok(())
        } else {
            Err(failed(OsError(libc::ESRCH)))
        }
    }

    fn wait_for_maps(&self) -> Result<Go, StepError> {
        let mut go = [0];
        std::io::Read::read_exact(&mut &self.supervisor, &mut go).map_err(|error| {
            StepError::DieWithParent {
                source: error.into(),
            }
        })?;
        Ok(if go == [Go::InGroup as u8] {
            Go::InGroup
        } else {
            Go::WithoutGroup
        })
    }

    fn start_builder_and_reap(&mut self, go: Go) -> Result<BuilderEnd, StepError> {
        let reaper = Reaper::new(self.watch_disk()?)?;
        match sys::fork(0).map_err(|source| StepError::Fork {
            source: source.into(),
        })? {
            Fork::Child => {
                let error = match self.become_builder(go) {
                    Ok(never) => match never {},
                    Err(error) => error,
                };
                let sent = wire::send(&self.supervisor, &Report::Failed(error));
                sys::exit_now(if sent.is_ok() { 127 } else { 126 })
            }
            Fork::Parent { pid, .. } => {
                self.streams.close();
                reaper.wait_for(Pid::from_raw(pid.as_raw_nonzero().get()))
            }
        }
    }

    /// Opens the read-write mounts while nobody can have put anything in their way.
    fn watch_disk(&self) -> Result<Option<DiskWatch>, StepError> {
        let Some(limit_bytes) = self.spec.limits.disk_bytes else {
            return Ok(None);
        };
        let writable = self
            .spec
            .mounts
            .iter()
            .filter(|mount| mount.access == Access::ReadWrite);
        let roots = writable.map(|mount| {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::open(&mount.target, flags, Mode::empty()).map_err(|source| {
                StepError::OpenSource {
                    path: mount.target.clone(),
                    source: source.into(),
                }
            })
        });
        let roots = roots.collect::<Result<_, _>>()?;
        Ok(Some(DiskWatch::new(roots, limit_bytes)))
    }

    fn become_builder(&mut self, go: Go) -> Result<Infallible, StepError> {
        builder::become_builder(self.spec, go, &mut self.streams, self.filter)
    }
}
