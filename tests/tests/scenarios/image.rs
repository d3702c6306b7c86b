//! Images that are there already: shown, moved, compared, verified and signed.

use std::fs;

use tests::{TestEnv, other_servers::Registry, run};

#[test]
fn an_image_goes_from_a_file_to_a_registry_and_back_as_it_is() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let packed = env.pith(&["pack", "hello", "-q", "-o", "hello.tar", "--json"]);
    let digest = packed.expect_success().json()["manifest"].clone();
    let reference = format!("{}/team/hello:1", registry.address);
    let place = format!("{}/team/hello@", registry.address);
    let push = || env.pith(&["image", "push", "hello.tar", &reference]);
    let pushed = push().expect_success();
    assert_eq!(
        Some(pushed.line().replace(&place, "").as_str()),
        digest.as_str()
    );
    assert!(pushed.stderr.contains("sent "), "{}", pushed.stderr);
    let again = push().expect_success();
    assert_eq!(
        again.stderr,
        format!("`{reference}` is this image already\n")
    );

    env.pith(&["image", "copy", &reference, "layout", "-f", "oci", "-q"])
        .expect_success();
    let target = format!("docker://{}/other:2", registry.address);
    env.pith(&["image", "copy", "layout:1", &target, "-q"])
        .expect_success();
    let repository = format!("{}/other", registry.address);
    let tags = env.pith(&["image", "ls", &repository]).expect_success();
    assert_eq!(tags.stdout, "2\n");
    let other = format!("{repository}:2");
    for image in ["hello.tar", "layout", &reference, &other] {
        let shown = env.pith(&["image", "inspect", image, "--json"]);
        let shown = shown.expect_success().json();
        assert_eq!(shown["digest"], digest, "{image}");
        let packages = shown["images"][0]["packages"].as_array();
        let paths: Vec<&str> = (packages.into_iter().flatten())
            .filter_map(|package| package["path"].as_str())
            .collect();
        assert_eq!(paths.len(), env.closure("hello", &[]).len());
        let verified = env.pith(&["image", "verify", image]).expect_success();
        assert_eq!(verified.stdout, "");
        let same = env.pith(&["image", "diff", "hello.tar", image, "--exit-code"]);
        assert_eq!(same.expect_success().stderr, "both are the same\n");
    }
    env.pith(&["image", "inspect", "gone.tar"]).expect_status(1);
    env.pith(&["image", "inspect", "No/Name"]).expect_status(2);
}

#[test]
fn what_two_images_differ_in_is_named_and_status_3_says_that_they_do() {
    let env = TestEnv::with_shared_store();
    for name in ["hello", "jq"] {
        let archive = format!("{name}.tar");
        env.pith(&["pack", name, "-q", "-o", &archive])
            .expect_success();
    }
    let differ = ["image", "diff", "hello.tar", "jq.tar"];
    let said = env.pith(&differ).expect_success();
    for line in ["- hello 2.10, GPL-3.0-or-later", "    + /bin/jq"] {
        assert!(
            said.stdout.lines().any(|one| one == line),
            "{}",
            said.stdout
        );
    }
    assert!(said.stdout.contains(" shared, "), "{}", said.stdout);
    env.pith(&[&differ[..], &["--exit-code"]].concat())
        .expect_status(3);
    let report = env.pith(&[&differ[..], &["--json"]].concat());
    let report = report.expect_success().json();
    assert_eq!(report["same"], false);
    assert!(report["pull_bytes"].as_u64() <= report["new_size_bytes"].as_u64());
}

#[test]
fn a_damaged_image_has_status_4_and_is_not_copied() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let archive = env.path("project/hello.tar");
    let good = fs::read(&archive).expect("it was written");
    let mut bad = good.clone();
    // In the first layer: the documents are at the end.
    bad[good.len() / 2] ^= 1;
    fs::write(&archive, &bad).expect("it is ours");
    let said = env.pith(&["image", "verify", "hello.tar"]).expect_status(4);
    assert!(
        said.stdout.contains("its digest is sha256:"),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains("is not what it says: "),
        "{}",
        said.stderr
    );
    env.pith(&["image", "copy", "hello.tar", "copy.tar"])
        .expect_status(4);
    assert!(!env.path("project/copy.tar").exists());
}

#[test]
fn a_signature_is_good_for_its_key_and_its_image() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    for key in ["mine", "theirs"] {
        env.pith(&["key", "generate", "-q", "-o", key])
            .expect_success();
    }
    let pem = env.pith(&["key", "show", "mine", "--pem"]).expect_success();
    env.write("project/mine.pem", &pem.stdout);
    let reference = format!("{}/hello:1", registry.address);
    env.pith(&[
        "pack",
        "hello",
        "-q",
        "-o",
        "hello.tar",
        "--push",
        &reference,
    ])
    .expect_success();
    for image in ["hello.tar", &reference] {
        let unsigned = env.pith(&["image", "verify", "-q", image, "--key", "mine.pub"]);
        assert_eq!(
            unsigned.expect_status(3).stderr.lines().last().map(
                |line| line.ends_with("is not signed by the key `mine`: there is no signature")
            ),
            Some(true)
        );
        env.pith(&["image", "sign", "-q", image, "--key", "mine"])
            .expect_success();
        for key in ["mine", "mine.pub", "mine.pem"] {
            env.pith(&["image", "verify", "-q", image, "--key", key])
                .expect_success();
        }
        env.pith(&["image", "verify", "-q", image, "--key", "theirs.pub"])
            .expect_status(3);
    }
    assert!(env.path("project/hello.tar.sigstore.json").is_file());
    env.pith(&["pack", "jq", "-q", "-o", "hello.tar"])
        .expect_success();
    let other = env.pith(&["image", "verify", "-q", "hello.tar", "--key", "mine.pub"]);
    assert!(
        other
            .expect_status(3)
            .stderr
            .contains("it is the signature of another image")
    );
}

#[test]
fn the_program_that_keeps_credentials_is_asked_for_them() {
    let env = TestEnv::with_shared_store();
    let directory = env.path("home");
    let login = Registry::login(&directory).expect("it is ours");
    let registry = Registry::start(&login).expect("Debian's registry starts");
    let reference = format!("{}/hello:1", registry.address);
    env.write(
        "home/.docker/config.json",
        &format!(r#"{{"credHelpers":{{"{}":"test"}}}}"#, registry.address),
    );
    let pack = |script: &str| {
        let script = format!("#!/bin/sh\n{script}\n");
        env.write_script("bin/docker-credential-test", &script);
        let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
        let mut command = env.command(&["pack", "hello", "-q", "--push", &reference]);
        run(command.env("PATH", path))
    };
    let refused = pack("echo the safe is locked; exit 1").expect_status(1);
    assert_eq!(
        refused.stderr,
        format!(
            "error: `docker-credential-test` has no credentials for `{}`: the safe is locked\n",
            registry.address
        )
    );
    pack("echo credentials not found in native keychain; exit 1").expect_status(1);
    pack(r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"user\",\"Secret\":\"secret\"}""#)
        .expect_success();
}
