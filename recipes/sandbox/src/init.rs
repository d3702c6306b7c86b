//! The first process of the sandbox (process 1 inside): builds it step by step, starts the builder, reaps.
//!
//! When it ends, for whatever reason, the kernel kills every other process of the sandbox and the last one takes the mounts
//! with it. It ends when the builder does, and it is killed when its supervisor dies.

use std::convert::Infallible;
use std::os::unix::net::UnixStream;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::DumpableBehavior;

use crate::builder::{self, Streams};
use crate::error::StepError;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::outcome::Level;
use crate::rootfs::{self, Root, Source};
use crate::spec::{Network, SandboxSpec};
use crate::sys::{self, Fork};
use crate::wire::{self, BuilderEnd, Report};

/// The host name inside, fixed so that no build can see where it runs.
const HOST_NAME: &str = "localhost";

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
        let report = match self.build_and_wait() {
            Ok((end, level)) => Report::Ended { end, level },
            Err(error) => Report::Failed(error),
        };
        // A supervisor that is gone needs no report: its death has already killed us.
        let sent = wire::send(&self.supervisor, &report);
        sys::exit_now(i32::from(sent.is_err()))
    }

    fn build_and_wait(&mut self) -> Result<(BuilderEnd, Level), StepError> {
        die_with_parent()?;
        self.wait_for_maps()?;
        self.identity.assume()?;
        // The change of ids has cleared the tie; and it hides this process from the builder's `/proc` and `ptrace`.
        die_with_parent()?;
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(
            |source| StepError::DieWithParent {
                source: source.into(),
            },
        )?;
        rootfs::make_mounts_private()?;
        let sources = match self.sources.take() {
            Some(sources) => sources,
            None => rootfs::open_sources(self.spec)?,
        };
        let root = Root::create()?;
        let level = root.fill(self.spec, sources)?;
        root.enter()?;
        if self.spec.network == Network::Denied {
            sys::bring_up_loopback().map_err(|source| StepError::Loopback {
                source: source.into(),
            })?;
        }
        rustix::system::sethostname(HOST_NAME.as_bytes()).map_err(|source| {
            StepError::HostName {
                source: source.into(),
            }
        })?;
        let end = self.start_builder_and_reap()?;
        Ok((end, level))
    }

    fn wait_for_maps(&self) -> Result<(), StepError> {
        let mut go = [0];
        std::io::Read::read_exact(&mut &self.supervisor, &mut go).map_err(|source| {
            StepError::DieWithParent {
                source: source.into(),
            }
        })
    }

    fn start_builder_and_reap(&mut self) -> Result<BuilderEnd, StepError> {
        let wait_failed = |source: nix::errno::Errno| StepError::Wait {
            source: source.into(),
        };
        // Blocked before the fork, so that the builder's end cannot be missed; the builder unblocks them.
        let signals = SigSet::all();
        signals.thread_block().map_err(wait_failed)?;
        let signals = SignalFd::new(&signals).map_err(wait_failed)?;
        match sys::fork(0).map_err(|source| StepError::Fork {
            source: source.into(),
        })? {
            Fork::Child => {
                let error = match self.become_builder() {
                    Ok(never) => match never {},
                    Err(error) => error,
                };
                let sent = wire::send(&self.supervisor, &Report::Failed(error));
                sys::exit_now(if sent.is_ok() { 127 } else { 126 })
            }
            Fork::Parent { pid, .. } => {
                self.streams.close();
                let builder = Pid::from_raw(pid.as_raw_nonzero().get());
                reap(builder, &signals).map_err(wait_failed)
            }
        }
    }

    fn become_builder(&mut self) -> Result<Infallible, StepError> {
        builder::become_builder(self.spec, &mut self.streams, self.filter)
    }
}

/// Reaps whatever dies until the builder does, and passes on the signals that come from outside.
fn reap(builder: Pid, signals: &SignalFd) -> nix::Result<BuilderEnd> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::Exited(pid, status) if pid == builder => {
                return Ok(BuilderEnd::Exited(status));
            }
            WaitStatus::Signaled(pid, signal, _) if pid == builder => {
                return Ok(BuilderEnd::Signaled(signal as i32));
            }
            WaitStatus::StillAlive => {}
            _ => continue,
        }
        let Some(received) = signals.read_signal()? else {
            continue;
        };
        // A sender outside has no process id inside; the terminal's signals reach the builder by themselves.
        let sent_from_outside = received.ssi_code == libc::SI_USER && received.ssi_pid == 0;
        let signal = i32::try_from(received.ssi_signo)
            .ok()
            .and_then(|number| Signal::try_from(number).ok());
        if let Some(signal) = signal
            && signal != Signal::SIGCHLD
            && sent_from_outside
        {
            kill(builder, signal)?;
        }
    }
}

/// Has the kernel kill this process when its parent dies.
pub(crate) fn die_with_parent() -> Result<(), StepError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|source| StepError::DieWithParent {
        source: source.into(),
    })
}
