//! What a cache costs and gives that answers sometimes, late or never.

use std::{
    collections::VecDeque,
    error::Error,
    io::{self, Read},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use store::{
    cache::{
        backend::{Backend, BackendError, CacheUrl, Corruption, ErrorClass, FileKind, ListedFile},
        format::CacheName,
        source::{Clock, Policy, Source, SourceError},
    },
    net::NetError,
};

type TestResult = Result<(), Box<dyn Error>>;

/// A clock that only the test and its sleepers move.
#[derive(Clone, Debug, Default)]
struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn pass(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).expect("tests are short");
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, pause: Duration) {
        self.pass(pause);
    }

    fn jitter(&self) -> u32 {
        1000
    }
}

/// What the next request does.
#[derive(Clone, Debug)]
enum Step {
    /// Answers with the file after some milliseconds.
    Answer(u64),
    /// Begins to answer and breaks off after so many bytes.
    Break(usize),
    /// Fails after some milliseconds.
    Fail(u64, Failure),
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Absent,
    Busy(Option<u64>),
    Corrupt,
    Gone,
}

/// Plays steps; the last one stays.
#[derive(Debug)]
struct Player {
    url: CacheUrl,
    clock: TestClock,
    steps: Arc<Mutex<VecDeque<Step>>>,
}

const FILE: &[u8] = b"0123456789";

fn error(failure: Failure) -> BackendError {
    let file = "F".to_owned();
    match failure {
        Failure::Absent => BackendError::Absent { file },
        Failure::Busy(seconds) => BackendError::Busy {
            file,
            code: 503,
            retry_after: seconds.map(Duration::from_secs),
        },
        Failure::Corrupt => BackendError::Corrupt {
            file,
            problem: Corruption::Kind,
        },
        Failure::Gone => BackendError::Unreachable {
            file,
            source: NetError::Unreachable {
                message: "no route".to_owned(),
            },
        },
    }
}

impl Player {
    fn play(&self) -> Result<Option<usize>, BackendError> {
        let mut steps = self.steps.lock().expect("no thread panicked");
        let step = match steps.len() {
            1 => steps[0].clone(),
            _ => steps.pop_front().expect("a test has steps"),
        };
        match step {
            Step::Answer(millis) => {
                self.clock.pass(Duration::from_millis(millis));
                Ok(None)
            }
            Step::Break(after) => Ok(Some(after)),
            Step::Fail(millis, failure) => {
                self.clock.pass(Duration::from_millis(millis));
                Err(error(failure))
            }
        }
    }
}

/// Ends with an error.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(error(Failure::Gone)))
    }
}

impl Backend for Player {
    fn url(&self) -> &CacheUrl {
        &self.url
    }

    fn read(&self, _: &CacheName, _: u64) -> Result<Vec<u8>, BackendError> {
        self.play().map(|_| FILE.to_vec())
    }

    fn open_range(
        &self,
        _: &CacheName,
        range: Range<u64>,
    ) -> Result<Box<dyn Read + Send>, BackendError> {
        let place = |at: u64| usize::try_from(at).expect("the file is small");
        let part = &FILE[place(range.start)..place(range.end)];
        Ok(match self.play()? {
            None => Box::new(part),
            Some(count) => Box::new(part[..count].chain(Broken)),
        })
    }

    fn exists(&self, _: &CacheName) -> Result<bool, BackendError> {
        self.play().map(|_| true)
    }

    fn write(&self, _: &CacheName, _: Bytes) -> Result<(), BackendError> {
        self.play().map(drop)
    }

    fn flush(&self) -> Result<(), BackendError> {
        self.play().map(drop)
    }

    fn remove(&self, _: &CacheName) -> Result<(), BackendError> {
        self.play().map(drop)
    }

    fn list(&self, _: FileKind, _: &mut dyn FnMut(ListedFile)) -> Result<(), BackendError> {
        self.play().map(drop)
    }

    fn is_writable(&self) -> Result<bool, BackendError> {
        self.play().map(|_| true)
    }
}

struct Fixture {
    source: Source,
    clock: TestClock,
    steps: Arc<Mutex<VecDeque<Step>>>,
}

impl Fixture {
    fn new(steps: &[Step]) -> Self {
        let clock = TestClock::default();
        let steps = Arc::new(Mutex::new(steps.iter().cloned().collect()));
        let player = Player {
            url: "/cache".parse().expect("a path is an address"),
            clock: clock.clone(),
            steps: Arc::clone(&steps),
        };
        Self {
            source: Source::with_clock(
                Box::new(player),
                Policy::default(),
                Box::new(clock.clone()),
            ),
            clock,
            steps,
        }
    }

    fn then(&self, step: Step) {
        *self.steps.lock().expect("no thread panicked") = VecDeque::from([step]);
    }

    /// Asks for a file and says what came of it.
    fn ask(&self, number: u64) -> String {
        match self.source.read(&name(number), 10) {
            Ok(bytes) => format!("{} bytes", bytes.len()),
            Err(error) => error.to_string(),
        }
    }

    fn now(&self) -> Duration {
        self.clock.now()
    }
}

fn name(number: u64) -> CacheName {
    let digits = format!("{number:040}");
    format!("o/00/{digits}").parse().expect("a record's name")
}

#[test]
fn a_blackhole_costs_five_seconds_however_many_files_are_asked_for() {
    let fixture = Fixture::new(&[Step::Fail(5000, Failure::Gone)]);
    assert_eq!(fixture.ask(0), "cannot reach `F`");
    for number in 1..300 {
        assert_eq!(
            fixture.ask(number),
            "the cache `/cache` is not asked any more"
        );
    }
    assert_eq!(fixture.now(), Duration::from_secs(5));
    assert_eq!(fixture.source.statistics().requests, 1);
    // For good, even if it were better now.
    fixture.clock.pass(Duration::from_secs(100_000));
    fixture.then(Step::Answer(0));
    assert_eq!(fixture.ask(0), "the cache `/cache` is not asked any more");
}

