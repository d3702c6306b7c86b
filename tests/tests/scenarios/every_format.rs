//! One image in every format, and the same answer from each: nginx of the collection, and python of Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::{PodmanTurn, TestEnv, is_full, run};

/// A server that says what it would serve.
const NGINX_IMAGE: &str = r#"
image(
    name = "pith-test-nginx",
    packages = [package("nginx")],
    entrypoint = ["/bin/nginx", "-T", "-q", "-e", "stderr", "-c", "/etc/nginx.conf"],
    files = {"/etc/nginx.conf": "pid /tmp/nginx.pid;\nevents { }\nhttp { access_log off; server { listen 8080; return 200 'of the image'; } }\n"},
)
"#;
/// A program that looks for its own library wherever it is.
const PYTHON_IMAGE: &str = r#"
image(
    name = "pith-test-python",
    packages = [debian(["python3-minimal"])],
    entrypoint = ["/usr/bin/python3"],
)
"#;
const NGINX: &str = "pith-test-nginx";
const PYTHON: &str = "pith-test-python";
const SCRIPT: &str = "import encodings.idna, sys; print(6 * 7, sys.version_info[0])";

/// Packs `target` in a format and returns where that is.
fn pack(env: &TestEnv, target: &str, format: &str) -> PathBuf {
    let output = format!("../{format}");
    let arguments = ["pack", target, "-q", "-n", "pith-test-each", "-f", format];
    env.pith(&[&arguments[..], &["-o", &output]].concat())
        .expect_success();
    env.path(format)
}

/// What a program says whose root is a directory, as the user that images name, whoever runs the test.
fn in_root(root: &Path, program: &[&str]) -> String {
    let mut command = Command::new("unshare");
    let user = ["--map-user=65532", "--map-group=65532", "--root"];
    command.args(user).arg(root);
    command.args(program).env_clear().env("PATH", "/bin");
    let said = run(command.stdin(Stdio::null())).expect_success();
    said.stdout
}

/// What the image says in every format that runs without a machine of its own: the format, and the answer.
fn answers(
    env: &TestEnv,
    target: &str,
    program: &[&str],
    further: &[&str],
) -> Vec<(String, String)> {
    let whole = [program, further].concat();
    let mut answers = Vec::new();
    let mut note = |format: &str, answer: String| answers.push((format.to_owned(), answer));

    let tree = pack(env, target, "dir");
    note("dir", in_root(&tree, &whole));
    let archive = pack(env, target, "tar");
    let unpacked = env.path("unpacked");
    fs::create_dir(&unpacked).expect("the place is ours");
    let unpack = [
        "--extract",
        "--file",
        utf8(&archive),
        "--directory",
        utf8(&unpacked),
    ];
    env.tool("tar", &unpack).expect_success();
    note("tar", in_root(&unpacked, &whole));
    let squashfs = pack(env, target, "squashfs");
    let unsquash = ["-q", "-n", "-d", "unsquashed", utf8(&squashfs)];
    env.tool("unsquashfs", &unsquash).expect_success();
    note("squashfs", in_root(&env.path("unsquashed"), &whole));

    let file = pack(env, target, "run");
    for mode in ["namespace", "loader"] {
        let mut command = env.program(&file);
        command.args(further).env("PITH_RUN_MODE", mode);
        note(mode, run(&mut command).expect_success().stdout);
    }

    let _turn = PodmanTurn::take();
    let archive = pack(env, target, "archive");
    pack(env, target, "oci");
    // Podman makes a name of a layout's path, which must have no capitals, so the path is one from here.
    for (format, get) in [
        ("archive", ["load", "-q", "-i", utf8(&archive)].as_slice()),
        ("oci", &["pull", "-q", "oci:oci"]),
    ] {
        let loaded = env.podman(get).expect_success();
        let image = loaded.line().trim_start_matches("Loaded image: ");
        let options = ["--network=none", "--read-only", image];
        let said = env.podman_run(&[&options[..], further].concat());
        note(format, said.expect_success().stdout);
        env.remove_image(image);
    }
    for name in ["dir", "unpacked", "unsquashed"] {
        env.tool("chmod", &["-R", "u+w", name]).expect_success();
    }
    answers
}

/// What the bundle of an image says under each runtime that this machine lets run.
fn bundles(env: &TestEnv, target: &str) -> Vec<(String, String)> {
    let bundle = pack(env, target, "bundle");
    let mut runtimes = vec![vec!["runc"]];
    // crun refuses a machine that has both versions of cgroups, whatever it is to run.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        runtimes.push(vec!["crun", "--cgroup-manager", "disabled"]);
    }
    let state = env.path("state").display().to_string();
    let mut answers = Vec::new();
    for runtime in runtimes {
        let (program, options) = runtime.split_first().expect("it has a name");
        let mut command = Command::new(program);
        command
            .args(options)
            .args(["--root", &state, "run"])
            .arg(format!("pith-each-{}", std::process::id()))
            .current_dir(&bundle)
            .env("XDG_RUNTIME_DIR", env.path("home"))
            .stdin(Stdio::null());
        let said = run(&mut command).expect_success();
        answers.push(((*program).to_owned(), said.stdout));
    }
    answers
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn nginx_reads_its_configuration_in_every_format() {
    let env = TestEnv::with_shared_store();
    // One of the formats has the machine's /tmp, where other users run this too.
    let own = format!("/tmp/pith-test-nginx-{}.pid", std::process::id());
    // In the bundle of an ordinary user it is root, and there is nobody else to give its directories to.
    let image = NGINX_IMAGE.replace("pid /tmp/nginx.pid;", &format!("user root;\\npid {own};"));
    env.write("project/pith.star", &image);
    let program = [
        "/bin/nginx",
        "-T",
        "-q",
        "-e",
        "stderr",
        "-c",
        "/etc/nginx.conf",
    ];
    let mut answers = answers(&env, NGINX, &program, &[]);
    answers.extend(bundles(&env, NGINX));
    fs::remove_file(own).expect("nginx has left it there");
    assert!(answers.len() >= 8, "{answers:?}");
    for (format, answer) in answers {
        assert!(
            answer.contains("return 200 'of the image'"),
            "{format}: {answer}"
        );
    }
}

#[test]
fn python_finds_its_library_in_every_format() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", PYTHON_IMAGE);
    env.pith(&["debian", "lock", "python3-minimal"])
        .expect_success();
    let program = ["/usr/bin/python3"];
    let answers = answers(&env, PYTHON, &program, &["-c", SCRIPT]);
    assert_eq!(answers.len(), 7);
    for (format, answer) in answers {
        assert_eq!(answer, "42 3\n", "{format}");
    }
}

#[test]
fn a_machine_boots_into_nginx() {
    if !is_full() {
        return;
    }
    let kernel = std::env::var_os("PITH_TEST_KERNEL").expect("tests/run gets a kernel");
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", NGINX_IMAGE);
    let initramfs = pack(&env, NGINX, "initramfs");
    let mut machine = Command::new("qemu-system-x86_64");
    machine
        .args(["-accel", "tcg", "-m", "512", "-no-reboot", "-nographic"])
        .args(["-nic", "none", "-append", "console=ttyS0 panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null());
    let said = run(&mut machine).expect_success().stdout;
    assert!(said.contains("return 200 'of the image'"), "{said}");
}
