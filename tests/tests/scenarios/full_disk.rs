//! A disk without any room: what only reads goes on, what writes says how to make room, and that can be done. An image that has no room is not there at all.

use tests::{Finished, TestEnv, is_root, run};

/// Makes the file system that `$1` mounts at the store, makes a store in it, fills it to the last byte, and runs the rest of the arguments.
const SCRIPT: &str = r#"
set -e
store=$0 mount=$1 pith=$2
shift
sh -c "$mount" "$store"
"$pith" store gc -q >/dev/null
for size in 1M 1k; do
    dd if=/dev/zero bs="$size" of="$store/filler.$size" 2>/dev/null && exit 99
done
exec "$@"
"#;

/// Runs `pith` with a store on a full disk.
fn on_full_disk(env: &TestEnv, unshare: &[&str], mount: &str, arguments: &[&str]) -> Finished {
    std::fs::create_dir_all(env.store()).expect("the place is ours");
    let store = env.store().to_str().expect("temporary paths are UTF-8");
    let script = ["sh", "-c", SCRIPT, store, mount];
    run(&mut env.command_under(&[&["unshare"], unshare, &script].concat(), arguments))
}

/// Holds `pith` on a full disk to what it promises.
fn survives(unshare: &[&str], mount: &str) {
    let env = TestEnv::new();
    let info = on_full_disk(&env, unshare, mount, &["store", "info", "--json"]);
    assert_eq!(info.expect_success().json()["objects"], 0);
    let build = on_full_disk(&env, unshare, mount, &["build", "-q", "hello"]).expect_status(1);
    let (first, rest) = build.stderr.split_once('\n').unwrap_or_default();
    assert!(
        first.starts_with("error: cannot make `")
            && first.ends_with("`, which is not in the store"),
        "{first}"
    );
    let expected = format!(
        "  caused by: the store `{}` is read-only: its file system is full\n\
         hint: `pith store gc` deletes what nothing needs\n",
        env.store().display()
    );
    assert_eq!(rest, expected);
    on_full_disk(&env, unshare, mount, &["store", "gc"]).expect_success();
}

#[test]
fn a_full_file_system_in_memory_is_read_and_its_store_names_the_way_out() {
    survives(
        &["--user", "--map-root-user", "--mount"],
        r#"mount -t tmpfs -o size=256m none "$0""#,
    );
}

#[test]
fn a_full_ext4_is_read_and_its_store_names_the_way_out() {
    // Only root can mount one; the file system in memory stands for it elsewhere.
    if !is_root() {
        return;
    }
    survives(
        &["--mount"],
        r#"truncate -s 256M "$0.image" && mkfs.ext4 -q "$0.image" && mount -o loop "$0.image" "$0""#,
    );
}

/// Mounts a file system of one megabyte at `out`, runs the arguments, and lists what is there then.
const IN_A_MEGABYTE: &str = r#"
mount -t tmpfs -o size=1m none out
status=0
"$@" || status=$?
ls -A out
exit $status
"#;

#[test]
fn an_image_that_has_no_room_is_one_error_and_leaves_nothing() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "hello", "-q"]).expect_success();
    std::fs::create_dir(env.path("project/out")).expect("the place is ours");
    for format in [
        "archive",
        "oci",
        "tar",
        "dir",
        "bundle",
        "squashfs",
        "run",
        "initramfs",
    ] {
        let script = ["sh", "-c", IN_A_MEGABYTE, "sh"];
        let outer = [
            &["unshare", "--user", "--map-root-user", "--mount"],
            &script[..],
        ]
        .concat();
        let pack = ["pack", "hello", "-q", "-f", format, "-o", "out/hello"];
        let refused = run(&mut env.command_under(&outer, &pack)).expect_status(1);
        assert_eq!(refused.stdout, "", "{format}");
        let (first, rest) = refused.stderr.split_once('\n').unwrap_or_default();
        assert!(
            first.starts_with("error: no space is left for `")
                && first.ends_with("`; nothing was changed"),
            "{format}: {first}"
        );
        let cause = "  caused by: No space left on device (os error 28)\n";
        assert_eq!(rest, cause, "{format}");
    }
}
