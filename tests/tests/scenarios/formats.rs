//! The same image in every form that is no archive: each runs, and says the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::other_servers::Registry;
use tests::{Finished, PodmanTurn, TestEnv, is_full, is_root, run};

/// An image that can be well, of a small package.
const CHECKED: &str = r#"
image(
    name = "pith-test-checked",
    packages = [package("hello")],
    health_check = {"command": ["/bin/hello", "--version"], "interval": 30, "timeout": 5, "retries": 3},
    ports = [8080],
    volumes = ["/var/lib/hello"],
)
"#;

/// Everything below a directory: type, mode, time, and the target or the size.
fn listing(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("it is a directory") {
            let path = entry.expect("it is a directory").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let contents = if metadata.is_symlink() {
                let target = fs::read_link(&path).expect("it is a link");
                target.into_os_string().into_encoded_bytes()
            } else if metadata.is_dir() {
                pending.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).expect("it can be read")
            };
            let time = if metadata.is_symlink() {
                1
            } else {
                metadata.mtime()
            };
            let inner = path.strip_prefix(root).expect("it is below").to_owned();
            found.insert(inner, (metadata.mode(), time, contents));
        }
    }
    found
}

/// Removes trees with directories that cannot be written to.
fn make_removable(env: &TestEnv, name: &str) {
    env.tool("chmod", &["-R", "u+w", name]).expect_success();
}

#[test]
fn podman_takes_images_without_a_file_and_keeps_health_checks_of_dockers_manifests() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", CHECKED);
    let name = "pith-test-checked";
    let check = |manifest_type: &str| {
        let arguments = [name, "--json", "--manifest-type", manifest_type];
        let mut command = env.pack_into_podman(&arguments);
        let _turn = PodmanTurn::take();
        let report = run(&mut command).expect_success().json();
        assert_eq!(report["loaded"][0]["engine"], "podman");
        assert_eq!(report["output"], serde_json::Value::Null);
        let inspected = env.podman(&["image", "inspect", name]).expect_success();
        let said = env.podman_run(&["--network=none", name]).expect_success();
        assert_eq!(said.stdout, "Hello, world!\n");
        env.remove_image(name);
        inspected.json()[0].clone()
    };
    let docker = check("docker");
    let test = &docker["Healthcheck"]["Test"];
    assert_eq!(*test, serde_json::json!(["CMD", "/bin/hello", "--version"]));
    assert_eq!(docker["Healthcheck"]["Interval"], 30_000_000_000_u64);
    assert_eq!(check("oci")["Healthcheck"], serde_json::Value::Null);
    assert_eq!(
        fs::read_dir(env.path("project"))
            .expect("it is ours")
            .count(),
        1
    );
}

#[test]
fn dockers_manifests_go_to_registries_and_come_back_with_health_checks() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", CHECKED);
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/checked:1", registry.address);
    let push = |manifest_type: &str| {
        let arguments = ["pack", "pith-test-checked", "--json", "--push", &reference];
        let said = env.pith(&[&arguments[..], &["--manifest-type", manifest_type]].concat());
        said.expect_success().json()["pushed"][0].clone()
    };
    assert_eq!(push("docker")["unchanged"], false);
    let again = push("docker");
    assert_eq!(again["unchanged"], true);
    let place = format!("docker://{reference}");
    let inspect = ["inspect", "--raw", "--tls-verify=false", &place];
    let raw = env.tool("skopeo", &inspect).expect_success().json();
    assert_eq!(
        raw["mediaType"],
        "application/vnd.docker.distribution.manifest.v2+json"
    );

    let _turn = PodmanTurn::take();
    let pull = ["pull", "-q", "--tls-verify=false", &reference];
    env.podman(&pull).expect_success();
    let inspected = env
        .podman(&["image", "inspect", &reference])
        .expect_success();
    let inspected = &inspected.json()[0];
    assert_eq!(inspected["Healthcheck"]["Test"][1], "/bin/hello");
    assert_eq!(inspected["Digest"], again["manifest_digest"]);
    env.remove_image(&reference);
    // In the other words it is another image of the same layers.
    let other = push("oci");
    assert_eq!(other["unchanged"], false);
    assert_eq!(other["sent_blobs"], 0, "{other}");
}

