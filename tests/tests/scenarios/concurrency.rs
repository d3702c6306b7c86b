//! Several processes on one store, and a user who has changed their mind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::TestEnv;

/// A project whose `app` runs `script`; its name is new, so that nothing has built it before.
fn project(env: &TestEnv, script: &str) {
    let unique = format!("{:?}", SystemTime::now());
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             app = derivation(name = \"app\", seed = base, env = {{\"unique\": {unique:?}}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-ec\", r'''\n{script}\n'''])\n"
        ),
    );
}

/// Starts a build and returns once its builder has said `started`.
fn start(env: &TestEnv) -> Child {
    let mut child = env
        .command(&["build", "app", "-vv"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut errors = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("started") {
        line.clear();
        let read = errors.read_line(&mut line).expect("the pipe is open");
        assert_ne!(read, 0, "the builder never started");
    }
    // The rest is read to its end, or the build would stop at a full pipe.
    std::thread::spawn(move || errors.lines().count());
    child
}

fn processes(env: &TestEnv, pattern: &str) -> String {
    env.tool("pgrep", &["-f", pattern]).stdout
}

#[test]
fn two_processes_build_the_same_thing_once() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "bash", "-q"]).expect_success();
    project(&env, "echo started; sleep 1; echo x > $out");
    let first = start(&env);
    let second = env.pith(&["build", "app", "--json", "-v"]).expect_success();
    let first = first.wait_with_output().expect("it ends");
    assert!(first.status.success());
    let report = second.json();
    assert_eq!(report["built"], serde_json::json!([]), "it was built twice");
    assert_eq!(
        String::from_utf8_lossy(&first.stdout).trim(),
        report["outputs"][0]["path"]
    );
    assert!(second.stderr.contains("wait"), "{}", second.stderr);
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let env = TestEnv::with_shared_store();
    project(&env, "echo started; sleep 86418");
    let mut child = start(&env);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    assert_eq!(processes(&env, "sleep 86418"), "");
    env.pith(&["store", "info"]).expect_success();
}

#[test]
fn a_killed_build_is_cleaned_up_by_the_next_command() {
    let env = TestEnv::with_shared_store();
    project(&env, "echo started; sleep 86419");
    let mut child = start(&env);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    project(&env, "echo x > $out");
    env.pith(&["build", "app", "-q"]).expect_success();
    assert_eq!(processes(&env, "sleep 86419"), "");
}
