//! Tools that Debian 12 has not, out of Debian sid, read images and signatures. `tests/sid` starts them.

use std::fs;

use tests::{Finished, PodmanTurn, TestEnv, other_servers::Registry, run};

/// Whether tools are those of sid.
#[expect(clippy::print_stdout, reason = "what is left out must not go unsaid")]
fn is_sid() -> bool {
    let is_sid = std::env::var_os("PITH_TEST_SID").is_some();
    if !is_sid {
        println!("left out: this is for `tests/sid`, which `tests/run --full` runs");
    }
    is_sid
}

/// `hello` in Debian's registry, and two keys in whose files cosign reads the public halves.
struct Published {
    env: TestEnv,
    registry: Registry,
    reference: String,
    digest: String,
    mine: String,
    theirs: String,
}

impl Published {
    /// Pushes `hello`, with these flags too; `None` where tools are not those of sid.
    fn new(flags: &[&str]) -> Option<Self> {
        Self::with_keys("ed25519", flags)
    }

    /// The same with keys of this type.
    fn with_keys(kind: &str, flags: &[&str]) -> Option<Self> {
        if !is_sid() {
            return None;
        }
        let env = TestEnv::with_shared_store();
        let registry = Registry::start("").expect("Debian's registry starts");
        let reference = format!("{}/team/hello:1", registry.address);
        let (mine, theirs) = (key(&env, "mine", kind), key(&env, "theirs", kind));
        let push = ["pack", "hello", "-q", "--json", "--push", &reference];
        let pushed = env.pith(&[&push, flags].concat()).expect_success().json();
        let digest = pushed["manifest"].as_str().expect("it has a digest");
        Some(Self {
            digest: digest.to_owned(),
            env,
            registry,
            reference,
            mine,
            theirs,
        })
    }

    /// Signs it with my key.
    fn sign(&self, flags: &[&str]) {
        let sign = ["image", "sign", "-q", &self.reference, "--key", "mine"];
        let signed = self.env.pith(&[&sign, flags].concat());
        signed.expect_success();
    }

    /// Has cosign verify something by a key.
    fn cosign(&self, words: &[&str], key: &str) -> Finished {
        let flags = ["--insecure-ignore-tlog", "--allow-http-registry"];
        let last = ["--key", key, &self.reference];
        self.env.tool("cosign", &[words, &flags, &last].concat())
    }

    /// Has cosign find it signed by my key, and not by theirs.
    fn expect_mine(&self, words: &[&str]) {
        let verified = self.cosign(words, &self.mine).expect_success();
        if words[0] == "verify" {
            let payload = &verified.json()[0]["critical"]["image"];
            let digest = &payload["docker-manifest-digest"];
            assert_eq!(*digest, self.digest.as_str(), "{words:?}");
        }
        assert_ne!(self.cosign(words, &self.theirs).status, 0, "{words:?}");
    }
}

/// Makes a key of this type and returns the file in which cosign reads the public one.
fn key(env: &TestEnv, name: &str, kind: &str) -> String {
    env.pith(&["key", "generate", "-q", "-o", name, "--type", kind])
        .expect_success();
    let pem = env.pith(&["key", "show", name, "--pem"]).expect_success();
    let file = env.path(&format!("{name}.pem"));
    fs::write(&file, pem.stdout).expect("it is ours");
    file.display().to_string()
}

#[test]
fn crane_and_oras_read_what_is_pushed() {
    let Some(published) = Published::new(&[]) else {
        return;
    };
    published.sign(&[]);
    let Published {
        env,
        reference,
        digest,
        ..
    } = &published;
    let crane = |arguments: &[&str]| env.tool("crane", arguments).expect_success().stdout;
    assert_eq!(crane(&["digest", "--insecure", reference]).trim(), digest);
    crane(&["validate", "--insecure", "--remote", reference]);
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let archive = env.path("project/hello.tar").display().to_string();
    crane(&["validate", "--tarball", &archive]);

    let copy = [
        "copy",
        "--from-plain-http",
        "--to-oci-layout",
        reference,
        "layout:1",
    ];
    env.tool("oras", &copy).expect_success();
    let layout = env.path("layout").display().to_string();
    let verified = env.pith(&["image", "verify", &layout]);
    verified.expect_success();
    let inspected = env.pith(&["image", "inspect", &layout, "--json"]);
    assert_eq!(inspected.expect_success().json()["digest"], digest.as_str());

    let discover = ["discover", "--plain-http", "--format", "json", reference];
    let listed = env.tool("oras", &discover).expect_success().json();
    let kinds = listed["referrers"].as_array().expect("a list");
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert!(
        kinds.iter().any(|kind| kind["artifactType"] == bundle),
        "{listed}"
    );
}

