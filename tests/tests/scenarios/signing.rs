//! Signatures of images by keys that other programs make and read.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::{TestEnv, other_servers::Registry};

/// Makes a key as openssl does by default, in PKCS#8, and its public key beside it.
fn openssl_key(env: &TestEnv, name: &str) {
    let file = env.path(&format!("project/{name}")).display().to_string();
    let generate = ["genpkey", "-algorithm", "EC", "-out", &file];
    let curve = ["-pkeyopt", "ec_paramgen_curve:P-256"];
    env.tool("openssl", &[&generate[..], &curve].concat())
        .expect_success();
    let public = format!("{file}.pub");
    env.tool(
        "openssl",
        &["pkey", "-pubout", "-in", &file, "-out", &public],
    )
    .expect_success();
}

/// Copies what stands under the tag of an image's signatures and returns its signed texts, each in a file, with its signature in one beside it.
fn signed_texts(env: &TestEnv, registry: &Registry, digest: &str) -> Vec<(String, String)> {
    let tag = digest.replace(':', "-");
    let from = format!("docker://{}/hello:{tag}.sig", registry.address);
    let place = env.path("signatures");
    let to = format!("dir:{}", place.display());
    env.tool(
        "skopeo",
        &["copy", "-q", "--src-tls-verify=false", &from, &to],
    )
    .expect_success();
    let manifest = fs::read(place.join("manifest.json")).expect("skopeo has written it");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let layers = manifest["layers"].as_array().expect("layers");
    let file = |path: &Path| path.display().to_string();
    let text = |(at, layer): (usize, &Value)| {
        let blob = layer["digest"].as_str().expect("a digest");
        let blob = blob.trim_start_matches("sha256:");
        let signature = &layer["annotations"]["dev.cosignproject.cosign/signature"];
        let (encoded, decoded) = (
            place.join(format!("{at}.b64")),
            place.join(format!("{at}.sig")),
        );
        fs::write(&encoded, signature.as_str().expect("a signature")).expect("it is ours");
        let (encoded, decoded) = (file(&encoded), file(&decoded));
        env.tool(
            "openssl",
            &["base64", "-d", "-A", "-in", &encoded, "-out", &decoded],
        )
        .expect_success();
        (file(&place.join(blob)), decoded)
    };
    layers.iter().enumerate().map(text).collect()
}

#[test]
fn openssl_verifies_what_is_signed_by_its_keys_and_by_ours_of_their_kind() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let reference = format!("{}/hello:1", registry.address);
    openssl_key(&env, "its");
    for name in ["ours", "theirs"] {
        let made = env.pith(&["key", "generate", "--type", "p256", "-q", "-o", name]);
        let shown = env.pith(&["key", "show", name]).expect_success().stdout;
        assert_eq!(made.expect_success().stdout, shown);
        let public = fs::read_to_string(env.path(&format!("project/{name}.pub")));
        assert_eq!(public.expect("pith has written it"), shown);
    }
    // What openssl makes of our secret key is what we do.
    let ours = env.path("project/ours").display().to_string();
    let made = env.tool("openssl", &["pkey", "-in", &ours, "-pubout"]);
    let shown = env.pith(&["key", "show", "ours"]).expect_success().stdout;
    assert_eq!(made.expect_success().stdout, shown);

    let push = ["pack", "hello", "-q", "--json", "--push", &reference];
    let push = [&push[..], &["--attest-key", "ours"]].concat();
    let pushed = env.pith(&push).expect_success().json();
    let digest = pushed["manifest"].as_str().expect("a digest");
    for key in ["its", "ours", "its"] {
        let sign = [
            "image",
            "sign",
            "-q",
            &reference,
            "--legacy-sig",
            "--key",
            key,
        ];
        env.pith(&sign).expect_success();
    }
    let texts = signed_texts(&env, &registry, digest);
    assert_eq!(texts.len(), 2, "a signature is made once");
    for ((text, signature), (mine, other)) in texts.iter().zip([("its", "ours"), ("ours", "its")]) {
        let verify = |key: &str| {
            let key = env
                .path(&format!("project/{key}.pub"))
                .display()
                .to_string();
            let verify = [
                "dgst",
                "-sha256",
                "-verify",
                &key,
                "-signature",
                signature,
                text,
            ];
            env.tool("openssl", &verify).status
        };
        assert_eq!((verify(mine), verify(other)), (0, 1), "{mine}");
        let verify = ["image", "verify", &reference, "--json", "--key"];
        let verified = env.pith(&[&verify[..], &[&format!("{mine}.pub")]].concat());
        let verified = verified.expect_success().json();
        let attested = verified["attached"]["signed"].as_u64().expect("a number");
        assert_eq!(attested > 0, mine == "ours", "{verified}");
    }
    env.pith(&["image", "verify", "-q", &reference, "--key", "theirs.pub"])
        .expect_status(3);
}

#[test]
fn the_same_image_and_key_give_the_same_signature_in_a_file() {
    let env = TestEnv::with_shared_store();
    openssl_key(&env, "its");
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let sign = |file: &str| {
        let sign = [
            "image",
            "sign",
            "-q",
            "hello.tar",
            "--key",
            "its",
            "-o",
            file,
        ];
        env.pith(&sign).expect_success();
        fs::read(env.path(&format!("project/{file}"))).expect("pith has written it")
    };
    assert_eq!(sign("hello.tar.sigstore.json"), sign("again"));
    env.pith(&["image", "verify", "-q", "hello.tar", "--key", "its.pub"])
        .expect_success();
}

#[test]
fn a_key_that_cannot_sign_is_refused_as_what_it_is() {
    let env = TestEnv::with_shared_store();
    openssl_key(&env, "plain");
    let file = |name: &str| env.path(&format!("project/{name}")).display().to_string();
    let encrypt = [
        "pkcs8",
        "-topk8",
        "-passout",
        "pass:x",
        "-in",
        &file("plain"),
        "-out",
        &file("locked"),
    ];
    env.tool("openssl", &encrypt).expect_success();
    let refused = env.pith(&["image", "sign", "hello.tar", "--key", "locked"]);
    let said = refused.expect_status(1).stderr;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[0].starts_with("error: cannot use the secret key in `"),
        "{said}"
    );
    assert_eq!(lines[1], "  caused by: the secret key is encrypted");
    assert!(
        lines[2].starts_with("hint: `openssl pkey -in FILE -out PLAIN`"),
        "{said}"
    );
    let refused = env.pith(&["image", "sign", "hello.tar", "--key", "plain.pub"]);
    let said = refused.expect_status(1).stderr;
    let cause = "caused by: this is no secret key in PEM of a kind that is known: ed25519, or ECDSA on P-256";
    assert!(said.contains(cause), "{said}");
    let cache = format!("file://{}", file("cache"));
    let refused = env.pith(&["cache", "push", &cache, "hello", "--key", "plain"]);
    let said = refused.expect_status(1).stderr;
    assert!(
        said.contains("is for images: what goes into caches"),
        "{said}"
    );
    let named = [
        "key", "generate", "--type", "p256", "--name", "a", "-o", "named",
    ];
    env.pith(&named).expect_status(2);
}
