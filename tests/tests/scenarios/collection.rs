//! Servers and tools of the collection do their work in images of only their closure, as an ordinary user
//! on a root that nobody may write.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, pipe};
use std::path::Path;
use std::process::Child;
use std::thread;

use tests::{Finished, TestEnv, is_full};

/// A running container, and its image; both go with the value.
struct Server<'a> {
    env: &'a TestEnv,
    image: String,
    container: String,
    process: Child,
}

impl<'a> Server<'a> {
    /// Packs the image that `project/pith.star` declares, runs it and waits until it has said `ready`.
    fn start(env: &'a TestEnv, name: &str, arguments: &[&str], ready: &str) -> Self {
        let image = pack_and_load(env, name);
        let container = format!("{image}-server");
        let (said, says) = pipe().expect("the system has pipes");
        let options = [
            "--read-only",
            "--network=none",
            "--name",
            &container,
            &image,
        ];
        let process = env
            .podman_run_command(&[&options, arguments].concat())
            .stdout(says.try_clone().expect("descriptors are left"))
            .stderr(says)
            .spawn()
            .expect("podman is installed");
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let mut seen = Vec::new();
        let is_ready = lines.by_ref().any(|line| {
            let found = line.contains(ready);
            seen.push(line);
            found
        });
        // Somebody has to read on, or the next line that it writes ends it.
        thread::spawn(move || lines.for_each(drop));
        let server = Self {
            env,
            image,
            container,
            process,
        };
        assert!(is_ready, "it ended without `{ready}`:\n{}", seen.join("\n"));
        server
    }

    /// Runs a program of the image in the container.
    fn exec(&self, command: &[&str]) -> Finished {
        self.env
            .podman(&[&["exec", &self.container], command].concat())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // Nothing of this may hide why the test ends.
        drop(self.env.podman(&["rm", "-f", "-t", "0", &self.container]));
        drop(self.process.wait());
        drop(self.env.podman(&["rmi", "-f", &self.image]));
    }
}

/// Packs `name` and returns what podman shall call it: no other process does.
fn pack_and_load(env: &TestEnv, name: &str) -> String {
    let image = format!("{name}-{}", std::process::id());
    env.pack_and_load(&[name, "-n", &image]);
    image
}

#[test]
fn nginx_serves_a_page_over_tls_from_a_read_only_root() {
    let env = TestEnv::with_shared_store();
    let certificate = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost";
    env.tool(
        "openssl",
        &certificate.split_whitespace().collect::<Vec<_>>(),
    )
    .expect_success();
    let read = |name| fs::read_to_string(env.path(name)).expect("openssl wrote it");
    let (key, certificate) = (read("key.pem"), read("cert.pem"));
    env.write(
        "project/pith.star",
        &format!(
            r#"
image(
    name = "nginx-tls",
    packages = [package("nginx")],
    entrypoint = ["/bin/nginx", "-c", "/etc/nginx.conf"],
    files = {{
        "/etc/key.pem": """{key}""",
        "/etc/cert.pem": """{certificate}""",
        "/srv/index.html": "a page of its own\n",
        "/etc/nginx.conf": """
            daemon off;
            pid /tmp/nginx.pid;
            error_log stderr notice;
            events {{ }}
            http {{
                access_log /dev/stdout;
                server {{
                    listen 8443 ssl http2;
                    ssl_certificate /etc/cert.pem;
                    ssl_certificate_key /etc/key.pem;
                    root /srv;
                }}
            }}
        """,
    }},
)
image(
    name = "curl-tls",
    packages = [package("curl")],
    entrypoint = ["/bin/curl", "-sS", "--cacert", "/cert.pem"],
    files = {{"/cert.pem": """{certificate}"""}},
)
"#
        ),
    );
    let server = Server::start(&env, "nginx-tls", &[], "start worker process ");
    let user = env.podman(&["inspect", "-f", "{{.Config.User}}", &server.container]);
    assert_eq!(user.expect_success().line(), "65532:65532");

    let client = pack_and_load(&env, "curl-tls");
    let network = format!("--network=container:{}", server.container);
    let said = env.podman_run(&[&network, &client, "https://localhost:8443/"]);
    env.remove_image(&client);
    assert_eq!(said.expect_success().stdout, "a page of its own\n");
}

#[test]
fn mosquitto_delivers_what_is_published_over_its_port() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"
image(
    name = "mosquitto",
    packages = [package("mosquitto")],
    entrypoint = ["/bin/mosquitto", "-c", "/etc/mosquitto.conf"],
    files = {"/etc/mosquitto.conf": "listener 1883\nallow_anonymous true\n"},
    ports = [1883],
)
"#,
    );
    let server = Server::start(&env, "mosquitto", &[], " running");
    // A retained message waits for who subscribes later.
    let publish = ["-r", "-q", "1", "-t", "rooms/kitchen", "-m", "21.5"];
    server
        .exec(&[&["/bin/mosquitto_pub"], &publish[..]].concat())
        .expect_success();
    let subscribe = ["-C", "1", "-W", "60", "-v", "-t", "rooms/#"];
    let said = server.exec(&[&["/bin/mosquitto_sub"], &subscribe[..]].concat());
    assert_eq!(said.expect_success().stdout, "rooms/kitchen 21.5\n");
}

