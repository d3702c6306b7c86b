//! Images go straight to a registry, and tools of others get them from there.

use std::fs;

use tests::{PodmanTurn, TestEnv, other_servers::Registry};

#[test]
fn an_image_goes_to_a_registry_and_runs_from_there() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let push = || {
        let said = env.pith(&["pack", "hello", "--push", &reference, "--json"]);
        said.expect_success().json()
    };
    let first = push();
    assert_eq!(first["pushed"][0]["unchanged"], false);
    assert_eq!(first["pushed"][0]["name"], reference.as_str());
    assert_eq!(first.get("output"), None);
    let left = fs::read_dir(env.path("project")).expect("it is readable");
    assert_eq!(left.count(), 0, "nothing is written to files");
    let second = push();
    assert_eq!(second["pushed"][0]["unchanged"], true);
    assert_eq!(second["pushed"][0]["sent_bytes"], 0);
    assert_eq!(second["manifest"], first["manifest"]);

    let place = format!("docker://{reference}");
    let inspected = env
        .tool("skopeo", &["inspect", "--tls-verify=false", &place])
        .expect_success()
        .json();
    assert_eq!(inspected["Digest"], first["manifest"]);

    let layout = env.path("layout");
    let layout = layout.to_str().expect("temporary paths are UTF-8");
    let copy = [
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        &place,
        &format!("oci:{layout}:1"),
    ];
    env.tool("skopeo", &copy).expect_success();
    let bundle = env.path("bundle");
    let bundle = bundle.to_str().expect("temporary paths are UTF-8");
    let mut unpack = vec!["unpack"];
    if !tests::is_root() {
        unpack.push("--rootless");
    }
    let image = format!("{layout}:1");
    unpack.extend(["--image", &image, bundle]);
    env.tool("umoci", &unpack).expect_success();
    let program = env.path("bundle/rootfs/bin/hello");
    assert!(program.symlink_metadata().is_ok());

    let pull = ["pull", "-q", "--tls-verify=false", &reference];
    let _turn = PodmanTurn::take();
    env.podman(&pull).expect_success();
    let said = env.podman_run(&["--network=none", &reference]);
    assert_eq!(said.expect_success().stdout, "Hello, world!\n");
    env.remove_image(&reference);
}

#[test]
fn a_login_of_podman_is_used_and_a_missing_one_is_hinted_at() {
    let env = TestEnv::with_shared_store();
    let directory = env.path("home");
    let login = Registry::login(&directory).expect("it is ours");
    let registry = Registry::start(&login).expect("Debian's registry starts");
    let reference = format!("{}/hello:1", registry.address);
    let refused = env
        .pith(&["pack", "hello", "-q", "--push", &reference])
        .expect_status(1);
    assert_eq!(
        refused.stderr,
        format!(
            "error: cannot push `{reference}`\n  \
             caused by: `{reference}` is denied: the registry wants credentials (Basic)\n\
             hint: `podman login REGISTRY` keeps a user and a password where pith finds them; so does `docker login`\n"
        )
    );
    // `user:secret`, as `podman login` writes it.
    let auth = format!(
        r#"{{"auths":{{"{}":{{"auth":"dXNlcjpzZWNyZXQ="}}}}}}"#,
        registry.address
    );
    env.write("home/.docker/config.json", &auth);
    let digest = env
        .pith(&["pack", "hello", "-q", "--push", &reference])
        .expect_success();
    let place = format!("{}/hello@sha256:", registry.address);
    assert!(digest.line().starts_with(&place), "{}", digest.stdout);
}

#[test]
fn a_name_that_is_none_is_a_usage_error_and_a_distant_registry_none_offline() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "--push", "No/Name"])
        .expect_status(2);
    let refused = env
        .pith(&[
            "pack",
            "hello",
            "--offline",
            "--push",
            "registry.invalid/a:1",
        ])
        .expect_status(1);
    assert_eq!(
        refused.stderr,
        "error: the registry of `registry.invalid/a:1` is not on this machine, and `--offline` was asked for\n"
    );
}

#[test]
fn a_machine_that_made_no_layer_learns_from_a_cache_what_they_became() {
    let builder = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = |tag: &str| format!("{}/team/hello:{tag}", registry.address);
    let (cache, key) = (builder.path("cache"), builder.path("builder-1"));
    let text =
        |path: &std::path::Path| path.to_str().expect("temporary paths are UTF-8").to_owned();
    let (cache, key) = (text(&cache), text(&key));
    builder
        .pith(&["key", "generate", "-q", "-o", &key])
        .expect_success();
    let packed = ["pack", "hello", "--push", &reference("1"), "--json"];
    let first = builder.pith(&packed).expect_success().json();
    builder
        .pith(&["cache", "push", &cache, "hello", "-q", "--key", &key])
        .expect_success();

    let public = fs::read_to_string(format!("{key}.pub")).expect("it was written");
    let fresh = TestEnv::new();
    let caches = ["--cache", &cache, "--cache-only", "--trust", public.trim()];
    let push = |tag: &str| {
        let reference = reference(tag);
        let arguments = ["pack", "hello", "--push", &reference, "--json"];
        let said = fresh.pith(&[&arguments[..], &caches].concat());
        said.expect_success().json()
    };
    let again = push("1");
    assert_eq!(again["manifest"], first["manifest"]);
    assert_eq!(again["pushed"][0]["unchanged"], true);
    assert_eq!(again["bytes_read"], 0);
    let other = push("2");
    assert_eq!(other["manifest"], first["manifest"]);
    assert_eq!(other["pushed"][0]["sent_blobs"], 0);
    assert_eq!(other["bytes_read"], 0);
}
