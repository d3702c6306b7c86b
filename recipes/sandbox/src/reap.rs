//! What process 1 does while the builder runs: reaps, passes signals on, looks at the disk.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::disk::DiskWatch;
use crate::error::StepError;
use crate::wire::BuilderEnd;

/// Every process of the sandbox but the one that asks, see kill(2).
const ALL: Pid = Pid::from_raw(-1);

/// The signals of this process, as a file to read. Made before the builder, so that its end cannot be missed.
#[derive(Debug)]
pub(crate) struct Reaper {
    signals: SignalFd,
    disk: Option<DiskWatch>,
}

impl Reaper {
    /// Blocks all signals for good; the builder unblocks them for itself.
    pub(crate) fn new(disk: Option<DiskWatch>) -> Result<Self, StepError> {
        let failed = |source: Errno| StepError::Wait {
            source: source.into(),
        };
        let all = SigSet::all();
        all.thread_block().map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            signals: SignalFd::with_flags(&all, flags).map_err(failed)?,
            disk,
        })
    }

    /// Reaps whatever dies until `builder` does or has written too much.
    pub(crate) fn wait_for(mut self, builder: Pid) -> Result<BuilderEnd, StepError> {
        loop {
            if let Some(end) = reap(builder)? {
                return Ok(self.look_back(end));
            }
            if self.disk.as_mut().is_some_and(DiskWatch::is_exceeded_now) {
                return Ok(BuilderEnd::DiskLimit);
            }
            self.wait_for_signal()?;
            self.pass_signals_on(builder)?;
        }
    }

    fn wait_for_signal(&self) -> Result<(), StepError> {
        let pause = self.disk.as_ref().map(DiskWatch::pause);
        let timeout = pause.map(|pause| Timespec::try_from(pause).unwrap_or_default());
        match poll(
            &mut [PollFd::new(&self.signals, PollFlags::IN)],
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(StepError::Wait {
                source: error.into(),
            }),
        }
    }

    fn pass_signals_on(&self, builder: Pid) -> Result<(), StepError> {
        while let Some(received) = self
            .signals
            .read_signal()
            .map_err(|source| StepError::Wait {
                source: source.into(),
            })?
        {
            // A sender outside has no process id inside; the terminal's signals reach the builder by themselves, and those
            // of the builder are its own affair.
            let is_from_outside = received.ssi_code == libc::SI_USER && received.ssi_pid == 0;
            let number = i32::try_from(received.ssi_signo).ok();
            let signal = number.and_then(|number| Signal::try_from(number).ok());
            if let Some(signal) =
                signal.filter(|&signal| is_from_outside && signal != Signal::SIGCHLD)
            {
                match kill(builder, signal) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(error) => {
                        return Err(StepError::Wait {
                            source: error.into(),
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// Has a last look at the disk, when nobody can write any more.
    fn look_back(self, end: BuilderEnd) -> BuilderEnd {
        let Some(disk) = self.disk else { return end };
        // ESRCH: the builder was the last.
        if kill(ALL, Signal::SIGKILL).is_ok() {
            while waitpid(None, None).is_ok() {}
        }
        if disk.is_exceeded() {
            BuilderEnd::DiskLimit
        } else {
            end
        }
    }
}

/// Reaps all that is dead; returns how the builder ended if it was among them.
fn reap(builder: Pid) -> Result<Option<BuilderEnd>, StepError> {
    let mut end = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid == builder => {
                end = Some(BuilderEnd::Exited(status));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == builder => {
                end = Some(BuilderEnd::Signaled(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(end),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                return Err(StepError::Wait {
                    source: error.into(),
                });
            }
        }
    }
}
