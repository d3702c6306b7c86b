//! `pith serve` as it is run, alone and by twenty-five clients at once.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    sync::Barrier,
    thread,
};

use bytes::Bytes;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use store::cache::{
    backend::{Backend, BackendOptions, Credentials, ErrorClass},
    format::CacheName,
    source::{Policy, Source},
};
use tests::TestEnv;

use crate::{
    TestResult, name, noise, open,
    samples::{Content, Sample},
};

const PULLERS: u64 = 20;
const PUSHERS: u64 = 5;
/// Objects that each of those who push pushes, and their bytes.
const OBJECTS: u64 = 8;
const OBJECT_BYTES: usize = 1 << 20;
/// Packs that are there before, and their bytes.
const PACKS: u64 = 4;
const PACK_BYTES: usize = 32 << 20;
/// What the server may need. It may hold 32 MiB of files that it receives, and of each of those who read a piece of 256 KiB and what is on its way; a server
/// that read packs whole to send them would need 20 × 32 MiB.
const MEMORY_KIB: u64 = 160 << 10;

/// A running `pith serve`.
pub(crate) struct Command {
    child: Child,
    pub(crate) url: String,
    said: BufReader<std::process::ChildStderr>,
}

impl Command {
    /// Serves the directory `cache` of the project on a free port.
    pub(crate) fn start(env: &TestEnv, arguments: &[&str]) -> TestResult<Self> {
        let mut command = env.command(&["serve", "--cache", "./cache", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut url = String::new();
        let stdout = child.stdout.take().ok_or("it is piped")?;
        BufReader::new(stdout).read_line(&mut url)?;
        Ok(Self {
            url: url.trim_end().to_owned(),
            said: BufReader::new(child.stderr.take().ok_or("it is piped")?),
            child,
        })
    }

    fn client(&self, token: Option<&str>) -> TestResult<Box<dyn Backend>> {
        let credentials = token.map(|token| Credentials::Bearer(token.to_owned().into()));
        let options = BackendOptions {
            credentials,
            ..BackendOptions::default()
        };
        open(&self.url, &options)
    }

    /// The most memory that it had so far.
    fn peak_kib(&self) -> TestResult<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let word = line.and_then(|line| line.split_ascii_whitespace().nth(1));
        Ok(word.ok_or("the kernel tells it")?.parse()?)
    }

    /// Asks it to end, and returns its exit status and what it has said.
    pub(crate) fn stop(&mut self) -> TestResult<(Option<i32>, String)> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGTERM,
        )?;
        let mut said = String::new();
        self.said.read_to_string(&mut said)?;
        Ok((self.child.wait()?.code(), said))
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // It has ended if the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Makes a token, which the file `tokens` of the project lists.
pub(crate) fn token(env: &TestEnv, name: &str, scopes: &str) -> String {
    let arguments = [
        "serve", "token", name, "--tokens", "tokens", "--scopes", scopes,
    ];
    env.pith(&arguments).expect_success().line().to_owned()
}

#[test]
fn a_directory_is_served_until_a_signal_comes() -> TestResult {
    let env = TestEnv::new();
    let writer = token(&env, "ci", "write");
    let again = env
        .pith(&["serve", "token", "ci", "--tokens", "tokens"])
        .expect_status(3);
    assert_eq!(again.stderr, "error: `tokens` has a token `ci` already\n");
    let mut server = Command::start(&env, &["--public-read", "--tokens", "tokens"])?;
    let (log, bytes) = Content::Checked.small(1, 5000);
    let refused = server.client(None)?.write(&log, Bytes::from(bytes.clone()));
    assert_eq!(
        refused.map_err(|error| error.class()),
        Err(ErrorClass::Denied)
    );
    server
        .client(Some(&writer))?
        .write(&log, Bytes::from(bytes.clone()))?;
    assert_eq!(server.client(None)?.read(&log, 10_000)?, bytes);
    assert!(!server.client(None)?.exists(&name("n/nothing"))?);
    let (status, said) = server.stop()?;
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(
        said,
        format!("127.0.0.1: PUT /{log}: 401: a token is needed\nstopped\n")
    );
    // What was taken is a cache for those who have the directory.
    let directory = env.path("project").join("cache");
    let local = open(
        directory.to_str().ok_or("a path of text")?,
        &BackendOptions::default(),
    )?;
    assert_eq!(local.read(&log, 10_000)?, bytes);
    Ok(())
}

#[test]
fn what_is_served_is_said_on_the_command_line() {
    let env = TestEnv::new();
    fs::write(
        env.path("project").join("pith.toml"),
        "caches = [{ url = './cache' }]\n",
    )
    .expect("the project is ours");
    let none = env.pith(&["serve"]).expect_status(2);
    assert_eq!(
        none.stderr,
        "error: 0 caches are named on the command line, and one is served\n\
         hint: `--cache ./DIR` says which directory is served\n"
    );
    let bucket = env.pith(&["serve", "--cache", "s3://b"]).expect_status(2);
    assert_eq!(
        bucket.stderr,
        "error: `s3://b` is no directory, and only those are served\n"
    );
}

#[test]
fn twenty_pull_and_five_push_at_once_and_memory_stays_flat() -> TestResult {
    let env = TestEnv::new();
    let writer = token(&env, "ci", "read,write");
    let options = [
        "--public-read",
        "--tokens",
        "tokens",
        "--max-receiving",
        "32M",
    ];
    let mut server = Command::start(&env, &options)?;
    let packs: Vec<_> = (0..PACKS)
        .map(|number| Content::Checked.pack(number, PACK_BYTES))
        .collect();
    let client = server.client(Some(&writer))?;
    for (name, bytes) in &packs {
        client.write(name, Bytes::from(bytes.clone()))?;
    }
    let barrier = Barrier::new(usize::try_from(PULLERS + PUSHERS)?);
    let failures: Vec<String> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 0..PULLERS + PUSHERS {
            let (server, packs, barrier, writer) = (&server, &packs, &barrier, &writer);
            threads.push(scope.spawn(move || {
                let is_reader = number < PULLERS;
                let client = server.client((!is_reader).then_some(writer.as_str()));
                barrier.wait();
                let work = || match is_reader {
                    true => pull(client?.as_ref(), packs, number),
                    false => push(client?, number - PULLERS),
                };
                work().map_err(|error| error.to_string())
            }));
        }
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result.err(),
            Err(_) => Some("a panic".to_owned()),
        });
        results.flatten().collect()
    });
    assert!(failures.is_empty(), "{failures:?}");
    let reader = server.client(None)?;
    for number in 0..PUSHERS * OBJECTS {
        for (name, bytes) in object(number)?.files(&[])? {
            assert!(reader.read(&name, 64 << 20)? == bytes, "{name}");
        }
    }
    let peak = server.peak_kib()?;
    println!("the server had at most {} MiB in memory", peak >> 10);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    let (status, said) = server.stop()?;
    assert_eq!((status, said.as_str()), (Some(0), "stopped\n"));
    Ok(())
}