#[test]
fn an_engine_that_is_missing_or_fails_is_an_error_with_its_last_line() {
    let env = TestEnv::with_shared_store();
    let load = |path: &Path| {
        let mut command = env.command(&["pack", "hello", "-q", "--load", "docker"]);
        command.env("PATH", path);
        run(&mut command).expect_status(1).stderr
    };
    let bin = env.path("bin");
    let missing = load(&bin);
    assert!(
        missing.starts_with("error: cannot start `docker`\n"),
        "{missing}"
    );
    // It reads nothing, and says why.
    let script = "#!/bin/sh\necho first >&2\necho 'no daemon here' >&2\nexit 3\n";
    env.write_script("bin/docker", script);
    assert_eq!(load(&bin), "error: `docker load` failed: no daemon here\n");
}

#[test]
fn a_squashfs_is_the_tree_for_its_tools_and_for_linux() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "jq", "-q", "-f", "dir", "-o", "../tree"])
        .expect_success();
    let expected = listing(&env.path("tree"));
    for compression in ["gzip", "zstd", "none"] {
        let file = format!("../{compression}.squashfs");
        env.pith(&[
            "pack",
            "jq",
            "-q",
            "-f",
            "squashfs",
            "--compression",
            compression,
            "-o",
            &file,
        ])
        .expect_success();
        let file = format!("{compression}.squashfs");
        env.tool("unsquashfs", &["-q", "-n", "-d", compression, &file])
            .expect_success();
        assert!(listing(&env.path(compression)) == expected, "{compression}");
        make_removable(&env, compression);
        if is_root() {
            fs::create_dir(env.path("mounted")).expect("it is ours");
            env.tool("mount", &["-o", "loop,ro", &file, "mounted"])
                .expect_success();
            let found = listing(&env.path("mounted"));
            let owners = fs::metadata(env.path("mounted/bin")).map(|one| (one.uid(), one.gid()));
            env.tool("umount", &["mounted"]).expect_success();
            fs::remove_dir(env.path("mounted")).expect("nothing is mounted there");
            assert!(found == expected, "{compression}");
            assert_eq!(owners.expect("it was there"), (0, 0));
        }
    }
    make_removable(&env, "tree");
}

/// The file that runs `target`, once it is made.
fn self_extracting(env: &TestEnv, target: &str) -> PathBuf {
    let name = format!("{target}.run");
    env.pith(&["pack", target, "-q", "-f", "run"])
        .expect_success();
    env.path("project").join(name)
}

/// What becomes of a self-extracting file with these arguments.
fn start(env: &TestEnv, file: &Path, mode: &str, arguments: &[&str]) -> Finished {
    let mut command = env.program(file);
    command.args(arguments).env_remove("PITH_ROOT");
    if !mode.is_empty() {
        command.env("PITH_RUN_MODE", mode);
    }
    run(&mut command)
}

#[test]
fn a_self_extracting_file_runs_in_both_ways() {
    let env = TestEnv::with_shared_store();
    let hello = self_extracting(&env, "hello");
    let jq = self_extracting(&env, "jq");
    env.write("project/numbers.json", "[1, 2, 39]\n");
    for mode in ["", "namespace", "loader"] {
        let said = start(&env, &hello, mode, &["--greeting", "it's \"here\""]).expect_success();
        assert_eq!(said.stdout, "it's \"here\"\n", "{mode}");
        // The caller's files are where they were, and the status is the program's.
        let said = start(&env, &jq, mode, &["add", "numbers.json"]).expect_success();
        assert_eq!(said.stdout, "42\n", "{mode}");
        start(&env, &jq, mode, &["-e", "false", "numbers.json"]).expect_status(1);
    }
    let unpacked = fs::read_dir(env.path("home/.cache/pith-run")).expect("it was unpacked");
    let mut names: Vec<String> = unpacked
        .map(|entry| {
            entry
                .expect("it can be listed")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort_by_key(String::len);
    assert_eq!(
        names.iter().map(String::len).collect::<Vec<_>>(),
        [5, 64, 64],
        "{names:?}"
    );
}

#[test]
fn a_self_extracting_file_has_the_images_arguments_and_variables() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"
image(
    name = "quoted",
    packages = [package("jq")],
    entrypoint = ["/bin/jq", "-nMc", "--arg", "q"],
    cmd = ["it's $HOME", "[$q, env.A]"],
    env = {"A": "'\"`$(echo no)\\"},
    files = {"/etc/words": "one two\n"},
)
"#,
    );
    let file = self_extracting(&env, "quoted");
    for mode in ["namespace", "loader"] {
        let said = start(&env, &file, mode, &[]).expect_success();
        assert_eq!(
            said.stdout, "[\"it's $HOME\",\"'\\\"`$(echo no)\\\\\"]\n",
            "{mode}"
        );
        let said = start(&env, &file, mode, &["own", "$q"]).expect_success();
        assert_eq!(said.stdout, "\"own\"\n", "{mode}");
    }
    // The image's own files are there where they can be.
    let arguments = ["x", "$words", "--rawfile", "words", "/etc/words"];
    let said = start(&env, &file, "namespace", &arguments).expect_success();
    assert_eq!(said.stdout, "\"one two\\n\"\n");
    start(&env, &file, "loader", &arguments).expect_status(2);
}

