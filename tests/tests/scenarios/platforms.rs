//! Images for other machines, one index for several of them, and what is said when that cannot be.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::debian_repository::{DebianPackage, DebianRepository, SUITE};
use tests::{FileServer, Finished, TestEnv};

const BOTH: [&str; 4] = ["--platform", "linux/arm64", "--platform", "linux/amd64"];

fn utf8(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// An application for two machines, of different versions, with data for both.
fn packages() -> Vec<DebianPackage> {
    let app = |architecture: &str, version: &str| {
        DebianPackage::new("app", version)
            .architecture(architecture)
            .field("Depends", "app-data")
            .file("usr/share/app/machine", architecture)
    };
    vec![
        app("amd64", "1.0-1"),
        app("arm64", "1.0-1+b1"),
        DebianPackage::new("app-data", "1")
            .architecture("all")
            // Small packages share a layer with others.
            .file("usr/share/app/data", &"data\n".repeat(300_000)),
        DebianPackage::new("only", "1"),
    ]
}

/// A scenario's place, with a project in it, and an archive whose key it believes.
fn place() -> (TestEnv, FileServer) {
    let env = TestEnv::new();
    let repository = DebianRepository::new(&packages());
    let server = repository.serve();
    env.write("home/key.asc", &repository.public_key());
    let text = format!(
        "[mirrors]\nsmall = [\"{}\"]\n[debian]\nsuites = [\"small/{SUITE}\"]\nkeyring = \"{}\"\n",
        server.url(""),
        env.path("home/key.asc").display()
    );
    env.write("home/.config/pith/config.toml", &text);
    env.write(
        "project/pith.star",
        "image(name = \"app\", packages = [debian([\"app\"])])\n",
    );
    (env, server)
}

fn said(env: &TestEnv, finished: Finished, status: i32) -> String {
    let text = finished.expect_status(status).stderr;
    text.replace(&env.path("").display().to_string(), "…/")
}

fn lock_text(env: &TestEnv) -> String {
    fs::read_to_string(env.path("project/debian.lock")).expect("it was written")
}

/// A document of a layout.
fn document(layout: &Path, name: &str) -> Value {
    let bytes = fs::read(layout.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&bytes).expect("it is JSON")
}

/// Packs a target of the project for both machines.
fn pack_both(env: &TestEnv, target: &str, place: &Path, format: &str) -> Value {
    let arguments = ["pack", target, "-f", format, "-o", utf8(place), "--json"];
    env.pith(&[&arguments, BOTH.as_slice()].concat())
        .expect_success()
        .json()
}

fn blob(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().expect("it has a digest");
    document(layout, &format!("blobs/{}", digest.replace(':', "/")))
}

#[test]
fn one_lock_file_pins_packages_for_several_machines() {
    let (env, server) = place();
    env.pith(&["debian", "lock", "app"]).expect_success();
    let one = lock_text(&env);
    assert!(
        one.contains("version = 1\narchitecture = \"amd64\"\n"),
        "{one}"
    );
    let wrong = env.pith(&["pack", "debian:app", "--platform", "linux/arm64"]);
    assert_eq!(
        said(&env, wrong, 1),
        "error: `…/project/debian.lock` locks nothing for arm64, only for amd64\nhint: `pith debian lock --platform linux/amd64 --platform linux/arm64` locks it for all of them\n"
    );
    let wrong = env.pith(&["pack", "app", "--platform", "linux/arm64"]);
    let error = said(&env, wrong, 1);
    assert!(
        error.contains("`debian.lock` locks nothing for arm64") && error.contains("pith.star:1:"),
        "{error}"
    );

    env.pith(&[&["debian", "lock"], BOTH.as_slice()].concat())
        .expect_success();
    let both = lock_text(&env);
    for part in [
        "version = 2\npackages = [\"app\"]\n",
        "\n[[architecture.amd64.package]]\nname = \"app\"\nversion = \"1.0-1\"\n",
        "\n[[architecture.arm64.package]]\nname = \"app\"\nversion = \"1.0-1+b1\"\n",
        "\n[[architecture.arm64.package]]\nname = \"app-data\"\nversion = \"1\"\narchitecture = \"all\"\n",
    ] {
        assert!(both.contains(part), "`{part}` is not in\n{both}");
    }
    // The platforms of the file are kept; what was locked for one only is taken from it as before.
    let again = env.pith(&["debian", "lock", "--json"]).expect_success();
    assert_eq!(again.json()["changed"], false);
    assert_eq!(again.json()["packages"][2]["platform"], "linux/arm64");
    let wrong = env.pith(&[&["debian", "lock", "-q", "only"], BOTH.as_slice()].concat());
    assert_eq!(
        said(&env, wrong, 1),
        "error: Debian has no package `only` in bookworm\n"
    );
    // The indexes are not needed any more.
    drop(server);
    let missing = both.replace(
        "[[architecture.arm64.package]]\nname = \"app-data\"",
        "[[architecture.arm64.package]]\nname = \"other\"",
    );
    env.write("project/debian.lock", &missing);
    let error = said(&env, env.pith(&["build", "-q", "debian:app"]), 1);
    assert!(
        error.contains("`app-data` is needed by `app` but not locked for arm64"),
        "{error}"
    );
}

#[test]
fn several_platforms_are_one_index_that_shares_what_is_equal() {
    let (env, server) = place();
    let layout = env.path("layout");
    // The project has no lock file: it is made for both at once.
    let first = pack_both(&env, "debian:app", &layout, "oci");
    assert_eq!(first["images"][0]["platform"], "linux/amd64");
    assert_eq!(first["images"][1]["platform"], "linux/arm64");
    drop(server);
    let again = pack_both(&env, "debian:app", &layout, "oci");
    assert_eq!(
        (&again["unchanged"], &again["bytes_read"]),
        (&true.into(), &0.into())
    );

    let entry = &document(&layout, "index.json")["manifests"][0];
    assert_eq!(entry["digest"], first["manifest"]);
    assert_eq!(
        entry["mediaType"],
        "application/vnd.oci.image.index.v1+json"
    );
    let index = blob(&layout, entry);
    let platforms: Vec<String> = (index["manifests"].as_array().expect("it is a list").iter())
        .map(|entry| entry["platform"].to_string())
        .collect();
    assert_eq!(
        platforms,
        [
            r#"{"architecture":"amd64","os":"linux"}"#,
            r#"{"architecture":"arm64","os":"linux","variant":"v8"}"#
        ]
    );
    let manifests = [0, 1].map(|number| blob(&layout, &index["manifests"][number]));
    let config = blob(&layout, &manifests[1]["config"]);
    assert_eq!(
        (&config["architecture"], &config["variant"]),
        (&"arm64".into(), &"v8".into())
    );
    let digests = |manifest: &Value| -> Vec<String> {
        let layers = manifest["layers"].as_array().expect("it has layers");
        layers
            .iter()
            .map(|layer| layer["digest"].to_string())
            .collect()
    };
    let (amd64, arm64) = (digests(&manifests[0]), digests(&manifests[1]));
    assert!(
        amd64.iter().any(|digest| arm64.contains(digest)),
        "the layer of `app-data` is in both: {amd64:?} {arm64:?}"
    );
}

#[test]
fn other_tools_choose_from_an_archive_of_several_platforms() {
    let (env, _server) = place();
    let archive = env.path("app.tar");
    let packed = pack_both(&env, "debian:app", &archive, "oci-archive");
    // Each layer is there once, and nothing that docker would take for the whole image.
    let members = env
        .tool("tar", &["-tf", utf8(&archive)])
        .expect_success()
        .stdout;
    let mut names: Vec<&str> = members.lines().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{members}");
    assert!(!names.contains(&"manifest.json"), "{members}");
    let copy = env.path("copy");
    for (architecture, version) in [("amd64", "1.0-1"), ("arm64", "1.0-1+b1")] {
        let of = format!("oci-archive:{}", utf8(&archive));
        let chosen = ["--override-arch", architecture, "inspect", &of];
        let inspected = env.tool("skopeo", &chosen).expect_success().json();
        assert_eq!(inspected["Architecture"], architecture);
        let raw = ["--override-arch", architecture, "inspect", "--config", &of];
        let config = env.tool("skopeo", &raw).expect_success().stdout;
        assert!(
            config.contains(&format!("app-{version}")),
            "{version} {config}"
        );
    }
    let raw = [
        "inspect",
        "--raw",
        &format!("oci-archive:{}", utf8(&archive)),
    ];
    let raw = env.tool("skopeo", &raw).expect_success().json();
    assert_eq!(raw["manifests"].as_array().map(Vec::len), Some(2));
    let all = [
        "--insecure-policy",
        "copy",
        "--multi-arch",
        "all",
        &format!("oci-archive:{}", utf8(&archive)),
        &format!("oci:{}:copied", utf8(&copy)),
    ];
    env.tool("skopeo", &all).expect_success();
    assert_eq!(
        document(&copy, "index.json")["manifests"][0]["digest"],
        packed["manifest"]
    );
}

#[test]
fn an_index_replaces_what_it_was_and_leaves_no_blob_behind() {
    let (env, _server) = place();
    let layout = env.path("layout");
    let pack = |flags: &[&str]| {
        let arguments = ["pack", "debian:app", "-q", "-f", "oci", "-o", utf8(&layout)];
        env.pith(&[&arguments, flags].concat()).expect_success();
        let blobs = fs::read_dir(layout.join("blobs/sha256")).expect("it is a layout");
        let mut names: Vec<_> = blobs.map(|blob| blob.expect("it is ours").path()).collect();
        names.sort();
        names
    };
    let both = pack(&BOTH);
    let one = pack(&["--platform", "linux/arm64"]);
    assert!(one.len() < both.len() && one.iter().all(|blob| both.contains(blob)));
    assert_eq!(pack(&BOTH), both);
}

#[test]
fn what_cannot_be_for_a_platform_is_said_before_anything_is_built() {
    let (env, _server) = place();
    let error = said(
        &env,
        env.pith(&["pack", "app", "--platform", "linux/sparc"]),
        2,
    );
    assert!(
        error
            .contains("`linux/sparc` is not a platform; known are `linux/amd64` and `linux/arm64`"),
        "{error}"
    );
    for format in ["docker-archive", "tar", "dir"] {
        let arguments = [&["pack", "debian:app", "-f", format], BOTH.as_slice()].concat();
        assert_eq!(
            said(&env, env.pith(&arguments), 2),
            format!(
                "error: `{format}` holds an image for one platform\nhint: `-f oci` and `-f oci-archive` hold several; for others pack each platform by itself\n"
            )
        );
    }
    assert!(!env.path("project/debian.lock").exists());
    // Nothing says how this one could be made here.
    env.write(
        "project/tool/pith.star",
        "tool = derivation(name = \"tool\", builder = [\"/bin/sh\"])\n",
    );
    let error = said(
        &env,
        env.pith(&["pack", "-q", "./tool", "--platform", "linux/arm64"]),
        1,
    );
    assert!(
        error.contains("it is built on aarch64-linux only, and this machine is x86_64-linux"),
        "{error}"
    );
    // A store path is for one machine, whatever is asked for.
    let built = env.pith(&["build", "debian:app"]).expect_success();
    let error = said(
        &env,
        env.pith(&["pack", built.line(), "--platform", "linux/arm64"]),
        1,
    );
    assert_eq!(
        error,
        "error: `app` is for amd64, and the image is for linux/arm64\nhint: `--platform` says what the image is for; a store path is for one platform only\n"
    );
}

/// Runs a program of an unpacked image for arm64, libraries and loader from the image.
fn emulated(env: &TestEnv, root: &Path, program: &str, arguments: &[&str]) -> String {
    let program = root.join(program);
    let mut all = vec!["-L", utf8(root), utf8(&program)];
    all.extend(arguments);
    env.tool("qemu-aarch64-static", &all)
        .expect_success()
        .stdout
}

#[test]
fn a_package_of_debian_for_arm64_runs_there() {
    let env = TestEnv::with_shared_store();
    let root = env.path("root");
    let (output, arm64) = (utf8(&root), ["--platform", "linux/arm64"]);
    let arguments = ["pack", "-q", "debian:hello", "-f", "dir", "-o", output];
    env.pith(&[arguments.as_slice(), &arm64].concat())
        .expect_success();
    assert_eq!(
        emulated(&env, &root, "usr/bin/hello", &[]),
        "Hello, world!\n"
    );
    // Nothing of this machine came with it.
    assert!(root.join("usr/lib/ld-linux-aarch64.so.1").exists());
    assert!(!root.join("lib64").exists() && !root.join("usr/lib/x86_64-linux-gnu").exists());
}

/// Compiles a package of the collection for arm64, and says what its program says.
fn compiled(env: &TestEnv, package: &str, program: &str, arguments: &[&str]) -> String {
    let root = env.path(&format!("{package}-root"));
    let (output, arm64) = (utf8(&root), ["--platform", "linux/arm64"]);
    let arguments_of_pack = ["pack", "-q", package, "-f", "dir", "-o", output];
    env.pith(&[arguments_of_pack.as_slice(), &arm64].concat())
        .expect_success();
    // A link of the image, to be followed in the image.
    let target = fs::read_link(root.join("bin").join(program)).expect("it is linked");
    let target = target.strip_prefix("/").expect("it is a store path");
    emulated(env, &root, utf8(target), arguments)
}

#[test]
fn a_recipe_is_compiled_here_and_its_program_runs_on_arm64() {
    let env = TestEnv::with_shared_store();
    let said = compiled(&env, "hello", "hello", &[]);
    assert_eq!(said, "Hello, world!\n");
}

#[test]
fn libraries_are_for_arm64_and_tools_of_a_build_are_not() {
    if !tests::is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let lua = compiled(&env, "lua", "lua", &["-e", "print(6 * 7)"]);
    assert_eq!(lua, "42\n");
    let filter = r#""42" | test("^4.$")"#;
    assert_eq!(compiled(&env, "jq", "jq", &["-n", filter]), "true\n");
    let select = [":memory:", "select 6 * 7;"];
    assert_eq!(compiled(&env, "sqlite", "sqlite3", &select), "42\n");
}
