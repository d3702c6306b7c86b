//! A machine that is switched on, does one task on the disk, and is shut down: a process of its own.
//!
//! The process that answers for the disk must not wait for it itself, in a mount or a read: killed while it waits, it would never end. So everything
//! that touches the disk happens in here. Both sides talk over the child's standard input, which is a socket.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::TestResult;
use crate::check::inspect;
use crate::device::{LoopDevice, Mounted, leave_mount_namespace, pretend_boot};
use crate::filesystem::FileSystem;
use crate::image::Image;
use crate::ledger::{Event, Fact, Ledger};
use crate::recorder::Recorder;
use crate::replay::Recording;
use crate::stir::stirred;
use crate::workload::{chain, start_clock, work};

const TASK: &str = "POWERCUT_TASK";
const FILESYSTEM: &str = "POWERCUT_FILESYSTEM";
const DIRECTORY: &str = "POWERCUT_DIRECTORY";
const BOOT: &str = "POWERCUT_BOOT";

/// What a machine is switched on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Make the file system.
    Format,
    /// Do the workload on an empty file system.
    Work,
    /// The same while files are synced at random.
    WorkStirred,
    /// Inspect the store.
    Check,
    /// Inspect the store, do the workload again, inspect it again.
    CheckAndWork,
    /// The same while files are synced at random.
    CheckAndWorkStirred,
}

impl Task {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Format, "format"),
        (Self::Work, "work"),
        (Self::WorkStirred, "work stirred"),
        (Self::Check, "check"),
        (Self::CheckAndWork, "check and work"),
        (Self::CheckAndWorkStirred, "check and work stirred"),
    ];

    fn name(self) -> &'static str {
        let find = Self::ALL.iter().find(|(task, _)| *task == self);
        find.expect("the table has all tasks").1
    }
}

/// The disk, and machines that have it one after another.
#[derive(Debug)]
pub(crate) struct Machines {
    kind: FileSystem,
    recorder: Recorder,
    boots: u64,
    /// Removed last: the disk is mounted in it.
    directory: TempDir,
}

/// What one machine did and found.
#[derive(Debug)]
pub(crate) struct Run {
    /// The disk as it was switched on with, and what happened to it.
    pub(crate) recording: Recording,
    /// The disk at the end.
    pub(crate) image: Image,
    pub(crate) faults: Vec<String>,
}

impl Machines {
    pub(crate) fn new(kind: FileSystem) -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::Builder::new().prefix("powercut-").tempdir()?;
        for name in ["disk", "mnt"] {
            fs::create_dir(directory.path().join(name))?;
        }
        let recorder = Recorder::mount(&directory.path().join("disk"), kind.size_bytes)
            .map_err(|error| format!("cannot mount a FUSE file system: {error}"))?;
        Ok(Self {
            kind,
            recorder,
            boots: 0,
            directory,
        })
    }

    /// Switches a machine on with this disk, and waits until it is off.
    pub(crate) fn run(
        &mut self,
        task: Task,
        image: Image,
        ledger: Ledger,
    ) -> Result<Run, Box<dyn Error>> {
        self.boots += 1;
        fs::write(
            self.directory.path().join("boot"),
            format!("00000000-0000-4000-8000-{:012}\n", self.boots),
        )?;
        self.recorder.load(image.clone());
        let output = self.directory.path().join("output");
        let (ours, theirs) = UnixStream::pair()?;
        let mut child = Command::new(env::current_exe()?)
            .args(["--exact", "machine", "--nocapture"])
            .env(TASK, task.name())
            .env(FILESYSTEM, self.kind.name)
            .env(DIRECTORY, self.directory.path())
            .env(BOOT, self.boots.to_string())
            .stdin(OwnedFd::from(theirs))
            .stdout(File::create(&output)?)
            .stderr(Stdio::from(File::options().append(true).open(&output)?))
            .spawn()?;
        let mut faults = Vec::new();
        let talked = self.talk(&ours, &ledger, &mut faults);
        drop(ours);
        let status = child.wait()?;
        let (end, log) = self.recorder.unload();
        if let Err(error) = talked {
            faults.push(format!("the machine fell silent: {error}"));
        }
        if !status.success() {
            let said = fs::read_to_string(&output)?;
            faults.push(format!("the machine gave up: {}", said.trim()));
        }
        Ok(Run {
            recording: Recording { image, ledger, log },
            image: end,
            faults,
        })
    }

    fn talk(&self, machine: &UnixStream, ledger: &Ledger, faults: &mut Vec<String>) -> TestResult {
        let mut machine = machine;
        for fact in ledger.facts() {
            writeln!(machine, "{fact}")?;
        }
        writeln!(machine, "go")?;
        for line in BufReader::new(machine).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("fault", fault)) => faults.push(fault.to_owned()),
                _ => self.recorder.note(line.parse::<Event>()?),
            }
            machine.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// What the child process does. Nothing when the tests run as such.
