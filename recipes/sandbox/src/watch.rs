//! Follows one run from the caller's side: hands on its output, enforces its limits, waits for its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::SandboxError;
use crate::outcome::{Outcome, Status};
use crate::spec::Limits;
use crate::wire::{self, BuilderEnd, Channel, Report};

/// How often the cancel flag is looked at.
const CANCEL_INTERVAL: Duration = Duration::from_millis(30);

/// As much as a pipe holds by default.
const BUFFER_BYTES: usize = 64 << 10;

/// One run being followed.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    limits: &'a Limits,
    channel: UnixStream,
    /// The read end of the log pipe, until its end was seen.
    output: Option<OwnedFd>,
    started: Instant,
    last_output: Instant,
    output_bytes: u64,
    /// Why we have ordered the end, once we have.
    verdict: Option<Status>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        limits: &'a Limits,
        channel: UnixStream,
        output: Option<OwnedFd>,
        started: Instant,
    ) -> Self {
        Self {
            limits,
            channel,
            output,
            started,
            last_output: started,
            output_bytes: 0,
            verdict: None,
        }
    }

    /// Follows the run until every process of it is dead and all its output is read.
    pub(crate) fn follow(
        mut self,
        log: &mut dyn FnMut(&[u8]),
        cancel: &AtomicBool,
        signal: &AtomicI32,
    ) -> Result<Outcome, SandboxError> {
        let mut buffer = vec![0; BUFFER_BYTES];
        let report = loop {
            let ready = self.wait_for_news()?;
            if ready.output {
                self.read_output(&mut buffer, log)?;
            }
            if ready.report {
                break wire::receive(&self.channel)
                    .map_err(|source| SandboxError::Helper { source })?;
            }
            self.pass_signal_on(signal);
            if let Some(status) = self.limit_reached(cancel) {
                self.end(status);
            }
        };
        // The writers are dead, so this ends.
        while self.output.is_some() {
            self.read_output(&mut buffer, log)?;
        }
        match report {
            Some(Report::Dead { end, level }) => {
                let own = end.map(|end| match end {
                    BuilderEnd::Exited(status) => Status::Exited(status),
                    BuilderEnd::Signaled(signal) => Status::Signaled(signal),
                    BuilderEnd::DiskLimit => Status::DiskLimit,
                });
                let status = self.verdict.or(own).ok_or(SandboxError::NoReport)?;
                Ok(Outcome {
                    status,
                    wall: self.started.elapsed(),
                    level,
                })
            }
            Some(Report::Failed(error)) => Err(error.into()),
            Some(Report::Started(_) | Report::Ended(_)) | None => Err(SandboxError::NoReport),
        }
    }

    fn wait_for_news(&self) -> Result<Ready, SandboxError> {
        let mut files = vec![PollFd::new(&self.channel, PollFlags::IN)];
        if let Some(output) = &self.output {
            files.push(PollFd::new(output, PollFlags::IN));
        }
        let timeout = Timespec::try_from(self.next_look()).map_err(|_| SandboxError::Helper {
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        match poll(&mut files, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => {
                return Err(SandboxError::Helper {
                    source: error.into(),
                });
            }
        }
        Ok(Ready {
            report: !files[0].revents().is_empty(),
            output: files.get(1).is_some_and(|file| !file.revents().is_empty()),
        })
    }

    fn next_look(&self) -> Duration {
        let deadlines = [
            (self.limits.wall, self.started),
            (self.limits.silence, self.last_output),
        ];
        deadlines
            .into_iter()
            .filter_map(|(limit, since)| limit.map(|limit| limit.saturating_sub(since.elapsed())))
            .fold(CANCEL_INTERVAL, Duration::min)
    }

    fn limit_reached(&self, cancel: &AtomicBool) -> Option<Status> {
        let passed = |limit: Option<Duration>, since: Instant| {
            limit.is_some_and(|limit| since.elapsed() >= limit)
        };
        if cancel.load(Ordering::Relaxed) {
            Some(Status::Cancelled)
        } else if passed(self.limits.wall, self.started) {
            Some(Status::TimedOut)
        } else if passed(self.limits.silence, self.last_output) {
            Some(Status::Silent)
        } else {
            None
        }
    }

    fn read_output(
        &mut self,
        buffer: &mut [u8],
        log: &mut dyn FnMut(&[u8]),
    ) -> Result<(), SandboxError> {
        let Some(output) = &self.output else {
            return Ok(());
        };
        let length = match rustix::io::read(output, &mut *buffer) {
            Ok(length) => length,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => {
                return Err(SandboxError::ReadLog {
                    source: error.into(),
                });
            }
        };
        if length == 0 {
            self.output = None;
            return Ok(());
        }
        self.last_output = Instant::now();
        let allowed = self
            .limits
            .log_bytes
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.output_bytes));
        let kept = usize::try_from(allowed).map_or(length, |allowed| length.min(allowed));
        self.output_bytes = self.output_bytes.saturating_add(kept as u64);
        if kept > 0 {
            log(&buffer[..kept]);
        }
        if kept < length {
            self.end(Status::LogLimit);
        }
        Ok(())
    }

    fn pass_signal_on(&self, signal: &AtomicI32) {
        if let Ok(number @ 1..) = u8::try_from(signal.swap(0, Ordering::Relaxed)) {
            // As below.
            drop(io::Write::write_all(&mut Channel(&self.channel), &[number]));
        }
    }

    /// Orders the end of the run, once; the first reason counts.
    fn end(&mut self, status: Status) {
        if self.verdict.is_none() {
            self.verdict = Some(status);
            // A supervisor that is gone already cannot be told, and its report or its absence is seen next.
            drop(io::Write::write_all(&mut Channel(&self.channel), &[0]));
        }
    }
}

/// What there is to read.
#[derive(Debug, Default)]
struct Ready {
    report: bool,
    output: bool,
}
