//! Bundles of corresponding sources: complete, repeatable, the same image again, and damage is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::debian_repository::{DebianPackage, DebianRepository};
use tests::{TestEnv, is_full, run};

use crate::debian::place as debian_place;

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
    assert!(source.is_file() && bundle.join("REBUILD.sh").is_file());
}

/// Expects that a bundle is found to be damaged, in this way first.
fn expect_code(env: &TestEnv, code: &str) {
    let said = env
        .pith(&["sources", "--verify", "bundle"])
        .expect_status(4);
    assert!(said.stdout.starts_with(code), "{}", said.stdout);
}

/// The only file of a bundle whose name ends so.
fn find(directory: &Path, end: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).expect("it is a directory");
    let mut paths: Vec<PathBuf> =
        (entries.map(|entry| entry.expect("it can be listed").path())).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        if path.is_dir() {
            return find(&path, end);
        }
        let name = path.file_name()?.to_str()?;
        name.ends_with(end).then_some(path)
    })
}

#[test]
fn each_damage_to_a_bundle_is_found_and_has_a_code() {
    let env = TestEnv::with_shared_store();
    // nginx has patches.
    env.pith(&["sources", "nginx", "-q", "-o", "bundle"])
        .expect_success();
    let bundle = env.path("project/bundle");
    let file = |end: &str| find(&bundle, end).unwrap_or_else(|| panic!("no {end}"));
    let source = file("nginx_1.22.1.orig.tar.gz");
    let patch = file("-nginx_1.22.1-9+deb12u9.debian.tar.xz");
    let folder = patch.parent().expect("it is in one");
    let series = fs::read_to_string(folder.join("series")).expect("it is there");
    assert_eq!(
        series.lines().next().map(|name| folder.join(name)),
        Some(patch.clone())
    );

    let flip = |path: &Path| {
        let mut bytes = fs::read(path).expect("it is there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("it is ours");
    };
    for (path, changed, missing) in [
        (&source, "S102", "S101"),
        (&patch, "S102", "S103"),
        (&folder.join("series"), "S102", "S101"),
        (&bundle.join("recipes/nginx/recipe.star"), "S102", "S101"),
        (&bundle.join("derivations.json"), "S102", "S101"),
    ] {
        let good = fs::read(path).expect("it is there");
        flip(path);
        expect_code(&env, changed);
        fs::remove_file(path).expect("it is ours");
        expect_code(&env, missing);
        fs::write(path, good).expect("it is ours");
    }
    let planted = bundle.join("sources/planted");
    fs::write(&planted, "x").expect("it is ours");
    expect_code(&env, "S102");
    fs::remove_file(&planted).expect("it is ours");

    // A byte of what the bundle says of itself: it is another text, or none that can be read.
    let manifest = bundle.join("MANIFEST.json");
    let good = fs::read_to_string(&manifest).expect("it is there");
    fs::write(&manifest, good.replacen("nginx", "nginy", 1)).expect("it is ours");
    expect_code(&env, "S102");
    fs::write(&manifest, good.replacen('{', "[", 1)).expect("it is ours");
    env.pith(&["sources", "--verify", "bundle"])
        .expect_status(4);
    fs::write(&manifest, &good).expect("it is ours");
    env.pith(&["sources", "--verify", "bundle"])
        .expect_success();
}

/// A project with a program under the GPL: a script, and a patch to it.
fn project(env: &TestEnv, directory: &str) {
    env.write(
        &format!("{directory}/pith.star"),
        "load(\"//seed/recipe.star\", \"base\")\n\
         tool = derivation(name = \"tool\", version = \"1\", seed = base, license = \"GPL-3.0-or-later\",\n\
         \x20   env = {\"src\": source(\"src\"), \"patches\": [source(\"fix.patch\")]},\n\
         \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/share; cp $src/text $out/share/; \
         patch -p1 -d $out/share <$patches\"])\n",
    );
    env.write(&format!("{directory}/src/text"), "one\n");
    env.write(
        &format!("{directory}/fix.patch"),
        "--- a/text\n+++ b/text\n@@ -1 +1 @@\n-one\n+two\n",
    );
}

#[test]
fn the_bundle_of_a_project_has_its_own_files_and_is_the_same_wherever_it_lies() {
    let env = TestEnv::with_shared_store();
    for directory in ["here", "some/where/else"] {
        project(&env, &format!("project/{directory}"));
        let target = format!("./{directory}:tool");
        let name = format!("{}.tar", directory.replace('/', "-"));
        env.pith(&["sources", &target, "-q", "-o", &name])
            .expect_success();
    }
    let read = |name: &str| fs::read(env.path(&format!("project/{name}"))).expect("it is there");
    assert!(read("here.tar") == read("some-where-else.tar"));

    env.pith(&["sources", "./here:tool", "-q", "-o", "bundle"])
        .expect_success();
    let bundle = env.path("project/bundle");
    for file in [
        "project/pith.star",
        "project/src/text",
        "patches/tool-1/0001-fix.patch",
        "patches/tool-1/series",
    ] {
        assert!(bundle.join(file).is_file(), "no {file}");
    }
    fs::remove_file(bundle.join("project/src/text")).expect("it is ours");
    expect_code(&env, "S101");

    // A link cannot be in a bundle: that is a gap, and no silence.
    let link = env.path("project/here/src/link");
    std::os::unix::fs::symlink("text", &link).expect("it is ours");
    let said = env
        .pith(&["sources", "./here:tool", "-o", "other"])
        .expect_status(3);
    assert!(
        said.stderr.contains("the link `src/link`"),
        "{}",
        said.stderr
    );

    if is_full() {
        env.pith(&["sources", "--verify", "here.tar", "--rebuild"])
            .expect_success();
        for target in ["jq", "nginx"] {
            let file = format!("{target}.tar");
            env.pith(&["sources", target, "-q", "-o", &file, "--toolchain"])
                .expect_success();
            // The toolchain is in it: the store of the machine has nothing to give.
            let other = TestEnv::new();
            let place = env.path(&format!("project/{file}")).display().to_string();
            other
                .pith(&["sources", "--verify", &place, "--rebuild"])
                .expect_success();
        }
    }
}

/// A copyright file of a package of Debian.
fn copyright(license: &str) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2020 Somebody\nLicense: {license}\n"
    )
}

