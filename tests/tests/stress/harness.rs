//! Starts the processes, kills them, and looks at what is left.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use store::{
    GcOptions, LocalStore, StorePath,
    testing::{StoreDirectory, find_faults, open},
};
use tests::{Random, is_full};

use crate::{
    TestResult,
    roles::{ROLE, ROLES, ROOT, SEED},
    universe::inspect,
};

/// Kills in CI, and in a long run.
const KILLS: usize = 60;
const MANY_KILLS: usize = 1500;
/// Finished operations between two kills, at most.
const PAUSE: usize = 12;

/// A process and its pipes; what it says comes through one channel with what all others say.
struct Worker {
    role: &'static str,
    child: Child,
    input: Option<ChildStdin>,
}

/// What was said, by which worker in which of its lives.
struct Said {
    worker: usize,
    life: u64,
    /// `None` when its output has ended.
    line: Option<String>,
}

/// What the test knows of the roots.
#[derive(Default)]
struct Ledger {
    roots: BTreeMap<String, StorePath>,
    operations: BTreeMap<String, u64>,
}

impl Ledger {
    fn note(&mut self, line: &str) -> TestResult {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["rooted", name, path] => {
                self.roots.insert((*name).to_owned(), path.parse()?);
            }
            ["unrooting", name] => {
                self.roots.remove(*name);
                return Ok(());
            }
            ["broken", ..] => return Err(line.to_owned().into()),
            _ => {}
        }
        let word = words.first().copied().unwrap_or_default().to_owned();
        *self.operations.entry(word).or_default() += 1;
        Ok(())
    }
}

/// Runs all roles with kills, and holds the store to the invariants.
#[expect(
    clippy::print_stdout,
    reason = "the numbers are what a reader of the log wants"
)]
pub(crate) fn run(seed: u64) -> TestResult {
    let kills = if is_full() { MANY_KILLS } else { KILLS };
    let directory = StoreDirectory::new();
    drop(open(directory.path())?);
    let mut crowd = Crowd::start(directory.path(), seed)?;
    let outcome = crowd.kill(kills);
    let finished = crowd.finish();
    outcome?;
    finished?;
    let ledger = std::mem::take(&mut crowd.ledger);
    println!(
        "{kills} kills (seed {seed:#x}); operations: {:?}",
        ledger.operations
    );
    for (role, _) in ROLES {
        let done = match *role {
            "add" => "added",
            "use" => "used",
            "root" => "rooted",
            "collect" => "collected",
            _ => "verified",
        };
        if !ledger.operations.contains_key(done) {
            return Err(format!("no process has ever finished `{role}`").into());
        }
    }
    check(directory.path(), &ledger.roots)
}

struct Crowd<'a> {
    root: &'a Path,
    random: Random,
    workers: Vec<Worker>,
    lives: Vec<u64>,
    said: Receiver<Said>,
    sayer: Sender<Said>,
    ledger: Ledger,
}

impl<'a> Crowd<'a> {
    fn start(root: &'a Path, seed: u64) -> TestResult<Self> {
        let (sayer, said) = channel();
        let mut crowd = Self {
            root,
            random: Random::new(seed),
            workers: Vec::new(),
            lives: Vec::new(),
            said,
            sayer,
            ledger: Ledger::default(),
        };
        for (role, count) in ROLES {
            for _ in 0..*count {
                let number = crowd.workers.len();
                crowd.lives.push(0);
                let worker = crowd.spawn(role, number)?;
                crowd.workers.push(worker);
            }
        }
        Ok(crowd)
    }

