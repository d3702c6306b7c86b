//! Makes the n-th I/O operation of this process fail, or ends the process there (feature `faults`; for tests only).
//!
//! Every operation of the store on files, directories, locks and the database passes one point *before* it is done. So "dies at n" is a process that
//! has done n − 1 operations, and a test that counts n up until nothing happens any more has seen all of them. Operations of all threads are
//! counted together. A test can also do something of its own between any two operations; see [`observe`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation fails; those after it do not.
    Fail(Errno),
    /// This operation and all after it fail, as on a disk that is gone or full.
    FailFromHere(Errno),
    /// From this operation on, all of this name fail, and no others.
    FailEvery(&'static str, Errno),
    /// The process ends at once, without destructors.
    Die,
}

#[derive(Debug)]
struct State {
    armed: Option<(u64, Fault)>,
    passed: u64,
    operations: Vec<&'static str>,
    fired: bool,
}

static STATE: Mutex<State> = Mutex::new(State {
    armed: None,
    passed: 0,
    operations: Vec::new(),
    fired: false,
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a test does before operations; it gets their verbs.
pub type Observer = Arc<dyn Fn(&'static str) + Send + Sync>;

static OBSERVER: Mutex<Option<Observer>> = Mutex::new(None);

/// Calls `observer` before every operation from now on, in the thread that does it. It must not use a store.
pub fn observe(observer: Option<Observer>) {
    *OBSERVER.lock().unwrap_or_else(PoisonError::into_inner) = observer;
}

/// Arms the `nth` operation from now; 1 is the next one.
pub fn arm(nth: u64, fault: Fault) {
    *state() = State {
        armed: Some((nth, fault)),
        passed: 0,
        operations: Vec::new(),
        fired: false,
    };
}

/// Counts operations from now without letting any fail.
pub fn count() {
    arm(0, Fault::Die);
}

/// What was seen since the last [`arm`] or [`count`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The operations that were begun, by their verbs, in order; a failed one included.
    pub operations: Vec<&'static str>,
    /// Whether the armed operation came.
    pub fired: bool,
}

/// Lets all operations succeed again, and returns what was seen.
pub fn disarm() -> Seen {
    let mut state = state();
    state.armed = None;
    Seen {
        operations: std::mem::take(&mut state.operations),
        fired: state.fired,
    }
}

/// Passes the point of an operation.
pub(crate) fn point(operation: &'static str) -> nix::Result<()> {
    let observer = OBSERVER
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if let Some(observer) = observer {
        observer(operation);
    }
    let mut state = state();
    let Some((nth, fault)) = state.armed else {
        return Ok(());
    };
    state.passed += 1;
    state.operations.push(operation);
    let here = state.passed == nth;
    state.fired |= here;
    match fault {
        Fault::FailEvery(name, errno) if state.fired && name == operation => Err(errno),
        Fault::Fail(errno) if here => Err(errno),
        Fault::FailFromHere(errno) if state.fired => Err(errno),
        Fault::Die if here => std::process::abort(),
        _ => Ok(()),
    }
}
