//! Commands that are killed, and commands that all run at once: the next one works, and nobody hears of the others.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use store::testing::{find_faults, open};
use tests::{Finished, Random, TestEnv, follow, is_full, run};

type TestResult = Result<(), Box<dyn Error>>;

/// Makes the choice of commands and moments repeatable; `PITH_TEST_SEED` is another one.
const SEED: u64 = 0x5eed_0004;
/// Commands that are killed, in CI and in a long run.
const KILLS: usize = 24;
const MANY_KILLS: usize = 400;
/// Rounds of each process in a crowd, in CI and in a long run.
const ROUNDS: usize = 4;
const MANY_ROUNDS: usize = 60;

fn seed() -> u64 {
    let seed = env::var("PITH_TEST_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

/// Prints a line also when the test passes.
fn tell(line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{line}")
}

/// Writes a project whose `app` has `text` in its file `share/<name>`.
fn project(env: &TestEnv, name: &str, text: &str) {
    env.write(
        &format!("{name}/pith.star"),
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             app = derivation(name = \"app\", seed = base, env = {{\"text\": {text:?}}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/share; echo $text > $out/share/{name}; seq 1 9000 > $out/data\"])\n"
        ),
    );
}

/// The `app` of a project, as a target.
fn target(env: &TestEnv, name: &str) -> String {
    format!("{}:app", env.path(name).to_str().expect("UTF-8"))
}

/// Panics unless a store at rest is as it should be, but for what the next collection takes away.
fn expect_good(env: &TestEnv) -> TestResult {
    env.pith(&["store", "gc", "-q"]).expect_success();
    env.pith(&["store", "verify", "--contents"])
        .expect_success();
    let store = open(env.store())?;
    // A lease that nobody holds any more is removed by who reads leases.
    drop(store.report_roots()?);
    assert_eq!(find_faults(&store), Vec::<String>::new());
    Ok(())
}

/// What is killed: each command leaves something to do to the one after it.
fn victim(env: &TestEnv, round: usize) -> (&'static str, Vec<String>) {
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    project(env, "killed", &format!("round {round}"));
    let app = target(env, "killed");
    match round % 4 {
        0 => ("build", strings(&["build", "-q", &app])),
        1 => ("gc", strings(&["store", "gc", "-q"])),
        2 => (
            "profile install",
            strings(&["profile", "install", "-q", &app]),
        ),
        _ => ("verify", strings(&["store", "verify", "--contents", "-q"])),
    }
}

/// What a user may do next.
fn next(env: &TestEnv, random: &mut Random, round: usize) -> Finished {
    let commands: [&[&str]; 8] = [
        &["store", "info"],
        &["store", "roots"],
        &["store", "gc"],
        &["store", "gc", "--dry-run"],
        &["store", "verify"],
        &["profile", "list"],
        &["profile", "history"],
        &["build", "-q"],
    ];
    let command = commands[random.below(commands.len())];
    if command[0] != "build" {
        return env.pith(command);
    }
    project(env, "next", &format!("after round {round}"));
    env.pith(&["build", "-q", &target(env, "next")])
}

#[test]
fn whatever_is_killed_the_next_command_works() -> TestResult {
    let env = TestEnv::with_seed();
    let mut random = Random::new(seed());
    // How long each command takes where nobody kills it, in looks.
    let mut lengths = [0; 4];
    let kills = if is_full() { MANY_KILLS } else { KILLS };
    let mut killed = 0;
    let mut round = 0;
    while killed < kills {
        let (name, arguments) = victim(&env, round);
        let mut child = env
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let length = &mut lengths[round % 4];
        if *length == 0 {
            *length = follow(&mut child, usize::MAX);
            assert!(child.wait()?.success(), "{name}");
        } else {
            follow(&mut child, random.below(*length));
            child.kill()?;
            // One that was faster this time has ended.
            killed += usize::from(!child.wait()?.success());
            let said = next(&env, &mut random, round);
            assert_eq!(said.status, 0, "after a killed {name}: {}", said.stderr);
        }
        round += 1;
    }
    tell(&format!(
        "{killed} commands killed of {round}, seed {}",
        seed()
    ))?;
    expect_good(&env)
}

/// Runs a command of a crowd: it works, and says nothing of others being in the way.
fn member(env: &TestEnv, arguments: &[&str]) -> String {
    let said = run(&mut env.command(arguments)).expect_success();
    for word in ["busy", "locked"] {
        assert!(
            !said.stderr.contains(word),
            "{arguments:?}: {}",
            said.stderr
        );
    }
    said.stdout
}

/// One process after another: adds, builds or collects.
fn live(env: &TestEnv, number: usize, rounds: usize, done: &AtomicUsize) {
    for round in 0..rounds {
        let name = format!("member-{number}");
        match number {
            // Builds something new and keeps it.
            0..3 => {
                let text = format!("{number} {round}");
                project(env, &name, &text);
                let link = env.path(&format!("result-{number}"));
                let link = link.to_str().expect("UTF-8");
                member(env, &["build", &target(env, &name), "-o", link]);
                let file = Path::new(link).join("share").join(&name);
                let found = fs::read_to_string(file).expect("the link keeps it");
                assert_eq!(found, format!("{text}\n"));
            }
            // Builds what another builds at the same time, as often as a collector has taken it away.
            3..5 => {
                member(env, &["build", &target(env, "same")]);
            }
            // Adds to a profile, and takes away.
            5 => {
                project(env, &name, &round.to_string());
                let profile = env.path("profile");
                let profile = profile.to_str().expect("UTF-8");
                let app = target(env, &name);
                member(env, &["profile", "--profile", profile, "install", &app]);
                // A link to the logical path of what is installed.
                let link = env.path("profile/current/share").join(&name);
                let file = fs::read_link(link).expect("it is installed");
                let file = file.strip_prefix("/pith").expect("it is in the store");
                let found = fs::read_to_string(env.store().join(file)).expect("it is kept");
                assert_eq!(found, format!("{round}\n"));
                member(env, &["profile", "--profile", profile, "remove", "app"]);
            }
            _ => {
                member(env, &["store", "gc"]);
            }
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn eight_processes_add_build_and_collect_at_once_and_nobody_waits_in_vain() -> TestResult {
    let env = TestEnv::with_seed();
    let rounds = if is_full() { MANY_ROUNDS } else { ROUNDS };
    let done = AtomicUsize::new(0);
    project(&env, "same", "the same");
    thread::scope(|scope| {
        for number in 0..8 {
            let (env, done) = (&env, &done);
            scope.spawn(move || live(env, number, rounds, done));
        }
    });
    tell(&format!("8 processes, {} turns", done.into_inner()))?;
    expect_good(&env)
}