    fn spawn(&mut self, role: &'static str, number: usize) -> TestResult<Worker> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--exact", "role", "--nocapture"])
            .env(ROLE, role)
            .env(ROOT, self.root)
            .env(SEED, self.random.next().to_string())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = child.stdout.take().ok_or("it is piped")?;
        let (sayer, life) = (self.sayer.clone(), self.lives[number]);
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let lines = lines.map(Some).chain([None]);
            for line in lines {
                let said = Said {
                    worker: number,
                    life,
                    line,
                };
                if sayer.send(said).is_err() {
                    return;
                }
            }
        });
        let mut input = child.stdin.take().ok_or("it is piped")?;
        go_on(&mut input)?;
        Ok(Worker {
            role,
            child,
            input: Some(input),
        })
    }

    /// Ends random processes at random moments and starts them again.
    fn kill(&mut self, kills: usize) -> TestResult {
        for _ in 0..kills {
            for _ in 0..=self.random.below(PAUSE) {
                self.listen()?;
            }
            let victim = self.random.below(self.workers.len());
            self.workers[victim].child.kill()?;
            self.workers[victim].child.wait()?;
            // What it said before it died counts.
            while self.hear()? != Some((victim, self.lives[victim])) {}
            self.lives[victim] += 1;
            self.workers[victim] = self.spawn(self.workers[victim].role, victim)?;
        }
        Ok(())
    }

    /// Waits for one finished operation, and lets that process go on.
    fn listen(&mut self) -> TestResult {
        loop {
            let said = self.said.recv()?;
            let Some(line) = said.line else {
                return Err(format!(
                    "a process for `{}` has ended",
                    self.workers[said.worker].role
                )
                .into());
            };
            if !is_said_by_role(&line) {
                continue;
            }
            self.ledger.note(&line)?;
            if line.starts_with("unrooting") {
                continue;
            }
            if let Some(input) = &mut self.workers[said.worker].input {
                go_on(input)?;
            }
            return Ok(());
        }
    }

    /// Takes what was said last; returns the worker and its life when its output has ended.
    fn hear(&mut self) -> TestResult<Option<(usize, u64)>> {
        let said = self.said.recv()?;
        let Some(line) = said.line else {
            return Ok(Some((said.worker, said.life)));
        };
        if is_said_by_role(&line) {
            self.ledger.note(&line)?;
            if !line.starts_with("unrooting")
                && self.lives[said.worker] == said.life
                && let Some(input) = &mut self.workers[said.worker].input
            {
                // The one that was just killed does not read any more.
                let _sent: io::Result<()> = go_on(input);
            }
        }
        Ok(None)
    }

    /// Lets all finish what they are at, and end.
    fn finish(&mut self) -> TestResult {
        for worker in &mut self.workers {
            worker.input = None;
        }
        let mut open = self.workers.len();
        while open > 0 {
            if self.hear()?.is_some() {
                open -= 1;
            }
        }
        for worker in &mut self.workers {
            let status = worker.child.wait()?;
            if !status.success() {
                return Err(format!("a process for `{}` ended with {status}", worker.role).into());
            }
        }
        Ok(())
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Gone already when all went well.
            let _killed: io::Result<()> = worker.child.kill();
            let _waited: io::Result<_> = worker.child.wait();
        }
    }
}

fn go_on(input: &mut ChildStdin) -> io::Result<()> {
    input.write_all(b"\n")?;
    input.flush()
}

/// The test framework of the child says things as well.
fn is_said_by_role(line: &str) -> bool {
    const WORDS: &[&str] = &[
        "added",
        "used",
        "rooted",
        "unrooting",
        "unrooted",
        "collected",
        "verified",
        "broken",
    ];
    let word = line.split(' ').next().unwrap_or_default();
    WORDS.contains(&word)
}

fn check(root: &Path, roots: &BTreeMap<String, StorePath>) -> TestResult {
    let store = open(root)?;
    store.leased()?;
    whole(&store, "after the last kill")?;
    let listed = store.list_roots()?;
    for (name, path) in roots {
        let kept = listed
            .iter()
            .any(|root| root.name == *name && root.path == *path);
        if !kept {
            return Err(format!("the root `{name}` of {path} was acknowledged and is gone").into());
        }
        let info = store
            .path_info(path)?
            .ok_or_else(|| format!("{path} is rooted and not valid"))?;
        inspect(&store, &info)?;
    }
    let never = std::sync::atomic::AtomicBool::new(false);
    store.collect_garbage(&GcOptions::default(), &|_| {}, &never)?;
    whole(&store, "after the collection")?;
    let kept: Vec<StorePath> = listed.iter().map(|root| root.path.clone()).collect();
    let closure = store.closure(&kept)?;
    let valid = store.find_by_prefix("")?;
    if valid.len() != closure.infos().len() {
        return Err(format!("{} valid, {} rooted", valid.len(), closure.infos().len()).into());
    }
    let records = count_records(&root.join("var/meta"))?;
    if records != valid.len() {
        return Err(format!("{} valid, {records} records", valid.len()).into());
    }
    Ok(())
}

fn whole(store: &LocalStore, when: &str) -> TestResult {
    let faults = find_faults(store);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(format!("{when}: {}", faults.join("; ")).into())
    }
}

/// Counts the records of objects: files of forty digits below directories of two.
fn count_records(meta: &Path) -> io::Result<usize> {
    let mut count = 0;
    for shard in fs::read_dir(meta)? {
        let shard = shard?;
        if shard.file_name().len() != 2 {
            continue;
        }
        for record in fs::read_dir(shard.path())? {
            count += usize::from(record?.file_name().len() == 40);
        }
    }
    Ok(count)
}