#[test]
fn an_ordinary_user_runs_a_self_extracting_file() {
    if !is_root() {
        // Everything else is tested by one.
        return;
    }
    let env = TestEnv::with_shared_store();
    let hello = self_extracting(&env, "hello");
    let env = env.as_user(12345);
    for mode in ["namespace", "loader"] {
        let said = start(&env, &hello, mode, &[]).expect_success();
        assert_eq!(said.stdout, "Hello, world!\n", "{mode}");
    }
}

#[test]
fn a_self_extracting_file_runs_where_namespaces_are_forbidden() {
    let env = TestEnv::with_shared_store();
    let hello = self_extracting(&env, "hello");
    let forbid = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all --ambient-caps=-all \"$@\"";
    let start = |mode: &str| {
        let mut command = env.program(Path::new("unshare"));
        command
            .args([
                "--user",
                "--map-current-user",
                "--keep-caps",
                "sh",
                "-c",
                forbid,
                "sh",
            ])
            .arg(&hello)
            .env("PITH_RUN_MODE", mode);
        run(&mut command)
    };
    let said = start("").expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    let reason = "hello: this machine allows no mount namespace, so /pith/store is not there";
    assert!(said.stderr.starts_with(reason), "{}", said.stderr);
    assert_eq!(said.stderr.lines().count(), 1);
    assert_eq!(start("loader").expect_success().stderr, "");
    let refused = start("namespace").expect_status(126);
    assert!(
        refused.stderr.contains("allows no mount namespace"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_damaged_self_extracting_file_runs_nothing_and_leaves_nothing() {
    let env = TestEnv::with_shared_store();
    let hello = self_extracting(&env, "hello");
    let mut bytes = fs::read(&hello).expect("it was written");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&hello, &bytes).expect("it is ours");
    let refused = start(&env, &hello, "", &[]).expect_status(126);
    assert_eq!(
        refused.stderr,
        "hello: this file is damaged: it has not the digest that it should have\n"
    );
    let left = fs::read_dir(env.path("home/.cache/pith-run")).expect("it was made");
    assert_eq!(left.count(), 0);
}

/// What a machine says on its console that boots into this initramfs, on an emulated processor.
fn boot(kernel: &Path, initramfs: &Path) -> String {
    let mut machine = Command::new("qemu-system-x86_64");
    machine
        .args([
            "-accel",
            "tcg",
            "-m",
            "512",
            "-no-reboot",
            "-nographic",
            "-nic",
            "none",
        ])
        .args(["-append", "console=ttyS0 panic=-1", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null());
    run(&mut machine).expect_success().stdout
}

#[test]
fn a_kernel_boots_into_the_program_and_is_switched_off_with_it() {
    if !is_full() {
        return;
    }
    let kernel = std::env::var_os("PITH_TEST_KERNEL").expect("tests/run gets a kernel");
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"
image(name = "counted", packages = [package("jq")], entrypoint = ["/bin/jq", "-Mnc", "[env.PWD, env.GREETING, 6 * 7]"],
    env = {"GREETING": "it's here", "PWD": "/tmp"}, workdir = "/tmp")
"#,
    );
    for (target, compression, expected) in [
        ("hello", "gzip", "Hello, world!"),
        ("hello", "zstd", "Hello, world!"),
        ("counted", "none", "[\"/tmp\",\"it's here\",42]"),
    ] {
        env.pith(&[
            "pack",
            target,
            "-q",
            "-f",
            "initramfs",
            "--compression",
            compression,
        ])
        .expect_success();
        let file = env.path("project").join(format!("{target}.initramfs"));
        let said = boot(Path::new(&kernel), &file);
        let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
        assert!(lines.contains(&expected), "{target} {compression}\n{said}");
        assert!(said.contains("reboot: Power down"), "{said}");
        assert!(!said.contains("Unknown parameter"), "{said}");
    }
}

#[test]
fn a_budget_is_kept_before_anything_is_written() {
    let env = TestEnv::with_shared_store();
    let refused = env
        .pith(&["pack", "hello", "-q", "--budget", "1K"])
        .expect_status(3)
        .stderr;
    assert!(
        refused.contains(" is more than the budget of 1.0 kB\nthe largest:\n"),
        "{refused}"
    );
    assert!(refused.contains("-glibc-"), "{refused}");
    assert_eq!(
        fs::read_dir(env.path("project"))
            .expect("it is ours")
            .count(),
        0
    );
    env.pith(&[
        "pack",
        "hello",
        "-q",
        "--budget",
        "1G",
        "--sbom",
        "bill.json",
    ])
    .expect_success();
    let bill = fs::read(env.path("project/bill.json")).expect("it was written");
    let bill: serde_json::Value = serde_json::from_slice(&bill).expect("it is JSON");
    assert_eq!(bill["spdxVersion"], "SPDX-2.3");
}

#[test]
fn the_time_of_an_image_is_an_input() {
    let env = TestEnv::with_shared_store();
    let digest = |epoch: &str, flags: &[&str]| {
        let mut command = env.command(&[&["pack", "hello", "--json"], flags].concat());
        command.env("SOURCE_DATE_EPOCH", epoch);
        run(&mut command)
    };
    let manifest = |epoch: &str, flags: &[&str]| {
        digest(epoch, flags).expect_success().json()["manifest"].clone()
    };
    let plain = manifest("", &[]);
    assert_eq!(manifest("1", &[]), plain);
    let later = manifest("1700000000", &[]);
    assert_ne!(later, plain);
    assert_eq!(manifest("", &["--created", "2023-11-14T22:13:20Z"]), later);
    assert_eq!(manifest("1700000000", &["--created", "1"]), plain);
    assert_eq!(
        digest("2023-11-14T22:13:20Z", &[]).expect_status(2).stderr,
        "error: `SOURCE_DATE_EPOCH` is not a number of seconds\n  \
         caused by: `2023-11-14T22:13:20Z` is not a time; write it as `2026-11-22T10:00:00Z` or in whole seconds since 1970\n"
    );
    digest("", &["--created", "yesterday"]).expect_status(2);
}

#[test]
fn deployment_documents_are_read_by_others() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", CHECKED);
    let emit = |kind: &str| {
        env.pith(&["pack", "pith-test-checked", "-q", "--emit", kind])
            .expect_success()
            .stdout
    };
    let parse = |kind: &str| {
        env.write("document.yaml", &emit(kind));
        let program = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";
        env.tool("python3", &["-c", program, "document.yaml"])
            .expect_success()
            .json()
    };
    let compose = parse("compose");
    let service = &compose[0]["services"]["pith-test-checked"];
    let packed = env.pith(&["pack", "pith-test-checked", "--json"]);
    let digest = packed.expect_success().json()["manifest"].clone();
    let pinned = format!(
        "docker.io/library/pith-test-checked@{}",
        digest.as_str().expect("a digest")
    );
    assert_eq!(service["image"], pinned);
    assert_eq!(service["user"], "65532:65532");
    assert_eq!(service["read_only"], true);
    assert_eq!(service["ports"], serde_json::json!(["8080:8080/tcp"]));
    let kubernetes = parse("k8s");
    let kinds: Vec<_> = kubernetes
        .as_array()
        .expect("documents")
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert_eq!(kinds, ["PersistentVolumeClaim", "Deployment", "Service"]);
    let pod = &kubernetes[1]["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    let probe = &pod["containers"][0]["livenessProbe"];
    assert_eq!(
        probe["exec"]["command"],
        serde_json::json!(["/bin/hello", "--version"])
    );
    assert_eq!(probe["periodSeconds"], 30);

    env.write("pith-test-checked.service", &emit("systemd"));
    let verified = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(env.path("pith-test-checked.service")));
    let about_it: Vec<&str> = (verified.stderr.lines())
        .filter(|line| line.contains("pith-test-checked"))
        .collect();
    assert!(about_it.is_empty(), "{about_it:?}");
    verified.expect_success();
}
