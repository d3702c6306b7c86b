//! Where bytes come from: accounts of images, traces, notices, and bundles of sources that become the same image again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::TestEnv;

#[test]
fn every_byte_of_an_image_is_accounted_for_and_a_planted_file_is_not() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    for subject in ["hello.tar", "hello"] {
        let accounts = env.pith(&["audit", "--bytes", subject, "--json"]);
        let accounts = accounts.expect_success().json();
        let account = &accounts["accounts"][0];
        assert_eq!(account["findings"], Value::Array(Vec::new()));
        let layers = account["layers"].as_array().expect("there are layers");
        for layer in layers {
            let number = |name: &str| layer[name].as_u64().expect("it is a number");
            let shares = layer["shares"].as_array().expect("there are shares");
            let shares = shares.iter().filter_map(|share| share["bytes"].as_u64());
            let sum = shares.sum::<u64>()
                + number("header_bytes")
                + number("padding_bytes")
                + number("end_bytes");
            assert_eq!(sum, number("tar_bytes"));
        }
    }
    env.pith(&["audit", "--bytes", "hello.tar", "--no-store"])
        .expect_success();

    // One bit in a layer: the documents are at the end.
    let archive = env.path("project/hello.tar");
    let mut bytes = fs::read(&archive).expect("it was written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, &bytes).expect("it is ours");
    let said = env
        .pith(&["audit", "--bytes", "hello.tar"])
        .expect_status(4);
    assert!(said.stdout.contains("B101: "), "{}", said.stdout);
}

#[test]
fn a_file_is_traced_to_its_recipe_and_sources() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    let path = env.pith(&["build", "hello", "-q"]).expect_success();
    for file in ["hello.tar:/bin/hello", "hello:/bin/hello"] {
        let traced = env.pith(&["trace", file, "--json"]).expect_success().json();
        let traced = &traced["files"][0];
        assert_eq!(traced["links"], serde_json::json!(["/bin/hello"]));
        let object = traced["object"].as_str().expect("it is of a store path");
        assert!(path.line().ends_with(object), "{object}");
        let from = &traced["from"];
        let recipe = from["recipe"].as_str().expect("there is a recipe");
        assert!(recipe.starts_with("//hello/recipe.star:"), "{recipe}");
        assert_eq!(
            from["sources"][0]["digest"],
            "sha256:31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"
        );
        assert_eq!(from["license"]["declared"], "GPL-3.0-or-later");
        let sha256 = traced["sha256"].as_str().expect("there is a digest");
        let again = env.pith(&["trace", &format!("sha256:{sha256}"), "hello.tar", "--json"]);
        let again = again.expect_success().json();
        assert_eq!(again["files"][0]["object"], object);
    }
    // Without its store an image knows what its bill says.
    let other = TestEnv::new();
    let archive = env.path("project/hello.tar");
    let file = format!("{}:/bin/hello", archive.display());
    let said = other.pith(&["trace", &file]).expect_success().stdout;
    assert!(said.contains("GPL-3.0-or-later"), "{said}");
    assert!(
        said.contains("this is what the image says of itself"),
        "{said}"
    );
    env.pith(&["trace", "hello.tar:/none"]).expect_status(3);
    env.pith(&["trace", "hello.tar"]).expect_status(2);
}

#[test]
fn a_bundle_of_sources_becomes_the_same_image_again_and_damage_is_found() {
    let env = TestEnv::with_shared_store();
    let packed = env.pith(&["pack", "hello", "-q", "-o", "hello.tar", "--json"]);
    let digest = packed.expect_success().json()["manifest"].clone();
    let written = env.pith(&["sources", "hello", "-o", "hello-sources.tar", "--json"]);
    let written = written.expect_success().json();
    assert_eq!(written["image"], digest);
    assert_eq!(written["gaps"], Value::Array(Vec::new()));
    env.pith(&["sources", "hello", "-o", "again.tar"])
        .expect_success();
    let read = |name: &str| fs::read(env.path(&format!("project/{name}"))).expect("it is there");
    assert!(
        read("hello-sources.tar") == read("again.tar"),
        "two bundles of one closure differ"
    );

    let checked = env.pith(&["sources", "--verify", "again.tar", "--rebuild", "--json"]);
    let checked = checked.expect_success().json();
    assert_eq!(checked["rebuilt"], digest);

    env.pith(&["sources", "hello", "-o", "bundle"])
        .expect_success();
    let bundle = env.path("project/bundle");
    let manifest = fs::read(bundle.join("MANIFEST.json")).expect("it is there");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let components = manifest["components"].as_array().expect("there are some");
    let component = |name: &str| {
        let found = components.iter().find(|one| one["name"] == name);
        found.expect("it is in the bundle")
    };
    // The C library is made of Debian's binaries; its license asks for what they were built from.
    let packages = component("glibc")["source_packages"].as_array();
    let packages = packages.expect("there is a list").iter();
    let packages: BTreeSet<&str> = packages.filter_map(|one| one["name"].as_str()).collect();
    for name in ["glibc_2.36.orig.tar.xz", "gcc-12_12.2.0.orig.tar.gz"] {
        assert!(packages.contains(name), "{name} is not in {packages:?}");
    }
    let source = component("hello")["sources"][0]["file"].as_str();
    let source = bundle.join(source.expect("it is in the bundle"));
    let code = |code: &str| {
        let said = env
            .pith(&["sources", "--verify", "bundle"])
            .expect_status(4);
        assert!(said.stdout.starts_with(code), "{}", said.stdout);
    };
    let good = fs::read(&source).expect("it is there");
    fs::write(&source, &good[1..]).expect("it is ours");
    code("S102");
    fs::remove_file(&source).expect("it is ours");
    code("S101");
    fs::write(&source, good).expect("it is ours");
    env.pith(&["sources", "--verify", "bundle"])
        .expect_success();
    assert!(Path::new(&bundle).join("REBUILD.sh").is_file());
}

#[test]
fn notices_have_the_texts_of_the_sources_and_lack_is_an_answer() {
    let env = TestEnv::with_shared_store();
    let said = env.pith(&["notice", "hello", "--json"]);
    let report = said.json();
    let components = report["components"].as_array().expect("there are some");
    let of = |name: &str| components.iter().find(|one| one["name"] == name);
    let hello = of("hello").expect("it is in its own image");
    assert_eq!(hello["license"], "GPL-3.0-or-later");
    let missing = report["missing"].as_array().expect("there is a list");
    assert_eq!(said.status, if missing.is_empty() { 0 } else { 3 });
    for one in components {
        let has_text = one["texts"]
            .as_array()
            .is_some_and(|texts| !texts.is_empty());
        let is_missing = missing.iter().any(|gap| gap["component"] == one["name"]);
        let duties = one["duties"].as_array().expect("there is a list");
        let needs = duties.iter().any(|duty| duty == "text");
        assert!(!needs || has_text != is_missing, "{one}");
    }
}
