//! The images run under real engines and are read by real tools.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::{PodmanTurn, TestEnv, run};

#[test]
fn hello_runs_in_podman() {
    let env = TestEnv::with_shared_store();
    let _turn = PodmanTurn::take();
    env.pack_and_load(&["hello", "-f", "docker-archive"]);
    let said = env
        .podman_run(&["--network=none", "hello"])
        .expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    env.remove_image("hello");
}

#[test]
fn jq_and_sqlite_run_in_podman() {
    let env = TestEnv::with_shared_store();
    let _turn = PodmanTurn::take();
    env.pack_and_load(&["jq", "-f", "archive"]);
    let said = env
        .podman_run(&["--network=none", "jq", "-n", "[1, 2] | add"])
        .expect_success();
    assert_eq!(said.stdout, "3\n");
    env.remove_image("jq");
    env.pack_and_load(&["sqlite", "-f", "oci-archive"]);
    let said = env
        .podman_run(&["--network=none", "sqlite", ":memory:", "select 6 * 7;"])
        .expect_success();
    assert_eq!(said.stdout, "42\n");
    env.remove_image("sqlite");
}

#[test]
fn other_tools_read_the_archive_and_the_layout() {
    let env = TestEnv::with_shared_store();
    let path = |name: &str| {
        env.path(name)
            .to_str()
            .expect("temporary paths are UTF-8")
            .to_owned()
    };
    let (archive, layout, copy, bundle) = (
        path("hello.tar"),
        path("layout"),
        path("copy"),
        path("bundle"),
    );
    env.pith(&["pack", "hello", "-q", "-f", "oci-archive", "-o", &archive])
        .expect_success();
    env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", &layout])
        .expect_success();

    // What an image must be signed with is not the question here.
    let copied = [
        "--insecure-policy",
        "copy",
        &format!("oci-archive:{archive}"),
        &format!("dir:{copy}"),
    ];
    env.tool("skopeo", &copied).expect_success();
    let inspected = env
        .tool("skopeo", &["inspect", &format!("docker-archive:{archive}")])
        .expect_success();
    assert_eq!(inspected.json()["Os"], "linux");

    let mut unpack = vec!["unpack"];
    if !tests::is_root() {
        unpack.push("--rootless");
    }
    let image = format!("{layout}:latest");
    unpack.extend(["--image", &image, &bundle]);
    env.tool("umoci", &unpack).expect_success();
    let program = Path::new(&bundle).join("rootfs/bin/hello");
    assert!(
        program
            .symlink_metadata()
            .expect("the program is linked")
            .is_symlink()
    );

    let validate = [
        "validate",
        "--type",
        "image",
        "--ref",
        "name=latest",
        &layout,
    ];
    env.tool("oci-image-tool", &validate).expect_success();
}

#[test]
fn a_bundle_is_started_by_runtimes() {
    let env = TestEnv::with_shared_store();
    let pack = || {
        env.pith(&[
            "pack", "hello", "-q", "--json", "-f", "bundle", "-o", "bundle",
        ])
        .expect_success()
        .json()
    };
    assert_eq!(pack()["unchanged"], false);
    let mut runtimes = vec![vec!["runc"]];
    // crun refuses a machine that has both versions of cgroups, whatever it is to run.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        runtimes.push(vec!["crun", "--cgroup-manager", "disabled"]);
    }
    let state = env.path("state").display().to_string();
    for runtime in runtimes {
        let (program, options) = runtime.split_first().expect("it has a name");
        let mut command = Command::new(program);
        command
            .args(options)
            .args(["--root", &state, "run"])
            .arg(format!("pith-test-{}", std::process::id()))
            .current_dir(env.path("project/bundle"))
            .env("XDG_RUNTIME_DIR", env.path("home"))
            .stdin(Stdio::null());
        let said = run(&mut command).expect_success();
        assert_eq!(said.stdout, "Hello, world!\n", "{program}");
    }
    // Nothing that ran has left anything in it.
    assert_eq!(pack()["unchanged"], true);
}

/// Puts a script in podman's place, which notes the words that it is called with.
fn fake_podman(env: &TestEnv, script: &str) {
    let text = format!("#!/bin/sh\necho \"$*\" >> \"${{0%/*}}/../calls\"\n{script}\n");
    env.write_script("bin/podman", &text);
    drop(fs::remove_file(env.path("calls")));
}

