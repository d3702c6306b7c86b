//! Runs a package's smoke commands where only its closure exists.
//!
//! The place is what an image of the package would be: the closure of its default output at `/pith/store`, links to its programs in
//! `/bin`, accounts in `/etc`, an empty `/tmp`, and no seed, no shell and no network but `lo`. What a builder saw and an image
//! would lack is missed here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sandbox::{
    Access, File, Launcher, Level, Limits, Mount, Network, OsError, SandboxError, SandboxSpec,
    Status, Stdio, Symlink, User,
};
use store::{LocalStore, StorePath};

use super::error::StepError;
use super::log::printable;
use super::private::PrivateDirectory;
use crate::model::SmokeCommand;

/// How long a command may run: a smoke command asks for a version or does one small thing.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How much it may say.
const OUTPUT_LIMIT: u64 = 1 << 20;
/// How much it may leave in `/tmp`.
const DISK_LIMIT: u64 = 1 << 30;
/// How many of its last lines an error shows.
const SHOWN_LINES: usize = 25;

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      nonroot:x:1000:100:nonroot:/:/sbin/nologin\n\
                      nobody:x:65534:65534:nobody:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:100:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// A smoke command that did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmokeFailure {
    /// The command.
    pub command: SmokeCommand,
    /// What was wrong.
    pub end: SmokeEnd,
    /// The last lines that it wrote, fit for a terminal.
    pub output: Vec<String>,
}

/// What was wrong with a smoke command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmokeEnd {
    /// It could not be executed.
    NotExecuted(OsError),
    /// It returned this status.
    Exited(i32),
    /// It was killed by this signal.
    Signaled(i32),
    /// It ran for this long.
    TimedOut(Duration),
    /// It wrote more than this.
    TooMuch(u64),
    /// Its output does not have in it what it should.
    Unexpected,
}

impl fmt::Display for SmokeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the smoke command `{}` ", self.command)?;
        match &self.end {
            SmokeEnd::NotExecuted(error) => write!(f, "cannot be executed: {error}")?,
            SmokeEnd::Exited(status) => write!(f, "exited with status {status}")?,
            SmokeEnd::Signaled(signal) => write!(f, "was killed by signal {signal}")?,
            SmokeEnd::TimedOut(limit) => {
                write!(f, "was stopped after its {} s", limit.as_secs())?;
            }
            SmokeEnd::TooMuch(limit) => write!(f, "wrote more than {limit} bytes")?,
            SmokeEnd::Unexpected => {
                let expected = self.command.expected.as_deref().unwrap_or_default();
                write!(f, "did not say `{}`", expected.escape_debug())?;
            }
        }
        if !self.output.is_empty() {
            write!(f, "; it said:")?;
        }
        self.output
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Where smoke commands run.
pub(super) struct SmokePlace<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) launcher: &'a Launcher,
    pub(super) weakest_level: Level,
    /// The package's default output, which is valid.
    pub(super) package: &'a StorePath,
}

impl SmokePlace<'_> {
    /// Runs the commands, in order, and returns the first that did not go well.
    pub(super) fn run(
        &self,
        commands: &[SmokeCommand],
        cancel: &AtomicBool,
    ) -> Result<Option<SmokeFailure>, StepError> {
        let closure = self.store.closure(std::slice::from_ref(self.package))?;
        let closure: Vec<(StorePath, PathBuf)> = closure
            .paths()
            .map(|path| (path.clone(), self.store.real_path(path)))
            .collect();
        let programs = programs(&self.store.real_path(self.package));
        for command in commands {
            let directory =
                PrivateDirectory::create(&self.store.tmp_dir(), self.package.name().as_str())?;
            let failure = directory.add("tmp", 0o755).map_err(StepError::from);
            let failure = failure.and_then(|temporary| {
                let mut spec = smoke_spec(self.package, &closure, &programs, &temporary, command);
                spec.weakest_level = self.weakest_level;
                self.run_one(&spec, command, cancel)
            });
            let removed = directory.remove();
            if let Some(failure) = failure? {
                return Ok(Some(failure));
            }
            removed?;
        }
        Ok(None)
    }

    fn run_one(
        &self,
        spec: &SandboxSpec,
        command: &SmokeCommand,
        cancel: &AtomicBool,
    ) -> Result<Option<SmokeFailure>, StepError> {
        let mut output = Vec::new();
        let outcome = self
            .launcher
            .run(spec, &mut |bytes| output.extend_from_slice(bytes), cancel);
        let status = match outcome {
            Ok(outcome) => Ok(outcome.status),
            Err(SandboxError::Step(sandbox::StepError::Execute { source, .. })) => Err(source),
            Err(error) => return Err(error.into()),
        };
        if status == Ok(Status::Cancelled) {
            return Err(StepError::Interrupted);
        }
        Ok(judge(command, status, &output))
    }
}

