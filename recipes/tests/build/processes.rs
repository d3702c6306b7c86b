//! Interruption, left-overs, and two who want the same.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::thread;

use recipes::build::{BuildError, Builder, Origin};
use recipes::event::Event;
use recipes::plan::Goal;

use crate::fixture::{Fixture, TestResult, script};

#[test]
fn an_interruption_stops_what_runs_and_leaves_nothing() {
    let fixture = Fixture::new();
    let derivation = script("endless-1", "echo started; sleep 1000");
    let builder = Builder::new(&fixture.store, fixture.options.clone());
    let stop_when_started = |event| {
        if matches!(event, Event::LogLine { .. }) {
            fixture.cancel.store(true, Ordering::Relaxed);
        }
    };
    let result = builder.realise(
        &[Goal::new(derivation)],
        &stop_when_started,
        &fixture.cancel,
    );
    assert!(matches!(result, Err(BuildError::Interrupted)), "{result:?}");
    assert!(fixture.left_overs().is_empty());
}

#[test]
fn what_a_killed_process_left_is_removed_by_the_next() -> TestResult {
    let fixture = Fixture::new();
    let left = fixture.store.tmp_dir().join("build-1-0-x");
    std::fs::create_dir_all(left.join("build"))?;
    fixture.build(&script("good-1", "echo > $out"))?;
    assert!(fixture.left_overs().is_empty());
    Ok(())
}

#[test]
fn two_that_build_the_same_build_it_once() -> TestResult {
    let fixture = Fixture::new();
    // Two stores on one directory are as separate as two processes: locks are files.
    let other = Fixture::sharing(&fixture);
    let derivation = script(
        "slow-1",
        "echo started; sleep 0.5; cat /proc/sys/kernel/random/uuid > $out",
    );
    let barrier = Arc::new(Barrier::new(2));
    let run = |fixture: &Fixture| {
        barrier.wait();
        fixture
            .realise(&[&derivation])
            .map(|done| done.goals[0].clone())
    };
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| run(&fixture));
        let two = scope.spawn(|| run(&other));
        (one.join().expect("no panic"), two.join().expect("no panic"))
    });
    let (one, two) = (one?, two?);
    assert_eq!(
        one.path, two.path,
        "a build that differs each time ran once"
    );
    let mut how = [one.how, two.how];
    how.sort_by_key(|how| *how == Origin::Shared);
    assert_eq!(how, [Origin::Built, Origin::Shared]);
    let waited = [&fixture, &other].iter().any(|fixture| {
        fixture
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Waiting { name, .. } if name == "slow-1"))
    });
    assert!(waited);
    Ok(())
}
