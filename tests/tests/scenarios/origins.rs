//! Where bytes come from: accounts of images, what bills say of them, traces and notices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pack::oci::Digest;
use serde_json::{Value, json};
use tests::other_servers::Registry;
use tests::{TestEnv, is_root};

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

    // A file that somebody has put there.
    env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", "layout"])
        .expect_success();
    env.write("dark.bin", "unexpected");
    let mut insert = vec!["insert"];
    if !is_root() {
        insert.push("--rootless");
    }
    let file = env.path("dark.bin").display().to_string();
    insert.extend(["--image", "project/layout:latest", &file, "/opt/dark.bin"]);
    env.tool("umoci", &insert).expect_success();
    // The other program's layer is also none that pith writes, which counts for more.
    let said = env.pith(&["audit", "--bytes", "layout"]).expect_status(4);
    let expected = "B102: `/opt/dark.bin` belongs to no store path";
    assert!(said.stdout.contains(expected), "{}", said.stdout);
}

/// Reads a blob of a layout as JSON.
fn blob(layout: &Path, digest: &Value) -> Value {
    let digest = digest.as_str().expect("a digest").replace("sha256:", "");
    let bytes = fs::read(layout.join("blobs/sha256").join(digest)).expect("it is in the layout");
    serde_json::from_slice(&bytes).expect("it is JSON")
}

/// Writes a blob of a layout, and has a descriptor describe it.
fn put_blob(layout: &Path, descriptor: &mut Value, blob: &Value) {
    let bytes = blob.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    descriptor["digest"] = json!(digest.to_string());
    descriptor["size"] = json!(bytes.len());
    fs::write(layout.join("blobs/sha256").join(digest.to_hex()), bytes).expect("it is ours");
}

