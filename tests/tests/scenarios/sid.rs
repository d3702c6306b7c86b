//! Tools that Debian 12 has not, out of Debian sid, read images and signatures. `tests/sid` starts them.

use std::fs;

use tests::{TestEnv, other_servers::Registry};

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

#[test]
fn cosign_verifies_what_was_signed_and_oras_lists_it() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/team/hello:1", registry.address);
    let digest = push(&env, &reference);
    for key in ["mine", "theirs"] {
        env.pith(&["key", "generate", "-q", "-o", key])
            .expect_success();
        let pem = env.pith(&["key", "show", key, "--pem"]).expect_success();
        fs::write(env.path(&format!("{key}.pem")), pem.stdout).expect("it is ours");
    }
    env.pith(&["image", "sign", "-q", &reference, "--key", "mine"])
        .expect_success();
    let verify = |key: &str| {
        let flags = ["--insecure-ignore-tlog", "--allow-http-registry"];
        let arguments = [&["verify", "--key", key][..], &flags, &[&reference]].concat();
        env.tool("cosign", &arguments)
    };
    let verified = verify("mine.pem").expect_success();
    let payload = &verified.json()[0]["critical"]["image"];
    assert_eq!(payload["docker-manifest-digest"], digest.as_str());
    assert_ne!(verify("theirs.pem").status, 0);

    let discover = ["discover", "--plain-http", "--format", "json", &reference];
    let listed = env.tool("oras", &discover).expect_success().json();
    assert_eq!(
        listed["referrers"][0]["artifactType"], "application/vnd.dev.sigstore.bundle.v0.3+json",
        "{listed}"
    );
}
