//! The caller's side: starts the helper once, sends it requests.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicI32};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags,
    SocketType,
};
use rustix::pipe::PipeFlags;

use crate::error::SandboxError;
use crate::helper::{ARGUMENT, MAX_FILES};
use crate::outcome::Outcome;
use crate::spec::{SandboxSpec, Stdio};
use crate::watch::Watch;
use crate::wire;

/// Starts sandboxes; one for a process is enough, and any number of threads may use it at once.
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
///
/// // First thing in `main`:
/// sandbox::helper_main_if_requested();
///
/// let launcher = sandbox::Launcher::new(&std::env::current_exe()?)?;
/// let spec = sandbox::SandboxSpec {
///     mounts: vec![sandbox::Mount {
///         source: "/srv/hello".into(),
///         target: "/hello".into(),
///         access: sandbox::Access::ReadOnly,
///     }],
///     argv: vec!["/hello/bin/hello".into()],
///     cwd: "/".into(),
///     ..sandbox::SandboxSpec::default()
/// };
/// let outcome = launcher.run(&spec, &mut |bytes| println!("{} bytes", bytes.len()), &AtomicBool::new(false))?;
/// assert_eq!(outcome.status, sandbox::Status::Exited(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Launcher {
    exe: PathBuf,
    helper: Mutex<Helper>,
}

/// The helper process, as long as it lives.
struct Helper {
    /// Datagrams with the descriptors of a request. Closing it ends the helper.
    requests: OwnedFd,
    process: Child,
}

impl fmt::Debug for Launcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Launcher")
            .field("exe", &self.exe)
            .finish_non_exhaustive()
    }
}

impl Launcher {
    /// Starts `exe` as the helper. Its `main` must begin with [`helper_main_if_requested`](crate::helper_main_if_requested).
    pub fn new(exe: &Path) -> Result<Self, SandboxError> {
        let helper = Helper::start(exe)?;
        Ok(Self {
            exe: exe.to_owned(),
            helper: Mutex::new(helper),
        })
    }

    /// Returns the process id of the helper, for tests and diagnostics.
    #[must_use]
    pub fn helper_pid(&self) -> u32 {
        self.helper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .process
            .id()
    }

    /// Runs `spec` to its end, handing all output to `log` as it comes.
    ///
    /// When it returns, with an outcome or an error, every process of the sandbox is dead and its mounts are gone; the files in
    /// its read-write mounts can be read. `cancel` is looked at every few hundredths of a second. Blocks; called from several
    /// threads at once, the runs are independent.
    pub fn run(
        &self,
        spec: &SandboxSpec,
        log: &mut dyn FnMut(&[u8]),
        cancel: &AtomicBool,
    ) -> Result<Outcome, SandboxError> {
        self.run_with_signals(spec, log, cancel, &AtomicI32::new(0))
    }

    /// Like [`run`](Self::run); a signal number stored in `signal` is passed to the program and replaced by 0.
    ///
    /// Signals that a terminal sends to its foreground reach a program with [`Stdio::Inherited`] without this.
    pub fn run_with_signals(
        &self,
        spec: &SandboxSpec,
        log: &mut dyn FnMut(&[u8]),
        cancel: &AtomicBool,
        signal: &AtomicI32,
    ) -> Result<Outcome, SandboxError> {
        let started = Instant::now();
        let failed = |source: io::Error| SandboxError::Helper { source };
        let (channel, theirs) = UnixStream::pair().map_err(failed)?;
        let output = match spec.stdio {
            Stdio::Captured => {
                let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
                    .map_err(|error| failed(error.into()))?;
                self.request(&[theirs.as_fd(), write.as_fd()])?;
                Some(read)
            }
            Stdio::Inherited => {
                let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
                self.request(&[theirs.as_fd(), input.as_fd(), output.as_fd(), error.as_fd()])?;
                None
            }
        };
        drop(theirs);
        match wire::send(&channel, spec) {
            Ok(()) => {}
            // The supervisor did not wait for the whole request; its report says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return Err(failed(error)),
        }
        Watch::new(&spec.limits, channel, output, started).follow(log, cancel, signal)
    }

    /// Hands a request to the helper; one that has died, by whatever hand, is replaced once.
    fn request(&self, files: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        if helper.request(files).is_err() {
            *helper = Helper::start(&self.exe)?;
            helper
                .request(files)
                .map_err(|source| SandboxError::Helper { source })?;
        }
        Ok(())
    }
}

impl Helper {
    fn start(exe: &Path) -> Result<Self, SandboxError> {
        let failed = |source: io::Error| SandboxError::StartHelper {
            exe: exe.to_owned(),
            source,
        };
        let (requests, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| failed(error.into()))?;
        let process = Command::new(exe)
            .arg0("pith-sandbox")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir("/")
            .stdin(theirs)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .map_err(failed)?;
        Ok(Self { requests, process })
    }

    fn request(&self, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        rustix::net::sendmsg(
            &self.requests,
            &[IoSlice::new(&[0])],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Ends the helper, which reads the end of the file. There is nobody to tell when that or the waiting fails.
        let _shut = rustix::net::shutdown(&self.requests, Shutdown::Both);
        drop(self.process.wait());
    }
}
