//! Bills of materials have all that they should, are the same everywhere, and kept beside the images that they are of.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tests::{TestEnv, other_servers::Registry};

/// Who answers for the documents of these tests.
const SETTINGS: &str = "[sbom.author]\nname = \"Example\"\nemail = \"sbom@example.org\"\n";

fn env_with_settings() -> TestEnv {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    env.write("project/pith.toml", SETTINGS);
    env
}

#[test]
fn the_bill_has_the_closure_and_all_of_its_files_and_nothing_else() {
    let env = env_with_settings();
    let tree = env.pith(&["size", "jq", "--json"]).expect_success().json();
    let closure: BTreeSet<String> = (tree["objects"].as_array().expect("a list").iter())
        .map(|one| one["path"].as_str().expect("a path").to_owned())
        .collect();
    let document = env.pith(&["sbom", "jq", "--files", "all"]);
    let document = document.expect_success().json();
    let components = document["components"].as_array().expect("a list");
    let property = |component: &Value, name: &str| {
        let properties = component["properties"].as_array().into_iter().flatten();
        let mut found = properties.filter(|one| one["name"] == name);
        found
            .next()
            .and_then(|one| Some(one["value"].as_str()?.to_owned()))
    };
    let paths: BTreeSet<String> = components
        .iter()
        .filter_map(|one| property(one, "pith:store-path"))
        .filter(|path| closure.contains(path) || !path.ends_with("-static"))
        .collect();
    assert_eq!(paths, closure);

    let layout = env.path("root");
    let layout = layout.to_str().expect("temporary paths are UTF-8");
    env.pith(&["pack", "jq", "-q", "-f", "dir", "-o", layout])
        .expect_success();
    for component in components {
        let Some(path) = property(component, "pith:store-path") else {
            continue;
        };
        let parts = component["components"].as_array().into_iter().flatten();
        for file in parts.filter(|one| one["type"] == "file") {
            let name = file["name"].as_str().expect("a name");
            let real = format!("{layout}{path}/{name}");
            let summed = env.tool("sha512sum", &[&real]).expect_success();
            let digest = summed.stdout.split(' ').next().unwrap_or_default();
            let hashes = file["hashes"].as_array().expect("digests");
            assert!(hashes.iter().any(|one| one["content"] == digest), "{real}");
        }
        let listed =
            "cd \"$0\" && find . -type f | LC_ALL=C sort | xargs -r -d '\\n' sha512sum | sha512sum";
        let listed = env.tool("sh", &["-c", listed, &format!("{layout}{path}")]);
        let listed = listed.expect_success().stdout;
        let digest = listed.split(' ').next().unwrap_or_default().to_owned();
        let hashes = component["hashes"].as_array().expect("digests");
        assert!(hashes.iter().any(|one| one["content"] == digest), "{path}");
    }
}

#[test]
fn documents_depend_on_nothing_but_the_closure_and_the_date() {
    let env = env_with_settings();
    for format in ["cyclonedx", "spdx3", "spdx", "spdx-tv"] {
        let first = env.pith(&["sbom", "jq", "-f", format]).expect_success();
        let mut elsewhere = env.command(&["sbom", "jq", "-f", format, "-j", "1"]);
        elsewhere.env("TZ", "Asia/Tokyo").env("LC_ALL", "C");
        let again = tests::run(&mut elsewhere).expect_success();
        assert_eq!(first.stdout, again.stdout, "{format}");
        let dated = env
            .pith(&["sbom", "jq", "-f", format, "--date", "1700000000"])
            .expect_success();
        assert!(dated.stdout.contains("2023-11-14T22:13:20Z"), "{format}");
    }
}

#[test]
fn a_push_keeps_documents_beside_the_image_once_and_verify_knows_them() {
    let env = env_with_settings();
    let registry = Registry::start("").expect("Debian's registry starts");
    env.pith(&["key", "generate", "-q", "-o", "mine"])
        .expect_success();
    let reference = format!("{}/hello:1", registry.address);
    let push = [
        "pack",
        "hello",
        "--push",
        &reference,
        "--attest-key",
        "mine",
    ];
    let first = env.pith(&push).expect_success();
    assert!(
        first.stderr.contains("attached 5 documents"),
        "{}",
        first.stderr
    );
    let second = env.pith(&push).expect_success();
    assert!(!second.stderr.contains("attached"), "{}", second.stderr);
    let verified = env
        .pith(&["image", "verify", &reference, "--json"])
        .expect_success()
        .json();
    assert_eq!(verified["attached"]["bills"], 2);
    env.pith(&["image", "sign", "-q", &reference, "--key", "mine"])
        .expect_success();
    let verified = env
        .pith(&["image", "verify", &reference, "--key", "mine.pub", "--json"])
        .expect_success()
        .json();
    assert_eq!(verified["attached"]["signed"], 3);
    assert_eq!(verified["attached"]["provenances"], 1);

    let place = format!("docker://{reference}");
    let attached = env.pith(&["sbom", &place, "-f", "spdx"]).expect_success();
    let document = attached.json();
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    let digest = verified["manifests"][0].as_str().unwrap_or_default();
    let root = &document["packages"][0]["checksums"][0]["checksumValue"];
    assert_eq!(
        Some(digest),
        root.as_str().map(|hex| format!("sha256:{hex}")).as_deref()
    );

    let bare = format!("{}/hello:bare", registry.address);
    let said = env.pith(&["pack", "hello", "--push", &bare, "--no-attest"]);
    assert!(!said.expect_success().stderr.contains("attached"));
}