pub(crate) fn main() -> TestResult {
    let (Ok(task), Ok(kind), Ok(directory), Ok(boot)) = (
        env::var(TASK),
        env::var(FILESYSTEM),
        env::var(DIRECTORY),
        env::var(BOOT),
    ) else {
        return Ok(());
    };
    let boot: u64 = boot.parse()?;
    let task = Task::ALL.iter().find(|(_, name)| *name == task);
    let task = task.ok_or("no such task")?.0;
    let machine = Machine {
        kind: kind.parse()?,
        directory: directory.into(),
        talk: UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?),
    };
    let promised = machine.listen()?;
    leave_mount_namespace()?;
    pretend_boot(&machine.directory.join("boot"))?;
    start_clock(boot);
    let device = LoopDevice::attach(&machine.directory.join("disk/disk"), machine.kind.sector)?;
    if task == Task::Format {
        return device.format(&machine.kind);
    }
    let mounted = device.mount(&machine.kind, &machine.directory.join("mnt"))?;
    let done = machine.perform(task, boot, &mounted, &promised);
    if let Err(error) = done {
        machine.fault(&chain(&*error))?;
    }
    mounted.unmount()
}

/// The child's side.
struct Machine {
    kind: FileSystem,
    directory: PathBuf,
    talk: UnixStream,
}

impl Machine {
    /// Reads what was promised before this machine was switched on.
    fn listen(&self) -> Result<Ledger, Box<dyn Error>> {
        let mut facts = Vec::new();
        for line in BufReader::new(&self.talk).lines() {
            match line?.as_str() {
                "go" => return Ok(facts.into_iter().collect()),
                fact => facts.push(fact.parse::<Fact>()?),
            }
        }
        Err("the other side is gone".into())
    }

    /// Says a line and waits until it was heard.
    fn say(&self, line: &str) -> TestResult {
        (&self.talk).write_all(format!("{line}\n").as_bytes())?;
        BufReader::with_capacity(1, &self.talk).read_line(&mut String::new())?;
        Ok(())
    }

    fn fault(&self, fault: &str) -> TestResult {
        self.say(&format!("fault {}", fault.replace('\n', " ")))
    }

    fn perform(&self, task: Task, boot: u64, mounted: &Mounted, promised: &Ledger) -> TestResult {
        let root = mounted.directory().join("pith");
        match task {
            Task::Format => Ok(()),
            Task::Work => self.work(&root),
            Task::WorkStirred => stirred(&root, boot, || self.work(&root)),
            Task::Check => self.check(&root, promised),
            Task::CheckAndWork => self.check_and_work(&root, promised),
            Task::CheckAndWorkStirred => {
                stirred(&root, boot, || self.check_and_work(&root, promised))
            }
        }
    }

    fn check_and_work(&self, root: &Path, promised: &Ledger) -> TestResult {
        self.check(root, promised)?;
        self.work(root)?;
        self.check(root, &Ledger::default())
    }

    fn work(&self, root: &Path) -> TestResult {
        work(root, &mut |event| self.say(&event.to_string()))
    }

    fn check(&self, root: &Path, promised: &Ledger) -> TestResult {
        for fault in inspect(root, promised)? {
            self.fault(&fault)?;
        }
        Ok(())
    }
}
