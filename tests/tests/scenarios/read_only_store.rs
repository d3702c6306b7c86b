//! A store that cannot be written, and one that is too new: what still works, and what is said of the rest.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use tests::{Finished, TestEnv, run};

/// Runs `pith` where the store is mounted read-only.
fn read_only(env: &TestEnv, arguments: &[&str]) -> Finished {
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
    let store = env.store().to_str().expect("paths of tests are UTF-8");
    let unshare = ["unshare", "--user", "--map-root-user", "--mount"];
    let script = ["sh", "-c", script, store];
    run(&mut env.command_under(&[&unshare[..], &script].concat(), arguments))
}

#[test]
fn a_read_only_store_serves_what_is_in_it() {
    let env = TestEnv::with_shared_store();
    let path = env.pith(&["build", "-q", "jq"]).expect_success();
    let path = path.line();
    // What a target is, is asked of the store as well.
    for target in ["jq", path] {
        let said = read_only(&env, &["run", "-q", target, "--", "-n", "1 + 1"]).expect_success();
        assert_eq!(said.stdout, "2\n");
        let built = read_only(&env, &["build", "-q", target]).expect_success();
        assert_eq!(built.line(), path);
        for arguments in [
            ["why", target, "glibc"].as_slice(),
            &["tree", target],
            &["size", target],
            &["store", "path-info", target],
        ] {
            let said = read_only(&env, arguments).expect_success();
            assert_eq!(said, env.pith(arguments), "{arguments:?}");
        }
        let (one, other) = (env.path("one.tar"), env.path("other.tar"));
        let (one, other) = (one.to_str().expect("UTF-8"), other.to_str().expect("UTF-8"));
        read_only(&env, &["pack", target, "-q", "-o", one]).expect_success();
        env.pith(&["pack", target, "-q", "-o", other])
            .expect_success();
        assert!(fs::read(one).expect("it was packed") == fs::read(other).expect("it was packed"));
    }
    let info = read_only(&env, &["store", "info", "--json"])
        .expect_success()
        .json();
    assert_eq!(info["root"], env.store().to_str().expect("UTF-8"));
}

#[test]
fn what_would_write_to_a_read_only_store_says_so_once() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "-q", "jq"]).expect_success();
    env.write(
        "project/pith.star",
        "load(\"//seed/recipe.star\", \"base\")\n\
         new = derivation(name = \"new\", seed = base, builder = [\"/usr/bin/bash\", \"-c\", \"echo new >$out\"])\n",
    );
    let store = env.store().display();
    let reason = format!(
        "the store `{store}` is read-only: `{store}/var/db.sqlite` lies on a file system that is mounted read-only\n\
         hint: `--store DIR` uses another store\n"
    );
    let built = read_only(&env, &["build", "-q", "new"]).expect_status(1);
    let expected =
        format!("error: cannot make `new`, which is not in the store\n  caused by: {reason}");
    assert_eq!((built.stdout.as_str(), built.stderr), ("", expected));
    let link = read_only(&env, &["build", "-q", "jq", "-o", "result"]).expect_status(1);
    assert_eq!(link.stderr, format!("error: {reason}"));
    assert!(!env.path("project/result").exists());
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let env = TestEnv::new();
    env.pith(&["store", "info"]).expect_success();
    let database = env.store().join("var/db.sqlite");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&database)
        .expect("the store is ours");
    // SQLite's `user_version`, see "The Database Header" of its file format.
    let mut known = [0; 4];
    file.read_exact_at(&mut known, 60)
        .expect("the store is ours");
    let known = u32::from_be_bytes(known);
    file.write_all_at(&99u32.to_be_bytes(), 60)
        .expect("the store is ours");
    let before = fs::read(&database).expect("the store is ours");
    for arguments in [["store", "info"], ["build", "hello"]] {
        let refused = env.pith(&arguments).expect_status(1);
        let expected = format!(
            "error: the database `{}` has format 99, but this program knows formats up to {known} only\n\
             hint: a newer pith has used this store; use that one, or another store with `--store DIR`\n",
            database.display()
        );
        assert_eq!((refused.stdout.as_str(), refused.stderr), ("", expected));
    }
    assert!(fs::read(&database).expect("the store is ours") == before);
}
