//! Images on a base: under real engines, in real registries, and of other tools.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::other_servers::Registry;
use tests::{PodmanTurn, TestEnv};

/// The name of the image on the base.
const NAME: &str = "pith-test-on-base";

/// Packs `hello` on a base and returns the report.
fn pack_on(env: &TestEnv, base: &str, further: &[&str]) -> Value {
    let arguments = ["pack", "hello", "--json", "-n", NAME, "--base", base];
    let said = env.pith(&[&arguments[..], further].concat());
    said.expect_success().json()
}

#[test]
fn a_program_runs_on_packages_of_debian_through_their_links() {
    let env = TestEnv::with_shared_store();
    let set = "debian:redis-server,dash";
    env.pith(&[
        "pack",
        set,
        "-q",
        "-f",
        "oci",
        "-o",
        "base",
        "-n",
        "pith-test-base",
    ])
    .expect_success();
    env.write(
        "project/pith.star",
        &format!(
            "image(name = \"{NAME}\", packages = [package(\"hello\")], base = \"./base\", env = {{\"A\": \"b\"}})\n"
        ),
    );
    let pack = |further: &[&str]| {
        let said = env.pith(&[&["pack", NAME, "--json"], further].concat());
        said.expect_success().json()
    };
    let archive = pack(&["-o", "on.tar"]);
    let base = &archive["image"]["base"];
    assert_eq!(base["name"], "docker.io/library/pith-test-base:latest");
    assert_eq!(base["replaced"], serde_json::json!([]));
    // The same again, from an archive and in a layout.
    env.tool(
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            "-q",
            "oci:project/base",
            "oci-archive:project/base.tar:x",
        ],
    )
    .expect_success();
    let layout = pack(&["-f", "oci", "-o", "on", "--base", "base.tar"]);
    assert_eq!(layout["image"]["base"]["digest"], base["digest"]);

    let verified = env.pith(&["image", "verify", "on.tar", "--json"]);
    let verified = verified.expect_success().json();
    let layers = verified["base_layers"].as_array().map(Vec::len);
    assert_eq!(
        layers,
        base["layers"]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
    );

    let _turn = PodmanTurn::take();
    env.podman(&["load", "-q", "-i", "project/on.tar"])
        .expect_success();
    let said = env.podman_run(&["--network=none", NAME]).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    let script = "[ -L /bin ] && [ -L /lib ] && hello && [ $A = b ] && redis-cli --version";
    let options = [
        "--network=none",
        "--entrypoint",
        "/bin/sh",
        NAME,
        "-c",
        script,
    ];
    let said = env.podman_run(&options).expect_success().stdout;
    assert!(said.starts_with("Hello, world!\nredis-cli "), "{said}");
    env.remove_image(NAME);
}

#[test]
fn an_image_that_podman_saved_is_a_base() {
    let env = TestEnv::with_shared_store();
    for directory in ["usr/bin", "etc", "srv"] {
        fs::create_dir_all(env.path("tree").join(directory)).expect("the place is ours");
    }
    env.write(
        "tree/etc/passwd",
        "root:x:0:0::/:/bin/sh\nweb:x:33:33::/srv:/bin/sh\n",
    );
    env.write("tree/srv/page", "of the base\n");
    std::os::unix::fs::symlink("usr/bin", env.path("tree/bin")).expect("the place is ours");
    env.tool("tar", &["-cf", "tree.tar", "-C", "tree", "."])
        .expect_success();
    let _turn = PodmanTurn::take();
    let imported = "pith-test-imported";
    let changes = [
        "--change",
        "USER web",
        "--change",
        "WORKDIR /srv",
        "--change",
        "ENV A=b",
    ];
    let import = [&["import", "-q"], &changes[..], &["tree.tar", imported]].concat();
    env.podman(&import).expect_success();
    env.podman(&["save", "-q", "-o", "saved.tar", imported])
        .expect_success();
    env.remove_image(imported);

    let report = pack_on(&env, "../saved.tar", &["-o", "../on.tar"]);
    assert_eq!(report["image"]["base"]["layers"], 1);
    env.pith(&["image", "verify", "../on.tar"]).expect_success();
    env.podman(&["load", "-q", "-i", "on.tar"]).expect_success();
    let inspected = env.podman(&["image", "inspect", NAME]);
    let config = &inspected.expect_success().json()[0]["Config"];
    assert_eq!(config["User"], "web");
    assert_eq!(config["WorkingDir"], "/srv");
    let variables = config["Env"].as_array().expect("a list");
    assert!(variables.contains(&"A=b".into()), "{config}");
    let said = env.podman_run(&["--network=none", NAME]).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    let created = env.podman(&["create", "-q", NAME]).expect_success();
    env.podman(&["export", "-o", "exported.tar", created.line()])
        .expect_success();
    env.podman(&["rm", "-f", created.line()]).expect_success();
    env.remove_image(NAME);
    let listed = env
        .tool("tar", &["-tvf", "exported.tar"])
        .expect_success()
        .stdout;
    assert!(listed.contains(" bin -> usr/bin\n"), "{listed}");
    assert!(
        listed.contains(" usr/bin/hello -> /pith/store/"),
        "{listed}"
    );
    assert!(listed.contains(" srv/page\n"), "{listed}");
}