/// `pith pack hello --load podman` with that script.
fn load_into_fake(env: &TestEnv, arguments: &[&str]) -> Command {
    let mut command = env.pack_into_podman(&[&["hello", "-q"], arguments].concat());
    let path = format!("{}:/usr/bin:/bin:/usr/sbin", env.path("bin").display());
    command.env("PATH", path);
    command
}

/// What the script was asked to do, one word each.
fn calls(env: &TestEnv) -> Vec<String> {
    let calls = fs::read_to_string(env.path("calls")).expect("it was called");
    let verb = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    calls.lines().map(verb).collect()
}

/// What podman knows of images: all that it lists and all that it says of each, but when it got them.
fn known_to_podman(env: &TestEnv, name: &str) -> Value {
    let listed = env.podman(&["images", "--digests", "--no-trunc", "--format", "json"]);
    let mut listed = listed.expect_success().json();
    let all = listed.as_array_mut().expect("a list");
    all.retain(|image| image["Names"].to_string().contains("pith-test-load"));
    let inspected = env.podman(&["image", "inspect", name]);
    let mut inspected = inspected.expect_success().json();
    for image in inspected.as_array_mut().expect("a list") {
        // Where its layers lie differs each time.
        image["GraphDriver"] = Value::Null;
    }
    json!([listed, inspected])
}

#[test]
fn podman_knows_the_same_of_an_image_from_a_pull_and_from_a_pipe() {
    let env = TestEnv::with_shared_store();
    let images = [
        ("pith-test-load", "oci"),
        ("localhost/pith-test-load:1.0", "docker"),
        ("team/pith-test-load:2", "oci"),
        ("registry.example:5000/pith-test-load/app", "oci"),
    ];
    let _turn = PodmanTurn::take();
    let mut known = Vec::new();
    for pull in ["exec", "exit 125; exec"] {
        let real = "/usr/bin/podman \"$@\"";
        fake_podman(
            &env,
            &format!("[ $1 = pull ] && {pull} {real}\nexec {real}"),
        );
        for (name, manifest_type) in images {
            let arguments = ["--json", "-n", name, "--manifest-type", manifest_type];
            let said = run(&mut load_into_fake(&env, &arguments)).expect_success();
            let loaded = said.json()["loaded"][0].clone();
            known.push(json!([loaded, known_to_podman(&env, name)]));
            env.remove_image(name);
        }
        let piped = calls(&env).iter().filter(|verb| *verb == "load").count();
        assert_eq!(
            piped,
            if pull == "exec" { 0 } else { images.len() },
            "{pull}"
        );
    }
    let (pulled, piped) = known.split_at(known.len() / 2);
    assert_eq!(pulled, piped);
}

#[test]
fn podman_that_cannot_pull_gets_the_image_through_a_pipe() {
    let env = TestEnv::with_shared_store();
    let load = "cat > /dev/null; echo 'Loaded image: docker.io/library/hello:latest'";
    let honest = "sed -n 's/^location = //p' \"$CONTAINERS_REGISTRIES_CONF\"";
    let info = |remote: &str, location: &str| {
        format!(
            "echo '{{\"host\":{{\"serviceIsRemote\":{remote}}},\"registries\":{{\"docker.io/library/hello\":{{\"Location\":'\"$({location})\"'}}}}}}'"
        )
    };
    for (info, pull, expected) in [
        // It would pull an image of that name from somewhere else: it is not even asked.
        (info("true", honest), "exit 0", &["info", "load"][..]),
        (
            info("false", "echo '\"other\"'"),
            "exit 0",
            &["info", "load"],
        ),
        ("echo nothing".to_owned(), "exit 0", &["info", "load"]),
        ("exit 1".to_owned(), "exit 0", &["info", "load"]),
        // It does not, or says that it has something else now.
        (info("false", honest), "exit 125", &["info", "pull", "load"]),
        (
            info("false", honest),
            "echo 0123",
            &["info", "pull", "load"],
        ),
    ] {
        let script = format!("case $1 in\ninfo) {info};;\npull) {pull};;\nload) {load};;\nesac");
        fake_podman(&env, &script);
        let said = run(&mut load_into_fake(&env, &[])).expect_success();
        assert_eq!(said.line(), "docker.io/library/hello:latest", "{script}");
        assert_eq!(said.stderr, "", "{script}");
        assert_eq!(calls(&env), expected, "{script}");
    }

    // Both ways fail: one error, which says both.
    let info = info("false", honest);
    let pull = "echo 'not from there' >&2; exit 125";
    let load = "echo 'no room' >&2; exit 125";
    let script = format!("case $1 in\ninfo) {info};;\npull) {pull};;\nload) {load};;\nesac");
    fake_podman(&env, &script);
    let said = run(&mut load_into_fake(&env, &[])).expect_status(1);
    assert_eq!(
        said.stderr,
        "error: `podman load` failed: no room\nbefore that, `podman pull` failed: not from there\n"
    );
}