#[test]
fn what_a_policy_concludes_stands_beside_what_is_declared() {
    let env = env_with_settings();
    env.write(
        "project/policy.toml",
        "[[clarify]]\ncomponent = 'hello'\nexpression = 'GPL-3.0-only'\nreason = 'read'\nowner = 'o'\n",
    );
    for (policy, concluded) in [
        (&[][..], "GPL-3.0-or-later"),
        (&["--policy", "policy.toml"], "GPL-3.0-only"),
    ] {
        let command = [&["sbom", "hello", "-q", "-f", "spdx"][..], policy].concat();
        let document = env.pith(&command).expect_success().json();
        assert_eq!(concluded_of_hello(&document), concluded);
    }
}

#[test]
fn the_bill_of_an_image_has_what_the_settings_conclude() {
    let env = env_with_settings();
    let settings = env.path("project/pith.toml");
    let text = fs::read_to_string(&settings).expect("they are there");
    let clarify = "\n[[audit.clarify]]\ncomponent = 'hello'\nexpression = 'GPL-3.0-only'\nreason = 'read'\nowner = 'o'\n";
    env.write("project/pith.toml", &(text + clarify));
    env.pith(&[
        "pack",
        "hello",
        "-q",
        "-o",
        "hello.tar",
        "--sbom",
        "bill.json",
        "--sbom-format",
        "spdx",
    ])
    .expect_success();
    let bill = fs::read(env.path("project/bill.json")).expect("it was written");
    let bill: Value = serde_json::from_slice(&bill).expect("it is JSON");
    assert_eq!(concluded_of_hello(&bill), "GPL-3.0-only");
}

/// The license that a document of SPDX 2.3 concludes for the package `hello`.
fn concluded_of_hello(document: &Value) -> &str {
    let packages = document["packages"].as_array().expect("a list");
    let is_hello =
        |one: &&Value| one["name"] == "hello" && one["licenseDeclared"] == "GPL-3.0-or-later";
    let hello = packages.iter().find(is_hello);
    let hello = hello.expect("it is in its own bill");
    hello["licenseConcluded"].as_str().expect("a text")
}

#[test]
fn a_license_that_is_none_is_not_written_into_a_document() {
    let env = TestEnv::with_seed();
    env.write(
        "project/pith.star",
        "load(\"//seed/recipe.star\", \"base\")\n\
         data = derivation(name = \"data\", version = \"1\", seed = base, license = \"GPLv3+ nonsense\",\n\
         \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"echo a > $out\"])\n",
    );
    let refused = env
        .pith(&["sbom", "data", "-o", "bill.json"])
        .expect_status(4);
    assert!(refused.stderr.contains("D101"), "{}", refused.stderr);
    assert!(fs::metadata(env.path("project/bill.json")).is_err());
}

#[test]
fn who_answers_for_a_bill_can_be_reached_or_there_is_none() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    let write = |author: &str| {
        let settings = format!("[sbom]\nauthor = {author}\n");
        env.write("project/pith.toml", &settings);
        env.pith(&["sbom", "hello", "-q", "-f", "cyclonedx"])
    };
    for (author, contact) in [
        (
            "'Example <sbom@example.org>'",
            "\"email\":\"sbom@example.org\"",
        ),
        (
            "{name = 'Example', url = 'https://example.org'}",
            "\"url\":[\"https://example.org\"]",
        ),
    ] {
        let written = write(author).expect_success().stdout;
        assert!(written.contains(contact), "{written}");
    }
    for (author, expected) in [
        ("'Example'", "`Example` names nobody who can be reached"),
        (
            "{name = 'Example', email = 'nonsense'}",
            "`nonsense` is no address of mail",
        ),
    ] {
        let refused = write(author).expect_status(2);
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
        assert!(refused.stderr.contains("pith.toml"), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
    env.write("project/pith.toml", "");
    env.pith(&["sbom", "hello", "--author", "Example <nonsense>"])
        .expect_status(2);
}