#[test]
fn a_server_that_is_not_there_is_asked_three_times_and_left_alone() {
    let fixture = Fixture::new(&[Step::Fail(1, Failure::Gone)]);
    assert_eq!(fixture.ask(0), "cannot reach `F`");
    assert_eq!(fixture.ask(1), "the cache `/cache` is not asked for 30 s");
    // Pauses of 250 and 500 ms between three tries.
    assert_eq!(fixture.now(), Duration::from_millis(753));
    let statistics = fixture.source.statistics();
    assert_eq!((statistics.requests, statistics.retries), (3, 2));
    assert_eq!(statistics.failures[&ErrorClass::Unreachable], 3);
    // Later one request finds out that it is back.
    fixture.clock.pass(Duration::from_secs(30));
    fixture.then(Step::Answer(1));
    assert_eq!(fixture.ask(1), "10 bytes");
    assert!(!fixture.source.is_given_up());
}

#[test]
fn one_failure_among_successes_is_not_noticed() {
    let fixture = Fixture::new(&[
        Step::Answer(1),
        Step::Fail(1, Failure::Busy(None)),
        Step::Fail(1, Failure::Gone),
        Step::Answer(1),
    ]);
    for number in 0..10 {
        assert_eq!(fixture.ask(number), "10 bytes");
    }
    assert_eq!(fixture.source.statistics().retries, 2);
    assert_eq!(fixture.source.statistics().bytes_read, 100);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says_so() {
    let fixture = Fixture::new(&[Step::Fail(0, Failure::Busy(Some(2))), Step::Answer(0)]);
    assert_eq!(fixture.ask(0), "10 bytes");
    assert_eq!(fixture.now(), Duration::from_millis(2250));
}

#[test]
fn a_server_that_is_busy_for_long_is_not_waited_for() {
    let fixture = Fixture::new(&[Step::Fail(0, Failure::Busy(Some(60))), Step::Answer(0)]);
    assert_eq!(fixture.ask(0), "the server of `F` is busy (503)");
    assert_eq!(fixture.ask(1), "the cache `/cache` is not asked for 60 s");
    assert_eq!(fixture.now(), Duration::ZERO);
    fixture.clock.pass(Duration::from_secs(61));
    assert_eq!(fixture.ask(1), "10 bytes");
}

#[test]
fn what_is_absent_is_an_answer() {
    let fixture = Fixture::new(&[Step::Fail(1, Failure::Absent)]);
    for number in 0..100 {
        assert_eq!(fixture.ask(number), "`F` is not in the cache");
    }
    assert!(!fixture.source.is_given_up());
    let statistics = fixture.source.statistics();
    assert_eq!((statistics.requests, statistics.retries), (100, 0));
    assert_eq!(statistics.failures[&ErrorClass::Absent], 100);
}

#[test]
fn a_corrupt_file_is_not_asked_for_again_and_the_others_are() {
    let fixture = Fixture::new(&[Step::Fail(1, Failure::Corrupt), Step::Answer(1)]);
    assert!(fixture.ask(0).contains("it is no regular file"));
    assert_eq!(fixture.ask(1), "10 bytes");
    assert!(
        fixture
            .ask(0)
            .ends_with("was corrupt before and is not asked for again")
    );
    // So is one whose bytes turn out to be wrong later.
    fixture.source.quarantine(&name(1));
    assert!(matches!(
        fixture.source.read(&name(1), 10),
        Err(SourceError::Quarantined { .. })
    ));
    assert_eq!(
        fixture.source.statistics().failures[&ErrorClass::Corrupt],
        2
    );
    // Until it is written anew.
    fixture
        .source
        .write(&name(1), &Bytes::from_static(b"x"))
        .expect("it is written");
    assert_eq!(fixture.ask(1), "10 bytes");
}

#[test]
fn a_part_goes_on_where_its_connection_broke() -> TestResult {
    let fixture = Fixture::new(&[
        Step::Break(3),
        Step::Fail(1, Failure::Gone),
        Step::Break(2),
        Step::Answer(1),
    ]);
    let mut bytes = Vec::new();
    fixture
        .source
        .open_range(&name(0), 1..9)?
        .read_to_end(&mut bytes)?;
    assert_eq!(bytes, &FILE[1..9]);
    assert_eq!(fixture.source.statistics().bytes_read, 8);
    Ok(())
}

#[test]
fn a_part_that_breaks_off_always_fails() -> TestResult {
    let fixture = Fixture::new(&[Step::Break(0)]);
    let error = fixture
        .source
        .open_range(&name(0), 0..9)?
        .read_to_end(&mut Vec::new());
    let error = error.map_err(|error| error.to_string());
    assert_eq!(error, Err("cannot reach `F`".to_owned()));
    Ok(())
}

#[test]
fn the_latency_follows_the_server() {
    let fixture = Fixture::new(&[
        Step::Answer(80),
        Step::Answer(160),
        Step::Fail(8, Failure::Absent),
    ]);
    let millis = |fixture: &Fixture| fixture.source.latency().map(|latency| latency.as_millis());
    assert_eq!(millis(&fixture), None);
    let seen: Vec<_> = (0..3)
        .map(|number| {
            fixture.ask(number);
            millis(&fixture)
        })
        .collect();
    assert_eq!(seen, [Some(80), Some(90), Some(79)]);
}