/// Tells what was wrong with a command, if anything was. Pure.
fn judge(
    command: &SmokeCommand,
    status: Result<Status, OsError>,
    output: &[u8],
) -> Option<SmokeFailure> {
    let end = match status {
        Err(error) => SmokeEnd::NotExecuted(error),
        Ok(Status::Exited(0)) => {
            let expected = command.expected.as_deref().unwrap_or_default();
            memchr::memmem::find(output, expected.as_bytes())
                .is_none()
                .then_some(SmokeEnd::Unexpected)?
        }
        Ok(Status::Exited(status)) => SmokeEnd::Exited(status),
        Ok(Status::Signaled(signal)) => SmokeEnd::Signaled(signal),
        Ok(Status::LogLimit) => SmokeEnd::TooMuch(OUTPUT_LIMIT),
        Ok(Status::DiskLimit) => SmokeEnd::TooMuch(DISK_LIMIT),
        Ok(Status::TimedOut | Status::Silent | Status::Cancelled) => SmokeEnd::TimedOut(TIME_LIMIT),
    };
    let text = output.trim_ascii_end();
    let lines: Vec<&[u8]> = if text.is_empty() {
        Vec::new()
    } else {
        text.split(|byte| *byte == b'\n').collect()
    };
    let skipped = lines.len().saturating_sub(SHOWN_LINES);
    Some(SmokeFailure {
        command: command.clone(),
        end,
        output: lines.into_iter().skip(skipped).map(printable).collect(),
    })
}

/// Describes the place. Pure.
fn smoke_spec(
    package: &StorePath,
    closure: &[(StorePath, PathBuf)],
    programs: &[OsString],
    temporary: &Path,
    command: &SmokeCommand,
) -> SandboxSpec {
    let home = package.to_logical();
    let mut mounts: Vec<Mount> = closure
        .iter()
        .map(|(path, real)| Mount {
            source: real.clone(),
            target: path.to_logical().into(),
            access: Access::ReadOnly,
        })
        .collect();
    mounts.push(Mount {
        source: temporary.to_owned(),
        target: "/tmp".into(),
        access: Access::ReadWrite,
    });
    let files = [
        ("/etc/passwd", PASSWD),
        ("/etc/group", GROUP),
        ("/etc/hosts", HOSTS),
        ("/etc/nsswitch.conf", NSSWITCH),
    ];
    let mut words = command.words.iter();
    let program = words.next().map(|word| format!("{home}/{word}"));
    let argv = program.into_iter().chain(words.cloned());
    let env = [("PATH", "/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp")];
    SandboxSpec {
        mounts,
        symlinks: programs
            .iter()
            .map(|name| Symlink {
                target: Path::new(&home).join("bin").join(name),
                link: Path::new("/bin").join(name),
            })
            .collect(),
        files: files
            .into_iter()
            .map(|(path, text)| File {
                path: path.into(),
                bytes: text.as_bytes().to_vec(),
                mode: 0o644,
            })
            .collect(),
        directories: Vec::new(),
        argv: argv.map(OsString::from).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect::<BTreeMap<OsString, OsString>>(),
        cwd: home.into(),
        network: Network::Denied,
        stdio: Stdio::Captured,
        user: User::Builder,
        limits: Limits {
            wall: Some(TIME_LIMIT),
            log_bytes: Some(OUTPUT_LIMIT),
            disk_bytes: Some(DISK_LIMIT),
            ..Limits::default()
        },
        weakest_level: Level::Full,
    }
}

/// The names in the package's `bin`, sorted; none where it has no such directory.
fn programs(real: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(real.join("bin"));
    let mut names: Vec<OsString> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    names
}