#[test]
fn what_lets_podman_pull_is_nothing_that_others_can_read() {
    let env = TestEnv::with_shared_store();
    let script = "
        [ $1 = pull ] || exec /usr/bin/podman \"$@\"
        while [ \"$1\" != --authfile ]; do shift; done
        cd \"${0%/*}/..\"
        stat -c '%a %n' \"${2%/*}\" \"$2\" > modes
        sed -n 's/.*\"auth\":\"\\([^\"]*\\)\".*/\\1/p' \"$2\" | base64 -d > login
        exit 125";
    fake_podman(&env, script);
    let mut command = load_into_fake(&env, &[]);
    command.env("TMPDIR", env.path("home"));
    let _turn = PodmanTurn::take();
    run(&mut command).expect_success();
    let modes = fs::read_to_string(env.path("modes")).expect("it was written");
    let modes: Vec<&str> = modes.lines().map(|line| &line[..3]).collect();
    assert_eq!(modes, ["700", "600"]);
    let login = fs::read_to_string(env.path("login")).expect("it was written");
    let token = login.strip_prefix("pith:").expect("it is a login");
    assert!(token.len() > 64, "{token}");
    let calls = fs::read_to_string(env.path("calls")).expect("it was called");
    assert!(!calls.contains(token), "{calls}");
    let left = fs::read_dir(env.path("home")).expect("it is ours");
    let left = left.map(|entry| entry.expect("it can be listed").file_name());
    // As temporary directories are called here; podman may have some of its own.
    let left = left.filter(|name| name.to_string_lossy().starts_with(".tmp"));
    assert_eq!(left.count(), 0);
    env.remove_image("hello");
}

/// A TLS server with a certificate of its own authority, for as long as the value lives.
struct TlsServer {
    process: Child,
    port: u16,
}

impl TlsServer {
    fn start(env: &TestEnv) -> Self {
        let openssl = |arguments: &[&str]| env.tool("openssl", arguments).expect_success();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "project/ca.pem",
            "-days",
            "2",
            "-subj",
            "/CN=A test authority",
        ]);
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
            "-subj",
            "/CN=localhost",
        ]);
        env.write("extensions", "subjectAltName=IP:127.0.0.1\n");
        openssl(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "project/ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            "server.pem",
        ]);
        let mut process = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-www",
                "-cert",
                "server.pem",
                "-key",
                "server.key",
            ])
            .current_dir(env.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let port = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.strip_prefix("ACCEPT ")?
                    .rsplit_once(':')?
                    .1
                    .trim()
                    .parse()
                    .ok()
            })
            .expect("the server says where it listens");
        Self { process, port }
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // It is ours and may have ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn curl_verifies_against_the_packaged_certificates() {
    let env = TestEnv::with_shared_store();
    let server = TlsServer::start(&env);
    let url = format!("https://127.0.0.1:{}/", server.port);
    env.write(
        "project/pith.star",
        r#"
load("//seed/recipe.star", "base")
public = package("ca-certificates")
bundle = derivation(
    name = "company-certificates",
    seed = base,
    env = {"public": public, "own": source("ca.pem")},
    builder = ["/usr/bin/bash", "-ec", """
        mkdir -p $out/etc/ssl/certs
        cat $public/etc/ssl/certs/ca-certificates.crt $own > $out/etc/ssl/certs/ca-certificates.crt
    """],
)
image(name = "curl-public", packages = [package("curl"), public], entrypoint = ["/bin/curl"])
image(name = "curl-company", packages = [package("curl"), bundle], entrypoint = ["/bin/curl"])
"#,
    );
    let ask = ["--network=host", "curl-public", "-sS", &url];
    env.pack_and_load(&["curl-public", "-f", "archive"]);
    let refused = env.podman_run(&ask).expect_status(60);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    env.remove_image("curl-public");

    env.pack_and_load(&["curl-company", "-f", "archive"]);
    let answered = env
        .podman_run(&["--network=host", "curl-company", "-sS", &url])
        .expect_success();
    assert!(answered.stdout.contains("s_server"), "{}", answered.stdout);
    env.remove_image("curl-company");
}
