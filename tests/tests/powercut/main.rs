//! The store survives power cuts on ext4, xfs and btrfs.
//!
//! A workload runs on a file system on a loop device, and every write and flush that reaches the device's backing file is recorded, together with what
//! the store promised and when. From the recording, disks are made as they may be after a power cut at any moment: what was flushed is there, of the
//! rest any part. Each is mounted by another process, which looks like the next boot to the store; the store is opened and inspected, and
//! the workload done again. That second run is a recording too, and some of its states are inspected in the same way: the power may go again while
//! the store recovers.
//!
//! Root only: an ordinary user cannot have a loop device.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::device::leave_mount_namespace;
use crate::filesystem::{BTRFS, EXT4, FileSystem, XFS};
use crate::image::Image;
use crate::ledger::Ledger;
use crate::machine::{Machines, Run, Task};
use crate::replay::{Cut, Recording, Replay, kinds};
use tests::Random;

mod check;
mod device;
mod filesystem;
mod image;
mod ledger;
mod machine;
mod recorder;
mod replay;
mod stir;
mod workload;

type TestResult = Result<(), Box<dyn Error>>;

/// Makes the choice of cuts repeatable for one recording; the recording depends on how threads are scheduled. `PITH_TEST_SEED` is another one.
const SEED: u64 = 0x5eed_0003;
/// After so many bad states more of them say nothing new.
const ENOUGH: usize = 5;

/// The process that has the disk; see [`machine`].
#[test]
fn machine() -> TestResult {
    machine::main()
}

#[test]
fn a_store_on_ext4_survives_power_cuts() -> TestResult {
    survive(EXT4)
}

#[test]
fn a_store_on_xfs_survives_power_cuts() -> TestResult {
    survive(XFS)
}

#[test]
fn a_store_on_btrfs_survives_power_cuts() -> TestResult {
    survive(BTRFS)
}

/// Prints a line also when the test passes.
fn tell(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "{line}")
}

/// How much of a recording is looked at.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// States between each two flushes, besides the one in which all that is not flushed is lost.
    variants: usize,
    /// States of one recording that are inspected.
    cuts: usize,
    /// On one in so many of them the workload is done again.
    worked: usize,
    /// One in so many of those runs is cut off again.
    again: usize,
}

const SHORT: Effort = Effort {
    variants: 2,
    cuts: 60,
    worked: 4,
    again: 3,
};
const FULL: Effort = Effort {
    variants: 6,
    cuts: 250,
    worked: 2,
    again: 2,
};

fn survive(kind: FileSystem) -> TestResult {
    if !tests::is_root() {
        tell("power cuts: not tried, since only root can have loop devices")?;
        return Ok(());
    }
    let effort = if tests::is_full() { FULL } else { SHORT };
    let seed = match std::env::var("PITH_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => SEED,
    };
    // Also removes all mounts if this process is killed.
    leave_mount_namespace()?;
    let mut machines = Machines::new(kind)?;
    let mut failures = Vec::new();
    for task in [Task::Work, Task::WorkStirred] {
        let disk = Image::empty(kind.size_bytes);
        let formatted = expect_good(machines.run(Task::Format, disk, Ledger::default())?)?;
        let worked =
            expect_good(machines.run(task, formatted.image.clone(), Ledger::default())?)?;
        let mut series = Series {
            kind,
            task,
            effort,
            seed,
            random: Random::new(seed),
            machines: &mut machines,
            inspected: 0,
            again: 0,
            failures: Vec::new(),
        };
        series.cut_everywhere(&worked.recording)?;
        failures.append(&mut series.failures);
    }
    assert!(failures.is_empty(), "seed {seed}:\n{}", failures.join("\n"));
    Ok(())
}

/// A run without power cuts has no faults.
fn expect_good(run: Run) -> Result<Run, Box<dyn Error>> {
    if run.faults.is_empty() {
        Ok(run)
    } else {
        Err(run.faults.join("\n").into())
    }
}

/// The cuts of one recording.
struct Series<'a> {
    kind: FileSystem,
    task: Task,
    effort: Effort,
    seed: u64,
    random: Random,
    machines: &'a mut Machines,
    inspected: usize,
    /// How many of the inspected states are from a second cut.
    again: usize,
    failures: Vec<String>,
}

impl Series<'_> {
    fn cut_everywhere(&mut self, recording: &Recording) -> TestResult {
        let all = recording.plan(&mut self.random, self.effort.variants);
        let possible = all.len();
        let cuts = self.random.sample(all, self.effort.cuts);
        let mut replay = Replay::new(recording, self.kind.sector);
        for cut in &cuts {
            if self.failures.len() >= ENOUGH {
                break;
            }
            let (image, ledger) = replay.state(*cut);
            let worked = self.random.below(self.effort.worked) == 0;
            let again = worked && self.random.below(self.effort.again) == 0;
            let task = match (worked, again) {
                (_, true) => Task::CheckAndWorkStirred,
                (true, false) => Task::CheckAndWork,
                (false, false) => Task::Check,
            };
            let run = self.inspect(*cut, "", task, image, ledger)?;
            if again && run.faults.is_empty() {
                self.cut_again(*cut, &run.recording)?;
            }
        }
        let counts = recording.counts();
        assert!(counts.flushes > 0, "no flush reached the disk");
        tell(&format!(
            "{}, {:?}, seed {}: {} writes ({} KiB), {} flushes, {} promises; {possible} cuts planned, {} states inspected ({:?}, \
             {} of a second cut), {} bad",
            self.kind,
            self.task,
            self.seed,
            counts.writes,
            counts.bytes >> 10,
            counts.flushes,
            counts.promises,
            self.inspected,
            kinds(&cuts),
            self.again,
            self.failures.len(),
        ))?;
        Ok(())
    }

    /// The power goes again, while the store recovers from the first cut or does its work again.
    fn cut_again(&mut self, first: Cut, recording: &Recording) -> TestResult {
        let all = recording.plan(&mut self.random, 1);
        let cuts = self.random.sample(all, 2);
        let mut replay = Replay::new(recording, self.kind.sector);
        for cut in cuts {
            let (image, ledger) = replay.state(cut);
            let before = format!("{first:?}, then ");
            self.inspect(cut, &before, Task::Check, image, ledger)?;
            self.again += 1;
        }
        Ok(())
    }

    fn inspect(
        &mut self,
        cut: Cut,
        before: &str,
        task: Task,
        image: Image,
        ledger: Ledger,
    ) -> Result<Run, Box<dyn Error>> {
        let run = self.machines.run(task, image, ledger)?;
        self.inspected += 1;
        if !run.faults.is_empty() {
            let file = self.keep(&run.recording)?;
            let failure = format!(
                "{}, {:?}, {before}{cut:?}, kept as {}:\n  {}",
                self.kind,
                self.task,
                file.display(),
                run.faults.join("\n  ")
            );
            tell(&failure)?;
            self.failures.push(failure);
        }
        Ok(run)
    }

    /// Keeps a bad disk for a closer look, and what had been promised of it.
    fn keep(&self, recording: &Recording) -> Result<PathBuf, Box<dyn Error>> {
        let number = self.failures.len();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "powercut-{}-{:?}-{number}.img",
            self.kind, self.task
        ));
        let file = File::create(&path)?;
        file.set_len(recording.image.size_bytes())?;
        for (offset, bytes) in recording.image.blocks() {
            file.write_all_at(bytes, offset)?;
        }
        let promised: String = recording
            .ledger
            .facts()
            .map(|fact| format!("{fact}\n"))
            .collect();
        fs::write(path.with_extension("promised"), promised)?;
        Ok(path)
    }
}
