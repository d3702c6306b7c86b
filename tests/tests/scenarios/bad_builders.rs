//! A builder that misbehaves ends in one clear error and leaves the store as it was.

use tests::{Finished, TestEnv};

/// Builds a derivation whose builder is the shell script `script`, with `flags`.
fn build(env: &TestEnv, script: &str, flags: &[&str]) -> Finished {
    let recipe = format!(
        "load(\"//seed/recipe.star\", \"base\")\n\
         bad = derivation(name = \"bad\", seed = base, builder = [\"/usr/bin/bash\", \"-ec\", r'''\n{script}\n'''])\n"
    );
    env.write("project/pith.star", &recipe);
    let mut arguments = vec!["build", "bad", "-q"];
    arguments.extend(flags);
    env.pith(&arguments)
}

/// Asserts that `script` fails the build with `message`, registers nothing and leaves nothing.
#[track_caller]
fn refused(script: &str, flags: &[&str], message: &str) {
    let env = TestEnv::with_shared_store();
    let finished = build(&env, script, flags).expect_status(100);
    assert!(
        finished.stderr.contains(message),
        "`{message}` is not in\n{}",
        finished.stderr
    );
    assert_eq!(finished.stdout, "");
    let again = build(&env, script, flags).expect_status(100);
    assert!(
        again.stderr.contains(message),
        "a failure was cached:\n{}",
        again.stderr
    );
}

#[test]
fn a_failing_builder_shows_its_status_phase_and_last_lines() {
    let env = TestEnv::with_shared_store();
    let script = "echo '@pith phase check'\nfor i in $(seq 40); do echo line $i; done\nexit 3";
    let error = build(&env, script, &[]).expect_status(100).stderr;
    assert!(error.contains("error: cannot build `bad`"), "{error}");
    assert!(
        error.contains("the builder exited with status 3 in phase `check`"),
        "{error}"
    );
    assert!(
        error.contains("line 40") && error.contains("line 16"),
        "{error}"
    );
    assert!(!error.contains("line 15\n"), "more than 25 lines:\n{error}");
    assert!(error.contains("pith log bad"), "{error}");
    let log = env.pith(&["log", "bad"]).expect_success().stdout;
    assert!(
        log.contains("line 1\n") && log.contains("line 40\n"),
        "{log}"
    );
}

#[test]
fn an_endless_builder_is_timed_out() {
    refused(
        "while :; do :; done",
        &["--timeout", "1"],
        "stopped after its time limit of 1 s",
    );
}

#[test]
fn a_flood_of_output_is_cut() {
    refused(
        "yes 'a line of a log that never ends, again and again and again'",
        &[],
        "log",
    );
}

#[test]
fn a_full_disk_quota_is_stopped() {
    refused(
        "mkdir $out; head -c 1G /dev/zero > $out/zeros; sleep 86400",
        &["--max-disk", "8M"],
        "stopped after filling its 8388608 bytes of disk",
    );
}

#[test]
fn memory_above_the_limit_is_not_given() {
    refused(
        "set -o pipefail; head -c 1G /dev/zero | tail -c 1G | wc -c > $out",
        &["--max-memory", "64M"],
        "cannot build `bad`",
    );
}

#[test]
fn a_daemon_that_is_left_running_dies_with_the_build() {
    let env = TestEnv::with_shared_store();
    let script = "(setsid sleep 86417 >/dev/null 2>&1 &)\necho done > $out";
    build(&env, script, &[]).expect_success();
    let running = env.tool("pgrep", &["-f", "sleep 86417"]);
    assert_eq!(running.stdout, "", "the daemon lives");
}

#[test]
fn a_setuid_program_is_refused() {
    refused(
        "cp /usr/bin/true $out; chmod 4755 $out",
        &[],
        "Operation not permitted",
    );
}

#[test]
fn a_device_is_refused() {
    refused("mknod $out c 1 3", &[], "Operation not permitted");
}

#[test]
fn a_fifo_in_an_output_is_refused() {
    refused("mkdir $out; mkfifo $out/pipe", &[], "pipe");
}

#[test]
fn a_socket_in_an_output_is_refused() {
    let listen = "mkdir $out; perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0); \
                  bind($s, sockaddr_un(\"$ENV{out}/listen\")) or die $!'";
    refused(listen, &[], "listen");
}

#[test]
fn an_output_that_is_a_link_to_etc_is_refused() {
    refused("ln -s /etc $out", &[], "/etc");
}

#[test]
fn writing_beside_the_output_is_refused() {
    refused("echo x > $out; echo y > /pith/store/other", &[], "other");
}

#[test]
fn writing_into_an_input_is_refused() {
    refused("echo x > /usr/bin/intruder", &[], "Read-only file system");
}

#[test]
fn a_missing_output_is_named() {
    refused("true", &[], "`out`");
}

#[test]
fn the_network_is_not_there() {
    refused("exec 3<>/dev/tcp/127.0.0.1/80", &[], "Connection refused");
    refused(
        "exec 3<>/dev/tcp/192.0.2.1/80",
        &[],
        "Network is unreachable",
    );
}

#[test]
fn an_undeclared_store_path_is_not_there() {
    let env = TestEnv::with_shared_store();
    let hello = env
        .pith(&["build", "hello", "-q"])
        .expect_success()
        .line()
        .to_owned();
    refused(
        &format!("ls $(echo {} | tr _ /)", hello.replace('/', "_")),
        &[],
        "No such file",
    );
}

#[test]
fn killing_everything_in_sight_only_ends_the_build() {
    refused(
        "kill -9 -1; kill -9 1; kill -9 $PPID; exit 1",
        &[],
        "cannot build `bad`",
    );
}