#[test]
fn layers_of_a_base_in_a_registry_are_taken_from_where_it_lies() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let base = format!("{}/team/base:1", registry.address);
    let name = format!("{}/team/on-base:1", registry.address);
    env.pith(&["pack", "jq", "-q", "--push", &base])
        .expect_success();
    let pushed = pack_on(&env, &base, &["--push", &name]);
    let layers = &pushed["image"]["base"]["layers"];
    assert_eq!(pushed["pushed"][0]["mounted_blobs"], *layers, "{pushed}");
    let again = pack_on(&env, &base, &["--push", &name]);
    assert_eq!(again["pushed"][0]["unchanged"], true);
    // By its digest, it is the same one.
    let digest = &pushed["image"]["base"]["digest"];
    let digest = digest.as_str().expect("a digest");
    let by_digest = format!("{}/team/base@{digest}", registry.address);
    let pinned = pack_on(&env, &by_digest, &["-o", "../pinned.tar"]);
    assert_eq!(pinned["image"]["base"]["digest"], digest);
    let place = format!("docker://{name}");
    let inspect = ["inspect", "--raw", "--tls-verify=false", &place];
    let manifest = env.tool("skopeo", &inspect).expect_success().json();
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["org.opencontainers.image.base.digest"], digest);
    assert_eq!(annotations["org.opencontainers.image.base.name"], base);
    env.pith(&["image", "verify", &name]).expect_success();
    // The bills that are attached say what it lies on, and that they do not say what is in that.
    let place = format!("docker://{name}");
    env.pith(&["sbom", &place, "-q", "-o", "bill.json"])
        .expect_success();
    let bill = fs::read(env.path("project/bill.json")).expect("it was written");
    let bill: Value = serde_json::from_slice(&bill).expect("it is JSON");
    let ancestor = &bill["metadata"]["component"]["pedigree"]["ancestors"][0];
    assert_eq!(ancestor["version"], *digest, "{bill}");
    assert_eq!(ancestor["name"], base);
    fs::create_dir(env.path("project/db")).expect("the place is ours");
    let looked = env.pith(&["vulns", "bill.json", "--db", "db", "--json"]);
    let problems = &looked.expect_status(5).json()["undecided"];
    let problems = problems.as_array().expect("a list");
    assert!(
        problems.iter().any(|one| one["code"] == "V106"),
        "{problems:?}"
    );
}

#[test]
fn what_cannot_lie_on_a_base_is_refused_before_anything_is_built() {
    let env = TestEnv::with_shared_store();
    for format in ["tar", "dir", "squashfs", "bundle", "run", "initramfs"] {
        let arguments = ["pack", "hello", "-q", "-f", format, "--base", "nowhere.tar"];
        let refused = env.pith(&arguments).expect_status(1).stderr;
        let expected = format!("error: an image on a base cannot be written as `{format}`");
        assert!(refused.starts_with(&expected), "{refused}");
        assert!(refused.contains("hint: "), "{refused}");
    }
    let missing = env.pith(&["pack", "hello", "-q", "--base", "nowhere.tar"]);
    let missing = missing.expect_status(1).stderr;
    assert!(
        missing.contains("cannot read `") && missing.contains("nowhere.tar"),
        "{missing}"
    );
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let set = ["pack", "debian:dash", "-q", "--base", "hello.tar"];
    let refused = env.pith(&set).expect_status(1).stderr;
    assert!(refused.contains("packages of a distribution"), "{refused}");
}

/// What `audit` says of an image: its exit status, and the components that it lists.
fn audited(env: &TestEnv, image: &str) -> Vec<String> {
    let day = ["--date", "2026-11-22"];
    env.pith(&[&["audit", image, "-q"], &day[..]].concat())
        .expect_success();
    env.pith(&["audit", "--bytes", image, "-q"])
        .expect_success();
    let listed = env.pith(&["audit", image, "--list", "--json"]);
    let listed = listed.expect_success().json();
    let rows = listed["rows"].as_array().expect("a list").iter();
    let name = |row: &Value| {
        let key = row["key"].as_str().expect("a text");
        key.rsplit_once('-')
            .map_or(key, |(name, _)| name)
            .to_owned()
    };
    rows.map(name).collect()
}