/// Reads every pack, each reader beginning with another one, in ranges as pulls do and as a whole.
fn pull(client: &dyn Backend, packs: &[(CacheName, Vec<u8>)], number: u64) -> TestResult {
    let start = usize::try_from(number)? % packs.len();
    for (name, bytes) in packs.iter().cycle().skip(start).take(packs.len()) {
        let length = bytes.len() as u64;
        for range in [0..length / 2, length / 2..length, 5..6] {
            let expected = &bytes[usize::try_from(range.start)?..usize::try_from(range.end)?];
            let mut found = Vec::with_capacity(expected.len());
            client.open_range(name, range)?.read_to_end(&mut found)?;
            assert!(found == expected, "{name}");
        }
    }
    Ok(())
}

/// Pushes objects of its own, and the one that all push. Comes back when the server is busy, as pushes do.
fn push(client: Box<dyn Backend>, number: u64) -> TestResult {
    let cache = Source::new(client, Policy::patient());
    for object_number in (number * OBJECTS..(number + 1) * OBJECTS).chain([0]) {
        for (name, bytes) in object(object_number)?.files(&[])? {
            cache.write(&name, &Bytes::from(bytes))?;
        }
    }
    Ok(())
}

fn object(number: u64) -> TestResult<Sample> {
    Sample::new(number, &noise(number + 1, OBJECT_BYTES))
}
