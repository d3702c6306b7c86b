//! Every I/O operation of the store fails once, and at every one the process dies once; afterwards the store is whole and a retry succeeds.
//!
//! An [`Operation`](operations::Operation) is run in processes of its own: for n = 1, 2, 3 … with the n-th I/O operation failing (see [`FAILURES`]), and again with the process ending there,
//! each time on a fresh copy of a prepared store. Then the store is opened as the next command would, and must have the invariants:
//!
//! * every valid object hashes to its id, its references are valid, its record says what the database says;
//! * no rooted object is gone; the operation has happened wholly or not at all, and if it said that it succeeded, it has;
//! * nothing is left over of unfinished work;
//! * the same operation, tried again, succeeds.
//!
//! The numbers of points are printed. CI tries every point; the store is small. Where points take long, each is tried with one kind of fault in turn, and with all of them in a full run.

mod caching;
mod collecting;
mod harness;
mod linking;
mod operations;
mod profiles;
mod pulling;
mod pushing;
mod signing;
mod upkeep;

use harness::{TestResult, run, run_after_kills, run_in_turn};

/// What this test program does as a child process. Nothing when the tests run as such.
#[test]
fn role() -> TestResult {
    harness::role()
}

#[test]
fn add_survives_every_fault() -> TestResult {
    run("add")
}

#[test]
fn adding_a_realisation_survives_every_fault() -> TestResult {
    run("realise")
}

#[test]
fn changing_a_component_survives_every_fault() -> TestResult {
    run("component")
}

#[test]
fn new_facts_about_a_valid_object_survive_every_fault() -> TestResult {
    run("describe")
}

#[test]
fn setting_a_root_survives_every_fault() -> TestResult {
    run("root")
}

#[test]
fn an_add_that_links_survives_every_fault() -> TestResult {
    run("link")
}

#[test]
fn adding_signatures_survives_every_fault() -> TestResult {
    run("sign")
}

#[test]
fn collecting_the_pool_survives_every_fault() -> TestResult {
    run("collect-pool")
}

#[test]
fn the_first_install_into_a_profile_survives_every_fault() -> TestResult {
    run("profile-first")
}

#[test]
fn a_switch_to_a_new_generation_survives_every_fault() -> TestResult {
    run("profile-install")
}

#[test]
fn going_back_to_a_generation_survives_every_fault() -> TestResult {
    run("profile-rollback")
}

#[test]
fn forgetting_generations_survives_every_fault() -> TestResult {
    run("profile-forget")
}

#[test]
fn a_collection_survives_every_fault() -> TestResult {
    run("gc")
}

#[test]
fn a_collection_that_stops_early_survives_every_fault() -> TestResult {
    run("gc-free")
}

#[test]
fn what_a_killed_collection_left_is_put_right_in_spite_of_every_fault() -> TestResult {
    run_after_kills("gc", "gc-recover")
}

#[test]
fn replacing_a_root_survives_every_fault() -> TestResult {
    run("replace-root")
}

#[test]
fn removing_a_root_survives_every_fault() -> TestResult {
    run("remove-root")
}

#[test]
fn rebuilding_the_database_survives_every_fault() -> TestResult {
    run("rebuild")
}

#[test]
fn losing_the_database_survives_every_fault() -> TestResult {
    run("lose-database")
}

#[test]
fn a_repair_survives_every_fault() -> TestResult {
    run("repair")
}

#[test]
fn writing_into_a_cache_survives_every_fault() -> TestResult {
    run("write-cache")
}

#[test]
fn a_pull_from_a_cache_survives_every_fault() -> TestResult {
    run("pull")
}

#[test]
fn a_push_survives_every_fault() -> TestResult {
    run("push")
}

#[test]
fn a_push_to_a_cache_that_others_use_survives_every_fault() -> TestResult {
    run("push-more")
}

#[test]
fn collecting_a_cache_survives_every_fault() -> TestResult {
    run_in_turn("collect-cache")
}

#[test]
fn an_import_survives_every_fault() -> TestResult {
    run("import")
}