#[test]
fn an_image_on_one_of_pith_takes_what_is_there_and_says_what_all_of_it_is() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-o", "base.tar"])
        .expect_success();
    let pack = |root: &str, base: &str, name: &str, out: &str| {
        let arguments = [
            "pack", root, "--json", "--base", base, "-n", name, "-o", out,
        ];
        env.pith(&arguments).expect_success().json()
    };
    let report = pack("jq", "base.tar", NAME, "app.tar");
    let shared = report["image"]["base"]["shared"].as_array();
    let shared = shared.expect("a list").iter().filter_map(Value::as_str);
    let shared: Vec<&str> = shared.collect();
    assert!(
        matches!(shared[..], [path] if path.contains("-glibc-")),
        "{shared:?}"
    );
    let layers = report["image"]["layers"].as_array().expect("a list");
    assert!(
        !layers
            .iter()
            .any(|layer| layer.to_string().contains("-glibc-"))
    );

    let components = audited(&env, "app.tar");
    for name in ["glibc", "hello", "jq", "oniguruma"] {
        let count = components.iter().filter(|one| *one == name).count();
        assert_eq!(count, 1, "{name} in {components:?}");
    }
    let verified = env.pith(&["image", "verify", "app.tar", "--json"]);
    let verified = verified.expect_success().json();
    assert_eq!(verified["objects"], 4);
    let bill = env.pith(&["sbom", "app.tar", "-f", "spdx", "-q"]);
    env.write("project/bill.json", &bill.expect_success().stdout);
    fs::create_dir(env.path("project/db")).expect("the place is ours");
    for subject in ["app.tar", "bill.json"] {
        let looked = env.pith(&["vulns", subject, "--db", "db", "--json"]);
        let problems = &looked.expect_status(5).json()["undecided"];
        let mut problems = problems.as_array().expect("a list").iter();
        assert!(problems.all(|one| one["code"] != "V106"), "{subject}");
    }

    let turn = PodmanTurn::take();
    env.podman(&["load", "-q", "-i", "project/app.tar"])
        .expect_success();
    let run = |program: &str, further: &[&str]| {
        let options = ["--network=none", "--entrypoint", program, NAME];
        let said = env.podman_run(&[&options, further].concat());
        said.expect_success().stdout
    };
    assert_eq!(run("/bin/hello", &[]), "Hello, world!\n");
    assert_eq!(run("/bin/jq", &["-n", "1+1"]), "2\n");
    env.remove_image(NAME);
    drop(turn);

    // Another base of pith, which has what the old one had, and one that has not.
    pack("zlib", "base.tar", "newer", "newer.tar");
    let rebase = |new: &str| {
        let arguments = ["image", "rebase", "app.tar", "rebased.tar"];
        let bases = ["--old-base", "base.tar", "--new-base", new];
        env.pith(&[&arguments[..], &bases].concat())
    };
    rebase("newer.tar").expect_success();
    assert!(audited(&env, "rebased.tar").contains(&"zlib".to_owned()));
    fs::remove_file(env.path("project/rebased.tar")).expect("it was written");
    env.pith(&["pack", "ca-certificates", "-q", "-o", "lacking.tar"])
        .expect_success();
    let refused = rebase("lacking.tar").expect_status(1).stderr;
    assert!(
        refused.contains("-glibc-") && refused.contains("does not have it"),
        "{refused}"
    );
    assert!(refused.contains("hint: `pith pack --base`"), "{refused}");
    assert!(!env.path("project/rebased.tar").exists());
}

#[test]
fn other_tools_unpack_an_image_on_a_base() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "jq", "-q", "-o", "base.tar"])
        .expect_success();
    pack_on(&env, "base.tar", &["-f", "oci", "-o", "../on"]);
    let mut unpack = Command::new("umoci");
    unpack.arg("unpack");
    if !tests::is_root() {
        unpack.arg("--rootless");
    }
    let image = format!("{}:latest", env.path("on").display());
    let bundle = env.path("bundle");
    unpack.args(["--image", &image]).arg(&bundle);
    tests::run(&mut unpack).expect_success();
    for program in ["bin/hello", "bin/jq"] {
        let link = fs::read_link(bundle.join("rootfs").join(program)).expect("it is a link");
        let inner = link.strip_prefix("/").expect("it is absolute");
        assert!(bundle.join("rootfs").join(inner).is_file(), "{program}");
    }
    let bill = Path::new("rootfs/usr/share/sbom").join(format!("{NAME}.spdx.json"));
    let bill = fs::read(bundle.join(bill)).expect("it is in the image");
    let bill: Value = serde_json::from_slice(&bill).expect("it is JSON");
    let relationships = bill["relationships"].as_array().expect("a list");
    let is_on_base = |one: &&Value| one["relationshipType"] == "DESCENDANT_OF";
    assert_eq!(relationships.iter().filter(is_on_base).count(), 1);
}
