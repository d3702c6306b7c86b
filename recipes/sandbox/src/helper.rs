//! The helper: this binary, executed once more, with one thread, from which every run is forked.
//!
//! The caller has many threads and much memory; forking it is slow and, between fork and exec, allows almost nothing. The
//! helper is small, so a fork takes a fraction of a millisecond and may run ordinary code.

use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use rustix::fs::Mode;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::builder::Streams;
use crate::filter::Filter;
use crate::supervisor::supervise;
use crate::sys::{self, Fork};

/// The only argument of the helper. Nobody types it; it is long so that nobody does by accident.
pub(crate) const ARGUMENT: &str = "--run-as-sandbox-helper";

/// The most descriptors of one request: the channel, and input, output and error.
pub(crate) const MAX_FILES: usize = 4;

/// The mask that everything is made under, inside and outside.
pub(crate) const UMASK: Mode = Mode::WGRP.union(Mode::WOTH);

/// A panic is a bug of ours; the caller sees a supervisor that ended without a report.
const STATUS_OF_A_BUG: i32 = 70;

/// Becomes the sandbox helper when this process was started as one, and then never returns.
///
/// Must be the first call of `main`, before any thread is started, in the binary that is given to
/// [`Launcher::new`](crate::Launcher::new).
pub fn helper_main_if_requested() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(OsStr::new(ARGUMENT)) && arguments.next().is_none() {
        let status = catch_unwind(serve).unwrap_or(STATUS_OF_A_BUG);
        sys::exit_now(status);
    }
}

/// Forks a supervisor for each request until the caller is gone.
fn serve() -> i32 {
    // The terminal's signals are for the caller, who tells the supervisors what they mean; dead children need no reaping.
    let ignored = [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGTSTP,
        Signal::SIGCHLD,
        Signal::SIGPIPE,
    ];
    if ignored
        .into_iter()
        .try_for_each(sys::ignore_signal)
        .is_err()
    {
        return STATUS_OF_A_BUG;
    }
    // A specification has as many mounts, each an open file, as a closure has paths.
    let Ok(null) = raise_open_files().and_then(|()| open_null()) else {
        return STATUS_OF_A_BUG;
    };
    let filter = Filter::compile();
    // What the caller's is may not be seen in the modes of what is made inside.
    rustix::process::umask(UMASK);
    let requests = std::io::stdin();
    while let Some(files) = receive(requests.as_fd()) {
        match sys::fork(0) {
            Ok(Fork::Child) => {
                let served = catch_unwind(AssertUnwindSafe(|| {
                    // Only the helper may keep the requests open: their end tells the caller that it is dead.
                    nix::unistd::dup2_stdin(&null).map(|()| serve_one(files, &filter))
                }));
                sys::exit_now(if matches!(served, Ok(Ok(()))) {
                    0
                } else {
                    STATUS_OF_A_BUG
                });
            }
            // The caller sees that its channel is closed.
            Ok(Fork::Parent { .. }) | Err(_) => drop(files),
        }
    }
    0
}

fn raise_open_files() -> nix::Result<()> {
    let (_, allowed) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, allowed, allowed)
}

fn open_null() -> nix::Result<OwnedFd> {
    nix::fcntl::open(
        "/dev/null",
        OFlag::O_RDWR | OFlag::O_CLOEXEC,
        nix::sys::stat::Mode::empty(),
    )
}

fn serve_one(files: Vec<OwnedFd>, filter: &Filter) {
    let mut files = files.into_iter();
    let Some(caller) = files.next().map(UnixStream::from) else {
        return;
    };
    let streams = match (files.next(), files.next(), files.next()) {
        (Some(log), None, None) => Streams::Log(log),
        (Some(input), Some(output), Some(error)) => Streams::Caller([input, output, error]),
        _ => return,
    };
    supervise(&caller, streams, filter);
}

/// Receives the descriptors of one request; `None` when the caller is gone.
fn receive(requests: impl AsFd) -> Option<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    loop {
        let mut buffers = [IoSliceMut::new(&mut byte)];
        match rustix::net::recvmsg(
            &requests,
            &mut buffers,
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        ) {
            Ok(message) if message.bytes == 0 => return None,
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    Some(files.flatten().collect())
}
