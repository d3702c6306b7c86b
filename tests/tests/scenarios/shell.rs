//! Shells with the programs of targets: in a namespace, on the machine as it is, and where a build failed.

use tests::TestEnv;

const SCRIPT: [&str; 3] = ["--", "bash", "-c"];

fn shell(env: &TestEnv, arguments: &[&str], script: &str) -> tests::Finished {
    let before: Vec<&str> = ["shell", "-q"].iter().chain(arguments).copied().collect();
    env.pith(&[&before[..], &SCRIPT, &[script]].concat())
}

#[test]
fn a_shell_has_the_programs_and_the_working_directory_and_no_more() {
    let env = TestEnv::with_shared_store();
    env.write("project/input", "[1, 2]");
    let said = shell(
        &env,
        &["jq", "bash"],
        "jq -c 'map(. + 1)' input; echo > /tmp/x && echo made > output; echo /usr* /home*; exit 7",
    )
    .expect_status(7);
    assert_eq!(said.stdout, "[2,3]\n/usr* /home*\n", "{}", said.stderr);
    let made = std::fs::read_to_string(env.path("project/output"));
    assert_eq!(made.ok().as_deref(), Some("made\n"));
    env.pith(&["shell", "jq", "-q", "--", "jq", "-n", "1 + 1"])
        .expect_success();
    let none = env
        .pith(&["shell", "jq", "-q", "--", "bash"])
        .expect_status(1);
    assert!(
        none.stderr.contains("cannot execute `bash`"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_shell_tells_compilers_where_things_are() {
    let env = TestEnv::with_shared_store();
    let script = "test -f $C_INCLUDE_PATH/zlib.h && test -f $PKG_CONFIG_PATH/zlib.pc";
    shell(&env, &["bash", "zlib^dev"], script).expect_success();
    let script = "test -x /usr/bin/gcc && cd /tmp && echo 'int main(void) { return 0; }' > x.c && gcc x.c && ./a.out";
    shell(&env, &["--inputs", "jq"], script).expect_success();
}

#[test]
fn a_shell_on_the_host_adds_to_what_is_there() {
    let env = TestEnv::with_shared_store();
    let said = shell(
        &env,
        &["--host", "jq"],
        "jq -n 2+3; test -d /usr && cd .. && test -d project; exit 4",
    );
    assert_eq!(said.expect_status(4).stdout, "5\n");
    let none = env
        .pith(&["shell", "--host", "jq", "--", "no-such-program"])
        .expect_status(127);
    assert_eq!(
        none.stderr,
        "error: there is no program `no-such-program` on PATH\n"
    );
}

#[test]
fn a_failed_build_can_be_entered() {
    let env = TestEnv::with_seed();
    let recipe = |name: &str| {
        format!(
            "{name} = derivation(name = \"{name}\", seed = base, env = {{\"WORD\": \"of {name}\"}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"echo left > file; mkdir $out; exit 3\"])\n"
        )
    };
    let load = "load(\"//seed/recipe.star\", \"base\")\n";
    env.write(
        "project/pith.star",
        &[load, &recipe("one"), &recipe("two")].concat(),
    );
    let nothing = env.pith(&["shell", "--failed"]).expect_status(1);
    assert!(
        nothing
            .stderr
            .starts_with("error: no failed build was kept\nhint: ")
    );
    for name in ["one", "two"] {
        env.pith(&["build", name, "--keep-failed", "-q"])
            .expect_status(100);
    }
    let look = "echo $WORD $PWD; cat file; test -d $out && test -x /usr/bin/gcc; echo more >> file";
    let said = shell(&env, &["--failed"], look).expect_success();
    assert_eq!(said.stdout, "of two /build\nleft\n");
    let said = shell(&env, &["--failed", "one"], look).expect_success();
    assert_eq!(said.stdout, "of one /build\nleft\n");
    let said = shell(&env, &["--failed", "one"], "cat file").expect_success();
    assert_eq!(said.stdout, "left\nmore\n");
}
