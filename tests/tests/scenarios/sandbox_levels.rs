//! Where a container forbids a part of the sandbox, `pith` says which, and a weaker one is used only when asked for by name.

use std::process::Command;

use tests::{Finished, TestEnv, is_root};

/// Builds the project's `app` where a part of `/proc` is hidden, as in most containers.
fn build_in_container(env: &TestEnv, flags: &[&str]) -> Finished {
    let build = env.command(&[&["build", "app", "--json"], flags].concat());
    // Who is root already needs no identity of its own to mount.
    let namespaces: &[&str] = if is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-current-user", "--keep-caps", "--mount"]
    };
    let mut outer = Command::new("unshare");
    outer
        .args(namespaces)
        .args([
            "sh",
            "-ec",
            "mount -t tmpfs none /proc/acpi; exec \"$@\"",
            "sh",
        ])
        .arg(build.get_program())
        .args(build.get_args())
        .current_dir(env.path("project"))
        .env_clear();
    for (name, value) in build.get_envs() {
        if let Some(value) = value {
            outer.env(name, value);
        }
    }
    tests::run(&mut outer)
}

#[test]
fn a_hidden_proc_is_named_and_done_without_only_on_demand() {
    let env = TestEnv::with_shared_store();
    let unique = env.path("project").display().to_string();
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             app = derivation(name = \"app\", seed = base, env = {{\"unique\": {unique:?}}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"ls /proc | wc -l > $out\"])\n"
        ),
    );
    let error = build_in_container(&env, &[]).expect_status(1).stderr;
    assert!(
        error.contains("a fresh `/proc` is refused") && error.contains("--sandbox no-proc"),
        "{error}"
    );
    let built = build_in_container(&env, &["--sandbox", "no-proc"]).expect_success();
    let path = built.json()["outputs"][0]["path"]
        .as_str()
        .expect("a path")
        .to_owned();
    let file = env
        .store()
        .join("store")
        .join(path.rsplit('/').next().expect("a name"));
    assert_eq!(std::fs::read_to_string(file).expect("it is a file"), "0\n");
    let unknown = build_in_container(&env, &["--sandbox", "none"])
        .expect_status(2)
        .stderr;
    assert!(
        unknown.contains("there are `full` and `no-proc`"),
        "{unknown}"
    );
}
