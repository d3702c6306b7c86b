//! The images run under real engines and are read by real tools.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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
