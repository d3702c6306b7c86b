//! One supervisor for each run: outside the sandbox, it prepares, starts and ends it.
//!
//! It is a fork of the helper and has one thread. It reports to the caller only when every process of the sandbox is dead; a
//! caller that goes away, in any manner, is an order to end.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::builder::Streams;
use crate::error::StepError;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::init::{Init, die_with_parent};
use crate::rootfs;
use crate::spec::{Access, Network, SandboxSpec, User};
use crate::sys::{self, Fork};
use crate::wire::{self, Report};

/// Serves one request and reports its end over `caller`.
pub(crate) fn supervise(caller: &UnixStream, streams: Streams, filter: &Filter) {
    let report = run(caller, streams, filter).unwrap_or_else(Report::Failed);
    // A caller that is gone has nobody to tell.
    drop(wire::send(caller, &report));
}

fn run(caller: &UnixStream, mut streams: Streams, filter: &Filter) -> Result<Report, StepError> {
    die_with_parent()?;
    sys::default_signal(Signal::SIGCHLD).map_err(|source| StepError::Signals {
        source: source.into(),
    })?;
    let spec = read_request(caller)?;
    let identity = Identity::choose(spec.user);
    if spec.user == User::Builder {
        for mount in spec
            .mounts
            .iter()
            .filter(|mount| mount.access == Access::ReadWrite)
        {
            identity.take_ownership(&mount.source)?;
        }
    }
    let sources = if identity.privileged {
        Some(rootfs::open_sources(&spec)?)
    } else {
        None
    };
    let (ours, theirs) = UnixStream::pair().map_err(|source| StepError::Fork {
        source: source.into(),
    })?;
    let fork = sys::fork(namespaces(&spec)).map_err(|source| StepError::Namespaces {
        source: source.into(),
    })?;
    let (pid, pidfd) = match fork {
        Fork::Child => {
            drop(ours);
            Init {
                spec: &spec,
                identity,
                sources,
                streams,
                filter,
                supervisor: theirs,
            }
            .run()
        }
        Fork::Parent { pid, pidfd } => (pid, pidfd),
    };
    // From here on the first process exists; whatever happens it is waited for.
    drop(theirs);
    drop(sources);
    streams.close();
    let prepared = identity.write_maps(pid).and_then(|()| {
        std::io::Write::write_all(&mut &ours, &[1]).map_err(|source| StepError::Namespaces {
            source: source.into(),
        })
    });
    if prepared.is_err() {
        kill(&pidfd)?;
    }
    wait(&pidfd, caller)?;
    prepared?;
    Ok(wire::receive(&ours)
        .ok()
        .flatten()
        .unwrap_or(Report::Failed(StepError::InitDied)))
}

fn read_request(caller: &UnixStream) -> Result<SandboxSpec, StepError> {
    match wire::receive(caller) {
        Ok(Some(spec)) => Ok(spec),
        Ok(None) => Err(StepError::ReadRequest {
            reason: "the caller is gone".to_owned(),
        }),
        Err(error) => Err(StepError::ReadRequest {
            reason: error.to_string(),
        }),
    }
}

fn namespaces(spec: &SandboxSpec) -> libc::c_int {
    let always = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    match spec.network {
        Network::Denied => always | libc::CLONE_NEWNET,
        Network::Shared => always,
    }
}

/// Waits until the first process has been reaped, which is after the death of all others; meanwhile obeys the caller.
fn wait(init: &OwnedFd, caller: &UnixStream) -> Result<(), StepError> {
    let mut obeying = true;
    loop {
        let mut files = vec![PollFd::new(init, PollFlags::IN)];
        if obeying {
            files.push(PollFd::new(caller, PollFlags::IN));
        }
        match poll(&mut files, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(StepError::Wait {
                    source: error.into(),
                });
            }
        }
        let ended = !files[0].revents().is_empty();
        if ended {
            waitid(Id::PIDFd(init.as_fd()), WaitPidFlag::WEXITED).map_err(|source| {
                StepError::Wait {
                    source: source.into(),
                }
            })?;
            return Ok(());
        }
        if obeying && !files[1].revents().is_empty() {
            obeying = obey(init, caller)?;
        }
    }
}

/// Passes on the signal the caller asks for; a caller that is gone, or a zero, means the end. Returns whether to go on listening.
fn obey(init: &OwnedFd, caller: &UnixStream) -> Result<bool, StepError> {
    let mut order = [0];
    let length = std::io::Read::read(&mut &*caller, &mut order).unwrap_or(0);
    let signal = rustix::process::Signal::from_named_raw(i32::from(order[0]));
    match signal {
        Some(signal) if length == 1 => {
            send_signal(init, signal)?;
            Ok(true)
        }
        _ => {
            kill(init)?;
            Ok(false)
        }
    }
}

fn kill(init: &OwnedFd) -> Result<(), StepError> {
    send_signal(init, rustix::process::Signal::KILL)
}

fn send_signal(init: &OwnedFd, signal: rustix::process::Signal) -> Result<(), StepError> {
    match rustix::process::pidfd_send_signal(init, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(StepError::Wait {
            source: error.into(),
        }),
    }
}