#[test]
fn a_layer_of_what_no_bill_has_is_of_unknown_origin_and_nothing_else() {
    let env = TestEnv::with_shared_store();
    let packed = |target: &str| {
        let arguments = [
            "pack", target, "-q", "-f", "oci", "--layers", "per-path", "-o", target,
        ];
        env.pith(&arguments).expect_success();
        let layout = env.path(&format!("project/{target}"));
        let index = fs::read(layout.join("index.json")).expect("it was written");
        let index: Value = serde_json::from_slice(&index).expect("it is JSON");
        let manifest = blob(&layout, &index["manifests"][0]["digest"]);
        let config = blob(&layout, &manifest["config"]["digest"]);
        (layout, index, manifest, config)
    };
    let (layout, mut index, mut manifest, mut config) = packed("hello");
    let (other, _, of_other, config_of_other) = packed("zlib");
    let accounts = env.pith(&["audit", "--bytes", "zlib", "--json"]);
    let accounts = accounts.expect_success().json();
    let layers = accounts["accounts"][0]["layers"].as_array();
    let has_it = |layer: &Value| layer.to_string().contains("-zlib-1.2.13\"");
    let number = layers.and_then(|layers| layers.iter().position(has_it));
    let number = number.expect("it has a layer of its own");
    // A layer as pith writes it, of an object that is in no bill of this image.
    let layer = &of_other["layers"][number];
    let digest = layer["digest"].as_str().expect("a digest");
    let name = digest.replace("sha256:", "blobs/sha256/");
    fs::copy(other.join(&name), layout.join(&name)).expect("both are ours");
    let add = |list: &mut Value, one: &Value| {
        list.as_array_mut().expect("a list").push(one.clone());
    };
    add(&mut manifest["layers"], layer);
    let diff_ids = &config_of_other["rootfs"]["diff_ids"];
    add(&mut config["rootfs"]["diff_ids"], &diff_ids[number]);
    add(&mut config["history"], &config_of_other["history"][number]);
    put_blob(&layout, &mut manifest["config"], &config);
    put_blob(&layout, &mut index["manifests"][0], &manifest);
    fs::write(layout.join("index.json"), index.to_string()).expect("it is ours");

    let said = env.pith(&["audit", "--bytes", "hello", "--json"]);
    let said = said.expect_status(3).json();
    let findings = said["accounts"][0]["findings"].as_array();
    let findings = findings.expect("a list").iter();
    let codes: BTreeSet<&str> = findings.filter_map(|one| one["code"].as_str()).collect();
    assert_eq!(codes, BTreeSet::from(["B102"]));
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
        assert_eq!(traced["links"], json!(["/bin/hello"]));
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

/// The regular files of an image, unpacked by another program, with their SHA-256.
fn unpacked(env: &TestEnv, layout: &str) -> BTreeMap<String, String> {
    let mut unpack = vec!["unpack"];
    if !is_root() {
        unpack.push("--rootless");
    }
    let layout = format!("project/{layout}");
    unpack.extend(["--image", &layout, "project/unpacked"]);
    env.tool("umoci", &unpack).expect_success();
    let root = env.path("project/unpacked/rootfs");
    let mut files = BTreeMap::new();
    let mut pending = vec![root.clone()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("it was unpacked") {
            let path = entry.expect("it can be listed").path();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_file() {
                let bytes = fs::read(&path).expect("it is ours");
                let place = path.strip_prefix(&root).expect("it is below it");
                let sha256 = Digest::of(&bytes).to_hex();
                files.insert(place.display().to_string(), sha256);
            }
        }
    }
    store::testing::make_writable(&root).expect("it is ours");
    fs::remove_dir_all(env.path("project/unpacked")).expect("it is ours");
    files
}

#[test]
fn the_bill_has_what_the_image_has_and_nothing_else() {
    let env = TestEnv::with_shared_store();
    for target in ["hello", "nginx"] {
        let layout = format!("image-of-{target}");
        env.pith(&["pack", target, "-q", "-f", "oci", "-o", &layout])
            .expect_success();
        let bill = env.pith(&["sbom", target, "-f", "spdx", "--files", "all"]);
        let bill = bill.expect_success().json();

        let packages = bill["packages"].as_array().expect("there are some");
        let places = packages
            .iter()
            .filter_map(|one| one["packageFileName"].as_str());
        let places = places.filter(|place| place.starts_with("/pith/store/"));
        let components: BTreeSet<String> = places.map(str::to_owned).collect();
        let closure: BTreeSet<String> = env.closure(target, &[]).into_iter().collect();
        assert_eq!(components, closure, "{target}");

        // A file's identifier begins with that of the package that has it.
        let package_of = |id: &str| {
            let (package, _) = id.rsplit_once("-file-").expect("it is of a package");
            let found = packages.iter().find(|one| one["SPDXID"] == package);
            let place = found.and_then(|one| one["packageFileName"].as_str());
            place
                .expect("it has a place")
                .trim_start_matches('/')
                .to_owned()
        };
        let listed = bill["files"].as_array().expect("there are some");
        let listed: BTreeMap<String, String> = (listed.iter())
            .map(|file| {
                let name = file["fileName"].as_str().expect("it has a name");
                let id = file["SPDXID"].as_str().expect("it has an identifier");
                let name = name.trim_start_matches('.').trim_end_matches('/');
                let sums = file["checksums"].as_array().expect("it has some");
                let sum = sums.iter().find(|sum| sum["algorithm"] == "SHA256");
                let sum = sum.and_then(|sum| sum["checksumValue"].as_str());
                let sum = sum.expect("it has this one").to_owned();
                (format!("{}{name}", package_of(id)), sum)
            })
            .collect();
        let (stored, generated): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (unpacked(&env, &format!("{layout}:latest")).into_iter())
                .partition(|(place, _)| place.starts_with("pith/store/"));
        assert_eq!(stored, listed, "{target}");
        let generated: Vec<&str> = generated.keys().map(String::as_str).collect();
        let own_bill = format!("usr/share/sbom/{target}.spdx.json");
        let known = [
            "etc/group",
            "etc/hosts",
            "etc/nsswitch.conf",
            "etc/passwd",
            &own_bill,
        ];
        assert_eq!(generated, known, "{target}");
    }
}

#[test]
fn a_file_of_no_store_path_is_traced_to_what_asks_for_it_and_a_directory_to_what_is_in_it() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        "image(\n    name = \"app\",\n    packages = [package(\"hello\")],\n    files = {\"/etc/motd\": \"hi\\n\"},\n)\n",
    );
    env.pith(&["pack", "app", "-q", "-o", "app.tar"])
        .expect_success();
    let traced = |file: &str| env.pith(&["trace", file]).expect_success().stdout;
    let of_target = traced("app:/etc/motd");
    let declared = "the image itself, declared at pith.star:1\n";
    assert!(of_target.contains(declared), "{of_target}");
    let of_image = traced("app.tar:/etc/motd");
    let asked = "the image itself: its specification asks for these contents, says its bill";
    assert!(of_image.contains(asked), "{of_image}");
    let bill = traced("app.tar:/usr/share/sbom/app.spdx.json");
    assert!(bill.contains("it is its bill of materials\n"), "{bill}");
    let accounts = traced("app.tar:/etc/passwd");
    assert!(accounts.contains("every image has one"), "{accounts}");
    let said = env.pith(&["trace", "app.tar:/etc/motd", "--json"]);
    let said = said.expect_success().json();
    assert_eq!(said["files"][0]["outside"]["kind"], "asked", "{said:#}");

    // On a base it is of that, or still of the image.
    let pack = [
        "pack",
        "hello",
        "-q",
        "--base",
        "app.tar",
        "-o",
        "above.tar",
    ];
    env.pith(&pack).expect_success();
    let below = traced("above.tar:/etc/motd");
    assert!(below.contains("from  the base image"), "{below}");

    for (directory, below) in [
        ("app:/bin", "`pith trace app:/bin/hello`"),
        ("app.tar:/etc/.", "`pith trace app.tar:/etc/group`"),
        ("hello:/", "`pith trace hello:/bin`"),
    ] {
        let refused = env.pith(&["trace", directory]).expect_status(3).stderr;
        assert!(refused.contains("is a directory\n"), "{refused}");
        assert!(refused.contains(below), "{refused}");
        // Where it was made for the question says nothing to who asked.
        assert!(!refused.contains("/image`"), "{refused}");
    }
}

