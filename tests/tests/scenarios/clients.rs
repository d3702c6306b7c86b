//! Which clients read which outputs, and that every app does the same by each. What comes out is the table in the README.

use std::{collections::BTreeMap, fs, path::Path};

use tests::{
    Finished, OnDemand, PodmanTurn, TestEnv,
    engines::{Containerd, Dockerd},
    is_full, is_root,
    other_servers::Registry,
};

/// What a container needs where root may not raise limits.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];
/// Apps, their arguments, and what they say.
const APPS: [(&str, &str, &str); 3] = [
    ("hello", "--version", "(GNU Hello) 2.10"),
    ("jq", "--version", "jq-1.6"),
    ("nginx", "-v", "nginx version: nginx/1.22.1"),
];
/// The columns of the table.
const OUTPUTS: [&str; 5] = [
    "archive",
    "archive, zstd",
    "OCI layout",
    "registry",
    "on demand",
];

/// Where an image is.
enum Place<'a> {
    Archive(&'a str),
    Layout(&'a str),
    Registry(&'a str),
}

/// A client: gets an image, runs it with an argument, and forgets it. `None` if it cannot get images from such places.
type Client<'a> =
    Box<dyn Fn(&TestEnv, &Place<'_>, &str, &str) -> Option<Result<String, String>> + 'a>;

/// Everything of an app that clients get.
struct Outputs {
    archive: String,
    zstd: String,
    layout: String,
    reference: String,
    on_demand: String,
}

impl Outputs {
    fn make(env: &TestEnv, app: &str, registry: &Registry, on_demand: &OnDemand) -> Self {
        let path = |name: &str| {
            let path = env.path(&format!("{app}{name}"));
            path.to_str().expect("temporary paths are UTF-8").to_owned()
        };
        let made = Self {
            archive: path(".tar"),
            zstd: path("-zstd.tar"),
            // Without its directory: buildah makes a name of it, and names have small letters only.
            layout: format!("{app}-layout"),
            reference: format!("{}/{app}:latest", registry.address),
            on_demand: format!("{}/{app}:latest", on_demand.host),
        };
        let pack = |arguments: &[&str]| {
            env.pith(&[&["pack", app, "-q"], arguments].concat())
                .expect_success();
        };
        pack(&["-o", &made.archive, "--push", &made.reference]);
        pack(&["-o", &made.zstd, "--compression", "zstd"]);
        pack(&["-o", &path("-layout"), "-f", "oci"]);
        made
    }

    fn place(&self, output: &str) -> Place<'_> {
        match output {
            "archive" => Place::Archive(&self.archive),
            "archive, zstd" => Place::Archive(&self.zstd),
            "OCI layout" => Place::Layout(&self.layout),
            "registry" => Place::Registry(&self.reference),
            _ => Place::Registry(&self.on_demand),
        }
    }
}

/// Runs commands one after another, up to the first that fails; returns what the last one said.
fn steps(env: &TestEnv, program: &str, steps: &[Vec<&str>]) -> Result<String, String> {
    let mut said = String::new();
    for step in steps {
        let Finished {
            status,
            stdout,
            stderr,
            ..
        } = env.tool(program, step);
        if status != 0 {
            return Err(format!("{program} {step:?}: {stderr}"));
        }
        said = format!("{stdout}{stderr}");
    }
    Ok(said)
}

fn podman(
    env: &TestEnv,
    place: &Place<'_>,
    app: &str,
    argument: &str,
) -> Option<Result<String, String>> {
    let (get, name) = match place {
        Place::Archive(path) => (vec!["load", "-q", "-i", path], app.to_owned()),
        Place::Layout(_) => return None,
        Place::Registry(reference) => (
            vec!["pull", "-q", "--tls-verify=false", reference],
            (*reference).to_owned(),
        ),
    };
    let _turn = PodmanTurn::take();
    let got = env.podman(&get);
    if got.status != 0 {
        return Some(Err(got.stderr));
    }
    let ran = env.podman_run(&["--network=none", &name, argument]);
    env.remove_image(&name);
    Some(match ran.status {
        0 => Ok(format!("{}{}", ran.stdout, ran.stderr)),
        _ => Err(ran.stderr),
    })
}

fn buildah(
    env: &TestEnv,
    place: &Place<'_>,
    app: &str,
    argument: &str,
) -> Option<Result<String, String>> {
    let (from, flag) = match place {
        Place::Archive(path) => (format!("docker-archive:{path}"), "--tls-verify=true"),
        Place::Layout(path) => (format!("oci:{path}"), "--tls-verify=true"),
        Place::Registry(reference) => (format!("docker://{reference}"), "--tls-verify=false"),
    };
    let root = env.path("buildah").display().to_string();
    let run = env.path("buildah-run").display().to_string();
    let storage = [
        "--storage-driver",
        "vfs",
        "--root",
        &root,
        "--runroot",
        &run,
    ];
    let command = |rest: &[&'static str]| [&storage[..], rest].concat();
    let made = [
        &command(&["from", "-q", "--name", "app"])[..],
        &LIMITS,
        &[flag, &from],
    ]
    .concat();
    let program = format!("/bin/{app}");
    let run = [
        &command(&["run", "--isolation", "chroot", "app", "--"])[..],
        &[&program, argument],
    ]
    .concat();
    let outcome = steps(env, "buildah", &[made, run]);
    let removed = env.tool("buildah", &command(&["rm", "-a"]));
    assert_eq!(removed.status, 0, "{}", removed.stderr);
    Some(outcome)
}

/// Copied by skopeo, unpacked by umoci, started by runc with the image's own configuration.
fn runc(
    env: &TestEnv,
    place: &Place<'_>,
    app: &str,
    argument: &str,
) -> Option<Result<String, String>> {
    let work = env.path("runc");
    fs::create_dir_all(&work).expect("it is writable");
    let work = tempfile::tempdir_in(&work).expect("it is writable");
    let inside = |name: &str| work.path().join(name).display().to_string();
    let (from, flag) = match place {
        Place::Archive(path) => (format!("oci-archive:{path}"), "--src-tls-verify=true"),
        Place::Layout(path) => (format!("oci:{path}"), "--src-tls-verify=true"),
        Place::Registry(reference) => (format!("docker://{reference}"), "--src-tls-verify=false"),
    };
    let (to, layout) = (
        format!("oci:{}:x", inside("layout")),
        format!("{}:x", inside("layout")),
    );
    let copy = vec![
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "-q",
        flag,
        &from,
        &to,
    ];
    let bundle = inside("bundle");
    let mut unpack = vec!["unpack"];
    if !is_root() {
        unpack.push("--rootless");
    }
    unpack.extend(["--image", &layout, &bundle]);
    let got = steps(env, "skopeo", &[copy]).and_then(|_| steps(env, "umoci", &[unpack]));
    let outcome = got.and_then(|_| {
        configure(Path::new(&bundle), argument);
        let state = inside("state");
        let id = format!("pith-{app}-{}", std::process::id());
        steps(
            env,
            "runc",
            &[vec!["--root", &state, "run", "--bundle", &bundle, &id]],
        )
    });
    // What was unpacked is read-only.
    store::testing::make_writable(work.path()).expect("it is ours");
    Some(outcome)
}

/// Gives a bundle the argument and no terminal, and an ordinary user the only identity that is mapped.
fn configure(bundle: &Path, argument: &str) {
    let file = bundle.join("config.json");
    let text = fs::read(&file).expect("umoci wrote it");
    let mut config: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    config["process"]["terminal"] = false.into();
    if !is_root() {
        config["process"]["user"] = serde_json::json!({ "uid": 0, "gid": 0 });
    }
    let arguments = config["process"]["args"].as_array_mut();
    arguments.expect("it has a program").push(argument.into());
    fs::write(&file, config.to_string()).expect("it is ours");
}

fn docker(daemon: &Dockerd) -> Client<'_> {
    Box::new(|env, place, app, argument| {
        let flags = daemon.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let command = |rest: &[&'static str]| [&flags[..], rest].concat();
        let (get, name) = match place {
            Place::Archive(path) => (
                [&command(&["load", "-q", "-i"])[..], &[*path]].concat(),
                app,
            ),
            Place::Layout(_) => return None,
            Place::Registry(reference) => (
                [&command(&["pull", "-q"])[..], &[*reference]].concat(),
                *reference,
            ),
        };
        let run = [
            &command(&["run", "--rm", "--network", "none"])[..],
            &[name, argument],
        ]
        .concat();
        let remove = [&command(&["rmi", "-f"])[..], &[name]].concat();
        let outcome = steps(env, "docker", &[get, run]);
        if outcome.is_ok() {
            steps(env, "docker", &[remove]).expect("it is there");
        }
        Some(outcome)
    })
}

fn containerd(daemon: &Containerd) -> Client<'_> {
    Box::new(|env, place, app, argument| {
        let flags = daemon.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let command = |rest: &[&'static str]| [&flags[..], rest].concat();
        let local = format!("docker.io/library/{app}:latest");
        let (get, name) = match place {
            Place::Archive(path) => (
                [&command(&["image", "import"])[..], &[*path]].concat(),
                local.as_str(),
            ),
            Place::Layout(_) => return None,
            Place::Registry(reference) => {
                let pull = command(&["image", "pull", "--plain-http"]);
                ([&pull[..], &[*reference]].concat(), *reference)
            }
        };
        let program = format!("/bin/{app}");
        let run = [
            &command(&["run", "--rm"])[..],
            &[name, "one", &program, argument],
        ]
        .concat();
        // Otherwise what only this image had goes some time later, while the next one is pulled that has some of it.
        let remove = [&command(&["image", "rm", "--sync"])[..], &[name]].concat();
        let outcome = steps(env, "ctr", &[get, run]);
        steps(env, "ctr", &[remove]).ok();
        Some(outcome)
    })
}

/// `4.3` of `podman version 4.3.1`.
fn version(env: &TestEnv, program: &str, arguments: &[&str]) -> String {
    let said = env.tool(program, arguments).expect_success().stdout;
    let number = said
        .split_whitespace()
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    let number = number.expect("it says its version");
    number.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// The daemons, which only root can start, and not on every machine; a full run insists on them.
#[expect(clippy::print_stdout, reason = "what is left out must not go unsaid")]
fn daemons() -> Option<(Containerd, Dockerd)> {
    if !is_root() {
        return None;
    }
    let started = Containerd::start().and_then(|one| Ok((one, Dockerd::start()?)));
    match started {
        Err(error) if !is_full() => {
            println!("containerd and docker are left out: {error}");
            None
        }
        started => Some(started.expect("containerd and dockerd start")),
    }
}

#[test]
fn every_client_reads_what_the_readme_says_and_every_app_does_the_same() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let on_demand = OnDemand::start(&env, &[]);
    let outputs: BTreeMap<&str, Outputs> = APPS
        .iter()
        .map(|(app, ..)| (*app, Outputs::make(&env, app, &registry, &on_demand)))
        .collect();
    let engines = daemons();
    let row =
        |name: &str, program: &str| format!("{name} {}", version(&env, program, &["--version"]));
    let mut clients: Vec<(String, Client<'_>)> = vec![
        (row("podman", "podman"), Box::new(podman)),
        (row("buildah", "buildah"), Box::new(buildah)),
        (
            format!(
                "{}, {}, {}",
                row("skopeo", "skopeo"),
                row("umoci", "umoci"),
                row("runc", "runc")
            ),
            Box::new(runc),
        ),
    ];
    if let Some((daemon, docker_daemon)) = &engines {
        let flags = docker_daemon.flags();
        let mut asked: Vec<&str> = flags.iter().map(String::as_str).collect();
        asked.extend(["version", "--format", "{{.Server.Version}}"]);
        clients.push((
            format!("docker {}", version(&env, "docker", &asked)),
            docker(docker_daemon),
        ));
        clients.push((row("containerd", "containerd"), containerd(daemon)));
    }
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
    let readme = readme.expect("it is there");
    let mut wrong = Vec::new();
    for (name, client) in &clients {
        let mut cells = vec![name.clone()];
        for output in OUTPUTS {
            let mut cell = "–";
            for (app, argument, expected) in APPS {
                match client(&env, &outputs[app].place(output), app, argument) {
                    None => break,
                    Some(Ok(said)) => {
                        assert!(said.contains(expected), "{name}, {output}, {app}: {said}");
                        cell = "yes";
                    }
                    Some(Err(error)) => {
                        assert!(cell != "yes", "{name}, {output}, {app}: {error}");
                        println!("{name}, {output}, {app}: {error}");
                        cell = "no";
                        break;
                    }
                }
            }
            cells.push(cell.to_owned());
        }
        let line = format!("| {} |", cells.join(" | "));
        if !readme.lines().any(|known| known == line) {
            wrong.push(line);
        }
    }
    assert!(
        wrong.is_empty(),
        "the README has no such lines:\n{}",
        wrong.join("\n")
    );
}
