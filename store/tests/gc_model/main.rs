//! The protocol of deletion as a model, all of whose states are visited.
//!
//! Two objects, one of which refers to the other; a collector, a process that adds what it wants, another one or one that only holds it, the next who opens the
//! store; each may die before any of its steps, the machine may lose power between any two, an object may be damaged. The steps are those of
//! `store::gc`; what one transaction or one lock makes indivisible is one step.
//!
//! Everything that can be reached is visited, breadth first, so a counterexample is a shortest one. That takes seconds to a minute, because there are only a few
//! million states: no reason for a model checker from outside (stateright was looked at: symmetry and randomised search are for larger models, and it brings a
//! web server). Each rule of the protocol is broken once on purpose, and the search must find what follows.

mod explore;
mod model;
mod steps;

use explore::explore;
use model::{Rule, State};

/// A second collection, and a power cut among two adders, make the model ten times as large; `tests/run --full` visits all of it.
fn is_full() -> bool {
    std::env::var("PITH_TEST_FULL").is_ok_and(|full| !full.is_empty())
}

/// Visits everything; returns how many states there are, or how one that must not be is reached.
fn check(broken: Option<Rule>) -> Result<usize, String> {
    let mut states = 0;
    for adders in [1, 2] {
        let mut start = State::start(adders);
        if !is_full() {
            start.collections_left = 1;
            start.cuts_left = u8::from(adders == 1);
        }
        let steps = |state: &State| steps::all(state, broken);
        states += explore(start, steps, State::find_violation)?;
    }
    Ok(states)
}

#[test]
fn nothing_that_is_wanted_is_ever_lost() {
    match check(None) {
        Ok(states) => {
            println!("{states} states, all good");
            assert!(
                states > 10_000,
                "only {states} states: most of the model is dead"
            );
        }
        Err(trace) => panic!("{trace}"),
    }
}

#[test]
fn every_rule_is_needed() {
    for rule in Rule::ALL {
        let found = check(Some(*rule)).err();
        let trace = found.unwrap_or_else(|| panic!("{rule:?} can be broken without harm"));
        println!(
            "without {rule:?}:\n{}\n",
            trace.split("\nState {").next().unwrap_or_default()
        );
    }
}
