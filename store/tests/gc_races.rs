//! Somebody wants an object that is being deleted, at every moment of the deletion.
//!
//! The collector stops before each of its I/O operations in turn, another thread with a store of its own does all that it wants to do, and the collector goes on.
//! Where the collector holds what the other one needs, it does not wait, so that both run at once from there.

use std::{
    error::Error,
    slice::from_ref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use store::{
    GcOptions, Lease, LocalStore, MemoryNode, PathInfo, RootKind,
    faults::observe,
    testing::{StoreDirectory, add_tree, find_faults, open},
};

type TestResult<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long the collector waits for the other thread, which may be waiting for it.
const PATIENCE: Duration = Duration::from_millis(200);
/// The observer is one for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Each object and what it refers to.
const FAMILY: [(&str, &[usize]); 3] = [("base", &[]), ("library", &[0]), ("application", &[1, 0])];

/// Adds an object to those of its family before it.
fn add_member(store: &LocalStore, family: &[PathInfo]) -> TestResult<PathInfo> {
    let (name, references) = FAMILY[family.len()];
    let lines = references
        .iter()
        .map(|place| family[*place].path.to_logical() + "\n");
    let candidates: Vec<&PathInfo> = family.iter().collect();
    let text = MemoryNode::file(lines.collect::<String>());
    Ok(add_tree(store, name, text, &candidates)?)
}

fn add_family(store: &LocalStore) -> TestResult<Vec<PathInfo>> {
    let mut family = Vec::new();
    for _ in FAMILY {
        family.push(add_member(store, &family)?);
    }
    Ok(family)
}

/// Adds what of a family is not valid, as a builder does: what an object refers to is held before it is added.
fn add_again(store: &LocalStore, lease: &Lease, family: &[PathInfo]) -> TestResult {
    for (place, info) in family.iter().enumerate() {
        if !store.hold(lease, from_ref(&info.path))?.is_empty() {
            assert_eq!(add_member(store, &family[..place])?.path, info.path);
        }
    }
    Ok(())
}

/// Runs a collection; before its `nth` operation `meanwhile` begins in another thread. Tells whether there were so many.
fn collect_disturbed(
    store: &LocalStore,
    nth: u64,
    meanwhile: impl FnOnce() -> TestResult + Send,
) -> TestResult<bool> {
    let (start, started) = channel::<()>();
    let (finish, finished) = channel::<()>();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let begun = started.recv().is_ok();
            let result = if begun { meanwhile() } else { Ok(()) };
            // The collector may be past waiting.
            let _gone: Result<(), _> = finish.send(());
            result.map(|()| begun)
        });
        let observer = Disturbance::new(nth, start, finished);
        observe(Some(Arc::new(move |verb| observer.see(verb))));
        let collected =
            store.collect_garbage(&GcOptions::default(), &|_| {}, &AtomicBool::new(false));
        // Lets go of the channel, which ends the other thread if it was never called.
        observe(None);
        let begun = other.join().expect("it panics only if the test fails");
        collected.map_err(Into::into).and(begun)
    })
}

struct Disturbance {
    collector: ThreadId,
    nth: u64,
    passed: AtomicU64,
    is_writing: AtomicBool,
    start: Mutex<Option<Sender<()>>>,
    finished: Mutex<Receiver<()>>,
}

impl Disturbance {
    fn new(nth: u64, start: Sender<()>, finished: Receiver<()>) -> Self {
        Self {
            collector: thread::current().id(),
            nth,
            passed: AtomicU64::new(0),
            is_writing: AtomicBool::new(false),
            start: Mutex::new(Some(start)),
            finished: Mutex::new(finished),
        }
    }

    fn see(&self, verb: &str) {
        if thread::current().id() != self.collector {
            return;
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth {
            let start = lock(&self.start).take();
            if start.is_some_and(|start| start.send(()).is_ok())
                && !self.is_writing.load(Ordering::Relaxed)
            {
                // It does not end while the collector holds a lock that it needs.
                let _ended: Result<(), _> = lock(&self.finished).recv_timeout(PATIENCE);
            }
        }
        // Called before the operation: a transaction is open from after `begin` until after `commit`.
        match verb {
            "db.begin" => self.is_writing.store(true, Ordering::Relaxed),
            "db.commit" => self.is_writing.store(false, Ordering::Relaxed),
            _ => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Disturbs a collection at every operation, and returns how many there are.
fn disturb_everywhere(
    wanted: impl Fn(&LocalStore, &Lease, &[PathInfo]) -> TestResult + Sync,
) -> TestResult<u64> {
    let _alone = lock(&ALONE);
    for nth in 1.. {
        let directory = StoreDirectory::new();
        let (collecting, other) = (open(directory.path())?, open(directory.path())?);
        let family = add_family(&collecting)?;
        let lease = other.lease()?;
        let begun = collect_disturbed(&collecting, nth, || wanted(&other, &lease, &family))
            .map_err(|error| format!("at operation {nth}: {error}"))?;
        if !begun {
            return Ok(nth - 1);
        }
        // What is held stays through another collection.
        collecting.collect_garbage(&GcOptions::default(), &|_| {}, &AtomicBool::new(false))?;
        let missing = other.hold(&lease, from_ref(&family[2].path))?;
        if missing.is_empty() {
            other.closure(from_ref(&family[2].path))?;
        }
        drop(lease);
        assert_eq!(find_faults(&other), [""; 0], "at operation {nth}");
    }
    Ok(0)
}

#[test]
fn what_is_added_while_it_is_being_deleted_is_there() -> TestResult {
    let points = disturb_everywhere(|store, lease, family| {
        add_again(store, lease, family)?;
        store.closure(from_ref(&family[2].path))?;
        store.add_root("mine", &family[2].path, RootKind::Explicit)?;
        Ok(())
    })?;
    assert!(points > 30, "only {points} points");
    Ok(())
}

#[test]
fn what_is_held_while_it_is_being_deleted_stays_or_is_said_to_be_gone() -> TestResult {
    disturb_everywhere(|store, lease, family| {
        let wanted = family[2].path.clone();
        if store.hold(lease, from_ref(&wanted))?.is_empty() {
            let closure = store.closure(from_ref(&wanted))?;
            assert_eq!(closure.infos().len(), 3);
            for path in closure.paths() {
                assert!(store.real_path(path).exists(), "{path}");
            }
            store.add_root("mine", &wanted, RootKind::Explicit)?;
        }
        Ok(())
    })?;
    Ok(())
}