#[test]
fn a_file_at_the_root_is_traced_to_the_package_of_debian_that_has_it() {
    let env = TestEnv::with_shared_store();
    let traced = env.pith(&["trace", "debian:nginx:/usr/sbin/nginx", "--json"]);
    let traced = traced.expect_success().json();
    let traced = &traced["files"][0];
    assert_eq!(traced["file"], "root/usr/sbin/nginx", "{traced:#}");
    assert_eq!(traced["from"]["component"], "nginx", "{traced:#}");
    let sources = traced["from"]["sources"].to_string();
    assert!(sources.contains("/n/nginx/nginx_"), "{traced:#}");
}

#[test]
fn a_digest_alone_is_traced_through_all_that_the_store_has() {
    let env = TestEnv::with_shared_store();
    let packed = env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", "layout", "--json"]);
    let manifest = packed.expect_success().json()["manifest"].clone();
    let object = env.pith(&["build", "hello", "-q"]).expect_success();
    let object = object.line().trim_start_matches("/pith/store/").to_owned();
    let found = |digest: &str, kind: &str| {
        let report = env
            .pith(&["trace", digest, "--json"])
            .expect_success()
            .json();
        let found = report["found"].as_array().expect("there is a list").clone();
        let mut of = found
            .into_iter()
            .filter(|one| one["object"] == object.as_str());
        let one = of.find(|one| one["kind"] == kind);
        one.unwrap_or_else(|| panic!("no {kind} in {report}"))
    };
    let located = env.pith(&["trace", "hello:/bin/hello", "--json"]);
    let located = located.expect_success().json()["files"][0].clone();
    let sha256 = located["sha256"].as_str().expect("there is a digest");
    let file = found(&format!("sha256:{sha256}"), "file");
    assert_eq!(file["file"], "bin/hello");
    assert_eq!(file["from"]["license"]["declared"], "GPL-3.0-or-later");
    let source = "sha256:31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b";
    assert_eq!(found(source, "source")["name"], "hello_2.10.orig.tar.gz");
    let layer = located["layer"].as_str().expect("there is a digest");
    assert_eq!(found(layer, "layer")["compression"], "gzip");
    // Of a manifest nothing is recorded.
    let manifest = manifest.as_str().expect("there is a digest");
    env.pith(&["trace", manifest]).expect_status(3);
}