#[test]
fn redis_keeps_what_it_is_given() {
    let env = TestEnv::with_shared_store();
    let server = Server::start(
        &env,
        "redis",
        &["redis-server", "--save", ""],
        "Ready to accept connections",
    );
    let redis = |command: &[&str]| server.exec(&[&["/bin/redis-cli"], command].concat());
    assert_eq!(redis(&["SET", "key", "42"]).expect_success().stdout, "OK\n");
    assert_eq!(redis(&["INCR", "key"]).expect_success().stdout, "43\n");
}

/// Takes as long as postgresql takes to compile.
#[test]
fn postgresql_makes_a_database_and_answers_as_an_ordinary_user() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"
_START = """
initdb -D /tmp/data -A trust --no-locale -E UTF8 --no-sync
exec postgres -D /tmp/data -k /tmp
"""
image(
    name = "postgresql-server",
    packages = [package("postgresql"), package("bash")],
    entrypoint = ["/bin/sh", "-ec", _START],
)
"#,
    );
    let ready = "database system is ready to accept connections";
    let server = Server::start(&env, "postgresql-server", &[], ready);
    let script =
        "create table t (n int); insert into t values (6), (7); select exp(sum(ln(n)))::int from t";
    let psql = ["/bin/psql", "-h", "/tmp", "-d", "postgres", "-qAtc", script];
    assert_eq!(server.exec(&psql).expect_success().stdout, "42\n");
}

#[test]
fn go_compiles_and_runs_a_program_in_an_image_of_the_toolchain_alone() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"
image(
    name = "go-sdk",
    packages = [package("go")],
    entrypoint = ["/bin/go"],
    env = {"HOME": "/tmp", "GOCACHE": "/tmp/go-build"},
)
"#,
    );
    let program = r#"package main

import (
	"encoding/json"
	"fmt"
)

func main() {
	text, err := json.Marshal(map[string]int{"answer": 6 * 7})
	fmt.Println(string(text), err)
}
"#;
    env.write("program/main.go", program);
    let image = pack_and_load(&env, "go-sdk");
    let program = format!("{}:/src:ro", env.path("program").display());
    let options = ["--network=none", "-v", &program, "-w", "/src", &image];
    let version = env.podman_run(&[&options[..], &["version"]].concat());
    let said = env.podman_run(&[&options[..], &["run", "main.go"]].concat());
    env.remove_image(&image);
    let version = version.expect_success().stdout;
    assert!(version.starts_with("go version go1."), "{version}");
    assert_eq!(said.expect_success().stdout, "{\"answer\":42} <nil>\n");
}

/// Takes as long as glibc takes to compile.
#[test]
fn one_line_of_a_recipe_makes_a_program_run_with_glibc_from_source() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let real =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/collection/hello/recipe.star");
    let recipe = fs::read_to_string(real).expect("the collection has hello");
    let line = "    name = \"hello\",\n";
    assert!(recipe.contains(line), "{recipe}");
    let recipe = recipe.replace(line, &format!("{line}    libc = \"glibc-source\",\n"));
    let image = r#"
image(
    name = "level-1",
    packages = [hello, package("glibc-source").bin],
    entrypoint = ["/bin/hello"],
    files = {"/etc/text": "あ"},
)
"#;
    env.write("project/pith.star", &(recipe + image));
    let said = env.pith(&["run", "-q", "hello"]).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    let closure = env.closure("hello", &[]);
    let names = closure.iter().filter_map(|path| path.split_once('-'));
    let names: BTreeSet<&str> = names.map(|(_, name)| name).collect();
    assert_eq!(names, BTreeSet::from(["glibc-source-2.36", "hello-2.10"]));

    let image = pack_and_load(&env, "level-1");
    let run = |options: &[&str], command: &[&str]| {
        let options = [
            &["--network=none", "--read-only"],
            options,
            &[&image],
            command,
        ]
        .concat();
        env.podman_run(&options)
    };
    let hello = run(&[], &[]);
    // Without a variable that says where they are: a locale, and a conversion that is a module.
    let locale = ["--entrypoint", "/bin/locale", "--env", "LC_ALL=C.UTF-8"];
    let locale = run(&locale, &["charmap"]);
    let iconv = run(
        &["--entrypoint", "/bin/iconv"],
        &["-f", "UTF-8", "-t", "UTF-7", "/etc/text"],
    );
    env.remove_image(&image);
    assert_eq!(hello.expect_success().stdout, "Hello, world!\n");
    assert_eq!(locale.expect_success().stdout, "UTF-8\n");
    assert_eq!(iconv.expect_success().stdout, "+MEI-");
}