/// What makes cosign 3 read signatures as those before it wrote them.
const OLD: &str = "--new-bundle-format=false";

#[test]
fn cosign_verifies_what_was_signed() {
    for (kind, flags, verifications) in [
        ("ed25519", &[][..], &[&["verify"][..]][..]),
        (
            "ed25519",
            &["--legacy-sig"],
            &[&["verify", OLD], &["verify"]],
        ),
        ("p256", &["--legacy-sig"], &[&["verify", OLD], &["verify"]]),
    ] {
        let Some(published) = Published::with_keys(kind, &[]) else {
            return;
        };
        published.sign(flags);
        for words in verifications {
            published.expect_mine(words);
        }
    }
}

#[test]
fn cosign_verifies_the_documents_that_a_push_attaches() {
    for key in ["ed25519", "p256"] {
        let Some(published) = Published::with_keys(key, &["--attest-key", "mine"]) else {
            return;
        };
        for kind in ["slsaprovenance1", "spdxjson", "cyclonedx"] {
            published.expect_mine(&["verify-attestation", "--type", kind]);
        }
    }
}

#[test]
fn a_signature_by_cosign_comes_beside_ours_and_both_are_found() {
    let Some(published) = Published::new(&[]) else {
        return;
    };
    published.sign(&["--legacy-sig"]);
    let env = &published.env;
    let cosign = |arguments: &[&str]| {
        let without_password = ["COSIGN_PASSWORD=", "cosign"];
        env.tool("env", &[&without_password, arguments].concat())
            .expect_success();
    };
    cosign(&["generate-key-pair"]);
    let (address, digest) = (&published.registry.address, &published.digest);
    let by_digest = format!("{address}/team/hello@{digest}");
    cosign(&[
        "sign",
        "--yes",
        "--key",
        "cosign.key",
        "--use-signing-config=false",
        "--tlog-upload=false",
        OLD,
        "--allow-http-registry",
        &by_digest,
    ]);
    let verify =
        |key: &str| env.pith(&["image", "verify", "-q", &published.reference, "--key", key]);
    let its_key = env.path("cosign.pub").display().to_string();
    for key in [&its_key, &published.mine] {
        verify(key).expect_success();
        published.cosign(&["verify", OLD], key).expect_success();
    }
    verify(&published.theirs).expect_status(3);
}

#[test]
fn podman_pulls_from_us_and_only_what_it_lacks() {
    if !is_sid() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let _turn = PodmanTurn::take();
    let path = std::env::var_os("PATH").expect("`tests/sid` sets it");
    for (name, lacked) in [
        // The libraries, the program, and the files that every image has of its own.
        (
            "localhost/pith-sid:1",
            "podman lacked 3 layers of the image\n",
        ),
        (
            "localhost/pith-sid:1",
            "podman lacked 0 layers of the image\n",
        ),
        (
            "localhost/pith-sid:2",
            "podman lacked 0 layers of the image\n",
        ),
        (
            "localhost/pith-sid-other:1",
            "podman lacked 1 layer of the image\n",
        ),
    ] {
        let mut command = env.pack_into_podman(&["hello", "-v", "-n", name]);
        let loaded = run(command.env("PATH", &path)).expect_success();
        assert!(loaded.stderr.contains(lacked), "{name}\n{}", loaded.stderr);
        let said = env.podman_run(&["--network=none", name]).expect_success();
        assert_eq!(said.stdout, "Hello, world!\n");
    }
    for name in ["pith-sid:1", "pith-sid:2", "pith-sid-other:1"] {
        env.remove_image(&format!("localhost/{name}"));
    }
}
