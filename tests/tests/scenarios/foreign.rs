//! Images that others have changed, or that lie on those of others: what is said of what pith did not make.

use std::os::unix::fs::symlink;

use serde_json::Value;
use tests::{Finished, TestEnv};

/// What a container needs where root may not raise limits.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// Buildah with a storage of the scenario's own.
struct Buildah<'a> {
    env: &'a TestEnv,
    storage: [String; 6],
}

impl<'a> Buildah<'a> {
    fn new(env: &'a TestEnv) -> Self {
        let place = |name: &str| env.path(name).display().to_string();
        let storage = ["--storage-driver", "vfs", "--root"].map(str::to_owned);
        let [driver, vfs, root] = storage;
        let storage = [
            driver,
            vfs,
            root,
            place("buildah"),
            "--runroot".to_owned(),
            place("buildah-run"),
        ];
        Self { env, storage }
    }

    fn run(&self, arguments: &[&str]) {
        let storage: Vec<&str> = self.storage.iter().map(String::as_str).collect();
        let done = self.env.tool("buildah", &[&storage, arguments].concat());
        done.expect_success();
    }

    /// Puts a directory of the scenario on an image, or on nothing, and writes an archive in the project.
    fn build(&self, from: &str, directory: &str, output: &str, format: &str) {
        let directory = self.env.path(directory).display().to_string();
        let output = self
            .env
            .path(&format!("project/{output}"))
            .display()
            .to_string();
        self.run(&[&["from", "-q", "--name", "app"][..], &LIMITS, &[from]].concat());
        self.run(&["copy", "-q", "app", &directory, "/"]);
        let to = format!("{format}-archive:{output}:app:1");
        self.run(&["commit", "-q", "--format", format, "--rm", "app", &to]);
    }
}

fn verify(env: &TestEnv, image: &str, flags: &[&str]) -> Finished {
    env.pith(&[&["image", "verify", image], flags].concat())
}

fn account(env: &TestEnv, image: &str) -> Finished {
    env.pith(&["audit", "--bytes", image])
}

#[test]
fn an_image_with_dockers_manifest_is_known_as_ours_and_looked_into() {
    let env = TestEnv::with_shared_store();
    for (file, flags) in [
        ("docker.tar", &["--manifest-type", "docker"][..]),
        (
            "stable.tar",
            &["--manifest-type", "docker", "--stable-paths"],
        ),
        ("oci.tar", &[]),
    ] {
        env.pith(&[&["pack", "hello", "-q", "-o", file], flags].concat())
            .expect_success();
        let verified = verify(&env, file, &["--json"]).expect_success().json();
        assert_eq!(verified["of_others"], 0, "{file}");
        assert_eq!(verified["objects"], 2, "{file}");
        account(&env, file).expect_success();
    }
    // Turned into the other kind by others, it has lost what its annotations say.
    let copy = [
        "copy",
        "-q",
        "docker-archive:project/oci.tar",
        "oci:project/converted:1",
    ];
    env.tool("skopeo", &copy).expect_success();
    let verified = verify(&env, "converted", &["--json"])
        .expect_success()
        .json();
    assert_eq!(
        (&verified["of_others"], &verified["objects"]),
        (&Value::from(0), &Value::from(2))
    );
}

#[test]
fn what_somebody_put_on_an_image_of_ours_is_named_and_is_no_damage() {
    let env = TestEnv::with_shared_store();
    let buildah = Buildah::new(&env);
    env.write("further/srv/own", "mine\n");
    env.write("further/srv/second", "mine too\n");
    env.pith(&["pack", "hello", "-q"]).expect_success();
    let hello = env.path("project/hello.tar").display().to_string();
    for (format, file) in [("oci", "oci.tar"), ("docker", "docker.tar")] {
        buildah.build(&format!("oci-archive:{hello}"), "further", file, format);
        let said = verify(&env, file, &[]).expect_status(3);
        let first =
            "`srv/own`: belongs to no store path: it is in a layer that pith did not make\n";
        assert!(said.stdout.starts_with(first), "{}", said.stdout);
        assert_eq!(said.stdout.lines().count(), 2);
        assert!(said.stderr.contains("2 mismatches"), "{}", said.stderr);
        verify(&env, file, &["--allow", "/srv"]).expect_success();
        let said = account(&env, file).expect_status(3).stdout;
        assert!(
            said.contains("B102: `/srv/own` belongs to no store path"),
            "{said}"
        );
        assert!(!said.contains("B101"), "{said}");
    }
}

#[test]
fn on_a_base_of_others_its_directories_lists_and_links_are_known() {
    let env = TestEnv::with_shared_store();
    let buildah = Buildah::new(&env);
    env.write(
        "plain/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/false\n",
    );
    env.write("plain/etc/group", "root:x:0:\n");
    env.write("plain/usr/lib/os-release", "ID=plain\n");
    env.write("linked/usr/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    env.write("linked/usr/bin/true", "");
    for name in ["etc", "bin"] {
        let link = env.path(&format!("linked/{name}"));
        symlink(format!("usr/{name}"), link).expect("the place is ours");
    }
    for base in ["plain", "linked"] {
        let file = format!("{base}.tar");
        buildah.build("scratch", base, &file, "oci");
        let on = format!("on-{base}.tar");
        for flags in [&[][..], &["--manifest-type", "docker"]] {
            env.pith(&[&["pack", "hello", "-q", "--base", &file, "-o", &on], flags].concat())
                .expect_success();
            let verified = verify(&env, &on, &["--json"]).expect_success().json();
            assert_eq!(
                verified["base_layers"].as_array().map(Vec::len),
                Some(1),
                "{on}"
            );
            // Nobody says what is in the base, and that is all.
            let said = account(&env, &on).expect_status(5).stdout;
            for finding in ["B101", "B102", "unattributed"] {
                assert!(!said.contains(finding), "{said}");
            }
        }
    }
}