#[test]
fn what_is_attached_to_an_image_tells_whoever_has_only_the_image() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    env.pith(&["key", "generate", "-q", "-o", "mine"])
        .expect_success();
    env.write(
        "project/hello.vex.json",
        r#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "urn:example:1", "author": "Example",
            "timestamp": "2026-11-22T00:00:00Z", "version": 1, "statements": [{
            "vulnerability": {"name": "CVE-2000-0001"}, "status": "not_affected",
            "justification": "component_not_present",
            "products": [{"@id": "pkg:generic/hello@2.10"}]}]}"#,
    );
    let reference = format!("{}/hello:1", registry.address);
    let push = |arguments: &[&str]| {
        let fixed = ["pack", "hello", "-q", "--push", &reference];
        env.pith(&[&fixed[..], arguments].concat())
    };
    push(&[
        "--attest-key",
        "mine",
        "--vex",
        "hello.vex.json",
        "--sources",
    ])
    .expect_success();
    let verify = ["image", "verify", &reference, "--json"];
    let attached = env.pith(&verify).expect_success().json()["attached"].clone();
    for (kind, count) in [("bills", 2), ("vex", 1), ("sources", 1)] {
        assert_eq!(attached[kind], count, "{kind} in {attached}");
    }
    let said = env.pith(&["image", "verify", &reference]).expect_success();
    let expected = "attached: 2 bills of materials, 1 OpenVEX document, 1 bundle of sources";
    assert!(said.stderr.contains(expected), "{}", said.stderr);

    // On a machine that has nothing of it, and no secret.
    let other = TestEnv::new();
    let file = format!("docker://{reference}:/bin/hello");
    let said = other
        .pith(&["trace", &file, "--json"])
        .expect_success()
        .json();
    let from = &said["files"][0]["from"];
    assert_eq!(from["known_from"], "attestations");
    let recipe = from["recipe"].as_str().expect("there is a recipe");
    assert!(recipe.starts_with("//hello/recipe.star:"), "{recipe}");
    let sources = from["sources"].as_array().expect("there are some");
    let is_source = |one: &Value| {
        one["digest"] == "sha256:31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"
    };
    assert!(sources.iter().any(is_source), "{from}");
    assert_eq!(from["license"]["declared"], "GPL-3.0-or-later");

    // Statements about another image.
    let text = fs::read_to_string(env.path("project/hello.vex.json")).expect("it is ours");
    let digest = "0".repeat(64);
    let of_another = format!("pkg:oci/hello@sha256%3A{digest}");
    env.write(
        "project/hello.vex.json",
        &text.replace("pkg:generic/hello@2.10", &of_another),
    );
    let refused = push(&["--vex", "hello.vex.json"]).expect_status(4).stderr;
    assert!(refused.contains("and nothing in the image"), "{refused}");
    let both = format!("pkg:generic/hello@2.10\"}}, {{\"@id\": \"{of_another}");
    env.write(
        "project/hello.vex.json",
        &text.replace("pkg:generic/hello@2.10", &both),
    );
    push(&["--vex", "hello.vex.json"]).expect_success();
    let said = env.pith(&verify).expect_status(4);
    assert!(said.stderr.contains("I102"), "{}", said.stderr);
    env.write("project/hello.vex.json", "{}");
    push(&["--vex", "hello.vex.json"]).expect_status(4);
    env.pith(&["pack", "hello", "--sources"]).expect_status(2);
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
