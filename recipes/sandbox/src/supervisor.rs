//! One supervisor for each run: outside the sandbox, it prepares, starts and ends it.
//!
//! It is a fork of the helper and has one thread. It reports to the caller only when every process of the sandbox is dead; a
//! caller that goes away, in any manner, is an order to end. The death of the helper is nothing to it.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::builder::Streams;
use crate::cgroup::Cgroup;
use crate::error::StepError;
use crate::filter::Filter;
use crate::identity::Identity;
use crate::init::{Go, Init};
use crate::outcome::Level;
use crate::rootfs;
use crate::spec::{Access, Network, SandboxSpec, User};
use crate::sys::{self, Fork};
use crate::wire::{self, Channel, Report};

/// Serves one request and reports its end.
pub(crate) fn supervise(caller: &UnixStream, streams: Streams, filter: &Filter) {
    let report = run(caller, streams, filter).unwrap_or_else(Report::Failed);
    // A caller that is gone has nobody to tell.
    drop(wire::send(caller, &report));
}

fn run(caller: &UnixStream, mut streams: Streams, filter: &Filter) -> Result<Report, StepError> {
    // Ignored by the helper, which would make our child vanish before we have seen how it ended.
    sys::default_signal(Signal::SIGCHLD).map_err(|error| StepError::Signals {
        source: error.into(),
    })?;
    let spec = read_request(caller)?;
    let identity = Identity::choose(spec.user);
    if spec.user == User::Builder {
        let mut writable = spec
            .mounts
            .iter()
            .filter(|mount| mount.access == Access::ReadWrite);
        writable.try_for_each(|mount| identity.take_ownership(&mount.source))?;
    }
    let sources = if identity.privileged {
        Some(rootfs::open_sources(&spec)?)
    } else {
        None
    };
    let group = Cgroup::create(&spec.limits);
    let (ours, theirs) = UnixStream::pair().map_err(|error| StepError::Fork {
        source: error.into(),
    })?;
    let fork = sys::fork(namespaces(&spec)).map_err(|error| StepError::Namespaces {
        source: error.into(),
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
    // Only those inside keep these, so that their death is seen as an end of file.
    drop((theirs, sources));
    streams.close();
    // A group that process 1 cannot be moved to is as good as none.
    let group = group.filter(|group| group.add(pid).is_ok());
    let go = if group.is_some() {
        Go::InGroup
    } else {
        Go::WithoutGroup
    };
    let prepared = identity.write_maps(pid).and_then(|()| {
        Channel(&ours)
            .write_all(&[go as u8])
            .map_err(|error| StepError::Namespaces {
                source: error.into(),
            })
    });
    let end = wait_for(&pidfd, caller, prepared.is_ok())?;
    match (prepared, compose_report(&ours, end)) {
        // Process 1 died of what we could not do for it, and knows nothing of the reason.
        (Err(error), Err(StepError::InitDied | StepError::DieWithParent { .. }) | Ok(_)) => {
            Err(error)
        }
        (_, report) => report,
    }
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

/// Who ended the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    ByItself,
    ByOrder,
}

/// Waits until process 1 has been reaped, which is after the death of all others. Obeys the caller meanwhile.
fn wait_for(init: &OwnedFd, caller: &UnixStream, goes_on: bool) -> Result<End, StepError> {
    let mut end = End::ByItself;
    if goes_on {
        while end == End::ByItself && wait_for_news(init, caller) {
            end = obey(init, caller);
        }
    }
    if !goes_on || end == End::ByOrder {
        send_signal(init, rustix::process::Signal::KILL);
    }
    loop {
        match waitid(Id::PIDFd(init.as_fd()), WaitPidFlag::WEXITED) {
            Ok(_) => return Ok(end),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => {
                return Err(StepError::Wait {
                    source: error.into(),
                });
            }
        }
    }
}

/// Returns true when the caller has something to say, false when process 1 is dead.
fn wait_for_news(init: &OwnedFd, caller: &UnixStream) -> bool {
    loop {
        let mut files = [
            PollFd::new(init, PollFlags::IN),
            PollFd::new(caller, PollFlags::IN),
        ];
        match poll(&mut files, None) {
            Err(Errno::INTR) => {}
            // Without a way to hear the caller, what is left is to wait for the end.
            Err(_) => return false,
            Ok(_) => return files[0].revents().is_empty(),
        }
    }
}

/// Reads one order: a signal to pass on. Zero is the order to end, and so is a caller that is gone.
fn obey(init: &OwnedFd, caller: &UnixStream) -> End {
    let mut order = [0];
    let length = Read::read(&mut &*caller, &mut order).unwrap_or(0);
    match rustix::process::Signal::from_named_raw(order[0].into()) {
        Some(signal) if length == 1 => {
            send_signal(init, signal);
            End::ByItself
        }
        _ => End::ByOrder,
    }
}

/// Sends `signal`. It only fails for a process that is dead: it is our child in a namespace of ours.
fn send_signal(init: &OwnedFd, signal: rustix::process::Signal) {
    let _sent = rustix::process::pidfd_send_signal(init, signal);
}

/// Makes one report of what process 1 and the builder have said before they died.
fn compose_report(init: &UnixStream, end: End) -> Result<Report, StepError> {
    let mut level = Level::default();
    let mut builder_end = None;
    while let Ok(Some(report)) = wire::receive(init) {
        match report {
            Report::Started(reached) => level = reached,
            Report::Ended(ended) => builder_end = Some(ended),
            Report::Failed(error) => return Err(error),
            Report::Dead { .. } => {}
        }
    }
    match (builder_end, end) {
        (None, End::ByItself) => Err(StepError::InitDied),
        (end, _) => Ok(Report::Dead { end, level }),
    }
}
