//! Tools that Debian 12 has not, out of Debian sid, read images and signatures. `tests/sid` starts them.

use std::fs;

use tests::{Finished, TestEnv, other_servers::Registry};

/// Whether tools are those of sid.
#[expect(clippy::print_stdout, reason = "what is left out must not go unsaid")]
fn is_sid() -> bool {
    let is_sid = std::env::var_os("PITH_TEST_SID").is_some();
    if !is_sid {
        println!("left out: this is for `tests/sid`, which `tests/run --full` runs");
    }
    is_sid
}

/// Pushes `hello` and returns its digest.
fn push(env: &TestEnv, reference: &str) -> String {
    let pushed = env.pith(&["pack", "hello", "-q", "--push", reference, "--json"]);
    let report = pushed.expect_success().json();
    let digest = report["manifest"].as_str();
    digest.expect("it has a digest").to_owned()
}

#[test]
fn crane_and_oras_read_what_is_pushed() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let digest = push(&env, &reference);
    let crane = |arguments: &[&str]| env.tool("crane", arguments).expect_success().stdout;
    assert_eq!(crane(&["digest", "--insecure", &reference]).trim(), digest);
    crane(&["validate", "--insecure", "--remote", &reference]);
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let archive = env.path("project/hello.tar").display().to_string();
    crane(&["validate", "--tarball", &archive]);

    let copy = [
        "copy",
        "--from-plain-http",
        "--to-oci-layout",
        &reference,
        "layout:1",
    ];
    env.tool("oras", &copy).expect_success();
    let layout = env.path("layout").display().to_string();
    let verified = env.pith(&["image", "verify", &layout]);
    verified.expect_success();
    let inspected = env.pith(&["image", "inspect", &layout, "--json"]);
    assert_eq!(inspected.expect_success().json()["digest"], digest.as_str());
}

/// Makes a key and returns the file in which cosign reads the public one.
fn key(env: &TestEnv, name: &str) -> String {
    env.pith(&["key", "generate", "-q", "-o", name])
        .expect_success();
    let pem = env.pith(&["key", "show", name, "--pem"]).expect_success();
    let file = format!("{name}.pem");
    fs::write(env.path(&file), pem.stdout).expect("it is ours");
    file
}

/// Has cosign verify something of an image by a key.
fn cosign(env: &TestEnv, command: &str, key: &str, more: &[&str], reference: &str) -> Finished {
    let flags = ["--insecure-ignore-tlog", "--allow-http-registry"];
    let arguments = [&[command, "--key", key][..], &flags, more, &[reference]].concat();
    env.tool("cosign", &arguments)
}

#[test]
fn cosign_verifies_what_was_signed_and_oras_lists_it() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let digest = push(&env, &reference);
    let (mine, theirs) = (key(&env, "mine"), key(&env, "theirs"));
    env.pith(&["image", "sign", "-q", &reference, "--key", "mine"])
        .expect_success();
    let verified = cosign(&env, "verify", &mine, &[], &reference).expect_success();
    let payload = &verified.json()[0]["critical"]["image"];
    assert_eq!(payload["docker-manifest-digest"], digest.as_str());
    assert_ne!(cosign(&env, "verify", &theirs, &[], &reference).status, 0);

    let discover = ["discover", "--plain-http", "--format", "json", &reference];
    let listed = env.tool("oras", &discover).expect_success().json();
    let kinds = listed["referrers"].as_array().expect("a list");
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert!(
        kinds.iter().any(|kind| kind["artifactType"] == bundle),
        "{listed}"
    );
}

#[test]
fn cosign_and_we_verify_each_others_signatures_of_the_old_form() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let digest = push(&env, &reference);
    let (mine, other) = (key(&env, "mine"), key(&env, "other"));
    let sign = ["image", "sign", "-q", &reference, "--legacy-sig", "--key"];
    env.pith(&[&sign[..], &["mine"]].concat()).expect_success();
    let old = ["--new-bundle-format=false"];
    let verified = cosign(&env, "verify", &mine, &old, &reference).expect_success();
    let payload = &verified.json()[0]["critical"]["image"];
    assert_eq!(payload["docker-manifest-digest"], digest.as_str());
    assert_ne!(cosign(&env, "verify", &other, &old, &reference).status, 0);
    cosign(&env, "verify", &mine, &[], &reference).expect_success();

    // Theirs comes beside ours, and both are found.
    let without_password = ["COSIGN_PASSWORD=", "cosign"];
    let generate = [&without_password[..], &["generate-key-pair"]].concat();
    env.tool("env", &generate).expect_success();
    let by_digest = format!("{}/team/hello@{digest}", registry.address);
    let signing = [
        "sign",
        "--yes",
        "--key",
        "cosign.key",
        "--use-signing-config=false",
        "--tlog-upload=false",
        "--new-bundle-format=false",
        "--allow-http-registry",
        &by_digest,
    ];
    env.tool("env", &[&without_password[..], &signing].concat())
        .expect_success();
    let their_key = env.path("cosign.pub").display().to_string();
    let our_key = env.path("mine.pem").display().to_string();
    for key in [their_key.as_str(), &our_key] {
        env.pith(&["image", "verify", "-q", &reference, "--key", key])
            .expect_success();
        cosign(&env, "verify", key, &old, &reference).expect_success();
    }
    let theirs = env.path("other.pem").display().to_string();
    let refused = env.pith(&["image", "verify", "-q", &reference, "--key", &theirs]);
    assert_eq!(refused.status, 3);
}

#[test]
fn cosign_verifies_the_documents_that_a_push_attaches() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let (mine, theirs) = (key(&env, "mine"), key(&env, "theirs"));
    let secret = env.path("project/mine").display().to_string();
    let pushing = ["pack", "hello", "-q", "--push", &reference, "--attest-key"];
    env.pith(&[&pushing[..], &[&secret]].concat())
        .expect_success();
    for kind in ["slsaprovenance1", "spdxjson", "cyclonedx"] {
        let verify = |key: &str| {
            cosign(
                &env,
                "verify-attestation",
                key,
                &["--type", kind],
                &reference,
            )
        };
        verify(&mine).expect_success();
        assert_ne!(verify(&theirs).status, 0, "{kind}");
    }
}