#[test]
fn a_bundle_of_packages_of_debian_has_their_lock_and_becomes_the_same_image_without_a_mirror() {
    let app = DebianPackage::new("app", "1.0-1")
        .field("Depends", "libfree")
        .program("usr/bin/app", b"#!/bin/none\n")
        .file("usr/share/doc/app/copyright", &copyright("Expat"));
    let library = DebianPackage::new("libfree", "2:1.0-1+b1")
        .field("Source", "free (2:1.0-1)")
        .field("Built-Using", "static (= 1.2-1)")
        .file("usr/lib/libfree.so", "code")
        .file("usr/share/doc/libfree/copyright", &copyright("GPL-2+"));
    let packages = [app, library];
    let mut repository = DebianRepository::new(&packages);
    repository.add_source("free", "2:1.0-1");
    repository.add_source("static", "1.2-1");
    repository.fill(&packages, None);
    let (env, server) = debian_place(&repository);
    let packed = env.pith(&[
        "pack",
        "debian:app",
        "-q",
        "--no-check",
        "-o",
        "app.tar",
        "--json",
    ]);
    let digest = packed.expect_success().json()["manifest"].clone();
    let written = env.pith(&["sources", "debian:app", "-o", "bundle", "--json"]);
    let written = written.expect_success().json();
    assert_eq!(written["image"], digest);
    assert_eq!(written["gaps"], Value::Array(Vec::new()));
    let bundle = env.path("project/bundle");
    assert!(bundle.join("project/debian.lock").is_file());
    let manifest = fs::read(bundle.join("MANIFEST.json")).expect("it is there");
    let manifest: Value = serde_json::from_slice(&manifest).expect("it is JSON");
    let components = manifest["components"].as_array().expect("there are some");
    let licenses: Vec<(&str, usize)> = (components.iter())
        .map(|one| {
            let packages = one["source_packages"].as_array().map_or(0, Vec::len);
            (one["license"].as_str().unwrap_or("none"), packages)
        })
        .collect();
    // The description and the archive, also of what was built into the library; the MIT license asks for no source.
    assert_eq!(licenses, [("MIT", 0), ("GPL-2.0-or-later", 4)]);

    // Nobody answers any more, and nothing of the machine's own store is needed.
    drop(server);
    let verify = ["sources", "--verify", "bundle", "--rebuild", "--json"];
    let checked = run(env.command(&verify).env("PITH_ROOT", env.path("empty")));
    assert_eq!(checked.expect_success().json()["rebuilt"], digest);

    // A mirror that has lost the source of what it serves: the bundle says so, and is none.
    let lost = "pool/main/free/free_2:1.0-1.tar";
    assert!(repository.files.remove(lost).is_some());
    let (env, _server) = debian_place(&repository);
    let refused = env.pith(&["sources", "debian:app", "-o", "bundle"]);
    refused.expect_status(3);
    let gaps = fs::read(env.path("project/bundle/GAPS.json")).expect("it is there");
    let gaps: Value = serde_json::from_slice(&gaps).expect("it is JSON");
    assert_eq!(gaps[0]["component"], "libfree");
    let reason = gaps[0]["reason"].as_str().unwrap_or_default();
    for said in [
        "built from free 2:1.0-1, which no mirror has",
        "for `small` under `[mirrors]`",
    ] {
        assert!(reason.contains(said), "{reason}");
    }
    assert_eq!(gaps[1], Value::Null);
}

#[test]
fn a_bundle_that_becomes_another_image_is_damage() {
    let env = TestEnv::with_shared_store();
    project(&env, "project/here");
    env.pith(&["sources", "./here:tool", "-q", "-o", "bundle"])
        .expect_success();
    let place = |name: &str| env.path("project/bundle").join(name);
    let read = |name: &str| fs::read_to_string(place(name)).expect("it is there");
    // Whoever changes what a bundle says of itself changes the sums, too.
    let manifest: Value = serde_json::from_str(&read("MANIFEST.json")).expect("it is JSON");
    let image = manifest["image"]["manifest"].as_str().expect("a digest");
    let other = format!("sha256:{}", "0".repeat(64));
    let changed = read("MANIFEST.json").replace(image, &other);
    fs::write(place("MANIFEST.json"), changed).expect("it is ours");
    let sum = |name: &str| {
        let said = env.tool("sha256sum", &[&place(name).display().to_string()]);
        let said = said.expect_success().stdout;
        said.split(' ').next().unwrap_or_default().to_owned()
    };
    let sums: String = read("SHA256SUMS")
        .lines()
        .map(|line| match line.split_once("  ") {
            Some((_, name @ "MANIFEST.json")) => format!("{}  {name}\n", sum(name)),
            _ => format!("{line}\n"),
        })
        .collect();
    fs::write(place("SHA256SUMS"), sums).expect("it is ours");
    env.pith(&["sources", "--verify", "bundle"])
        .expect_success();
    let said = env.pith(&["sources", "--verify", "bundle", "--rebuild"]);
    let said = said.expect_status(4).stdout;
    let expected = format!("S104: `{other}` was built again and became {image}");
    assert!(said.contains(&expected), "{said}");
}
