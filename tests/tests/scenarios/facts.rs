//! What is observed of a build: recorded beside it, shared with it, and kept as long as it is.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::TestEnv;

const RECIPE: &str = r#"
load("//lib/stdenv.star", "stdenv")

linked = stdenv(
    name = "linked",
    version = "1",
    source = source("src"),
    deps = [package("zlib")],
    patches = [source("fix.patch")],
    commands = {
        "build": "gcc -O2 -c main.c && ld -r -o part.o main.o && gcc -o linked part.o -l:libz.a",
        "install": 'install -D linked "$out/bin/linked"',
    },
    env = {"unique": "UNIQUE"},
    license = "GPL-2.0-or-later",
)
"#;
const SOURCE: &str = r#"/* main.c - says how much room a text needs
 * Copyright (c) 2024 Some Body
 *
 * This program is free software; you can redistribute it and/or modify
 * it under the terms of the GNU General Public License as published by
 * the Free Software Foundation; either version 2 of the License, or
 * (at your option) any later version.
 */
#include <stdio.h>
#include <zlib.h>
int main(void) { printf("%lu\n", compressBound(10)); return 1; }
"#;
const PATCH: &str = "Description: succeed\n Fixes CVE-2024-12345.\n--- a/main.c\n+++ b/main.c\n@@ -11 +11 @@\n-int main(void) { printf(\"%lu\\n\", compressBound(10)); return 1; }\n+int main(void) { printf(\"%lu\\n\", compressBound(10)); return 0; }\n";

/// A project whose program has static and dynamic libraries in it, like no other that the store knows.
fn project(env: &TestEnv, unique: &str) {
    env.write("project/pith.star", &RECIPE.replace("UNIQUE", unique));
    env.write("project/src/main.c", SOURCE);
    env.write("project/src/NOTICE", "Say so.\n");
    env.write("project/fix.patch", PATCH);
}

/// The object with the facts of a store path, as it is recorded.
fn facts_of(env: &TestEnv, path: &str) -> PathBuf {
    let info = env.pith(&["store", "path-info", "--json", path]);
    let info = info.expect_success().json();
    let name = &info["paths"][0]["component"]["facts"]["path"];
    let name = name.as_str().expect("facts are recorded");
    env.store().join("store").join(name)
}

fn read(facts: &Path) -> Value {
    let text = fs::read_to_string(facts.join("facts.json")).expect("the facts are there");
    serde_json::from_str(&text).expect("they are JSON")
}

/// The entry of a list whose `key` is `value`.
fn find<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut entries = list.as_array().expect("a list").iter();
    let found = entries.find(|entry| entry[key] == value);
    found.unwrap_or_else(|| panic!("nothing has {key} {value} in {list:#}"))
}

fn unique() -> String {
    format!("{:?}", std::time::SystemTime::now()).replace('"', "")
}

#[test]
fn a_build_leaves_the_evidence_of_what_it_is_made_of() {
    let env = TestEnv::with_shared_store();
    project(&env, &unique());
    let built = env.pith(&["build", "linked"]).expect_success();
    let path = built.line();
    let object = facts_of(&env, path);
    let facts = read(&object);

    assert_eq!(facts["recipe"][0]["label"], "pith.star");
    let recipe = facts["recipe"][0]["sha256"].as_str().expect("a digest");
    let text = fs::read_to_string(object.join("texts").join(recipe)).expect("its text is kept");
    assert!(text.contains("l:libz.a"), "{text}");
    find(&facts["recipe"], "label", "//lib/stdenv.star");

    assert_eq!(find(&facts["sources"], "name", "src")["role"], "main");
    assert_eq!(
        find(&facts["sources"], "name", "fix.patch")["role"],
        "patch"
    );
    assert_eq!(find(&facts["sources"], "name", "setup.sh")["role"], "data");
    let patch = find(&facts["patches"], "name", "fix.patch");
    assert_eq!(patch["fixes"][0], "CVE-2024-12345");

    assert_eq!(find(&facts["texts"], "path", "NOTICE")["kind"], "notice");
    let finding = find(&facts["findings"], "path", "main.c");
    assert_eq!(finding["expression"], "GPL-2.0-or-later");
    assert_eq!(
        (&finding["matcher"], &finding["class"]),
        (&"header".into(), &"exact".into())
    );
    let statement = "Copyright (c) 2024 Some Body";
    assert_eq!(
        find(&facts["copyrights"], "statement", statement)["files"],
        1
    );

    let link = find(&facts["links"], "file", "bin/linked");
    assert_eq!(link["linked"], "recorded");
    let inputs = &link["inputs"];
    let archive = find(inputs, "file", "lib/libz.a");
    assert_eq!(archive["kind"], "static");
    let members = archive["members"].as_array().expect("a list");
    assert!(members.contains(&"compress.o".into()), "{archive}");
    assert!(!members.contains(&"gzread.o".into()), "{archive}");
    let library = find(inputs, "file", "lib/libc.so.6");
    assert_eq!(library["kind"], "needed");
    let glibc = library["object"].as_str().expect("it is in the store");
    assert!(glibc.contains("-glibc-"), "{glibc}");
    assert_eq!(find(inputs, "kind", "interpreter")["object"], glibc);
    assert_eq!(
        find(inputs, "component", "libgcc-12-dev")["kind"],
        "runtime"
    );
    let libgcc = "libgcc-12-dev_12.2.0-14+deb12u1_amd64.deb";
    let package = find(&facts["sources"], "name", libgcc);
    assert_eq!(package["role"], "toolchain");
    let purl = "pkg:deb/debian/libgcc-12-dev@12.2.0-14%2Bdeb12u1?arch=amd64";
    assert_eq!(package["purl"], purl);

    let file = find(&facts["files"], "path", "bin/linked");
    let real = env
        .store()
        .join("store")
        .join(path.trim_start_matches("/pith/store/"));
    let real = real.join("bin/linked");
    let digest = env
        .tool("sha256sum", &[real.to_str().expect("text")])
        .expect_success();
    let digest = digest
        .stdout
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(file["sha256"], digest);
}

#[test]
fn elsewhere_the_bill_in_an_image_tells_of_what_the_linker_copied() {
    let env = TestEnv::with_shared_store();
    project(&env, "for a bill");
    env.pith(&["pack", "linked", "-q", "-o", "linked.tar"])
        .expect_success();
    let other = TestEnv::new();
    let image = env.path("project/linked.tar").display().to_string();
    let chain = other.pith(&["why", &image, "license:Zlib"]);
    let chain = chain.expect_success().stdout;
    let expected = "linked-1\n  links statically zlib-1";
    assert!(chain.starts_with(expected), "{chain}");
    assert!(
        chain.contains("(bin/linked: lib/libz.a, says the bill"),
        "{chain}"
    );
    let traced = other.pith(&["trace", &format!("{image}:/bin/linked")]);
    let traced = traced.expect_success().stdout;
    assert!(
        traced.contains("linked  contains lib/libz.a of "),
        "{traced}"
    );
}

#[test]
fn facts_travel_by_themselves_and_go_with_what_they_are_of() {
    let env = TestEnv::with_shared_store();
    project(&env, &unique());
    let path = env.pith(&["build", "linked"]).expect_success();
    let path = path.line().to_owned();
    let facts = facts_of(&env, &path);
    let place = |env: &TestEnv, name: &str| {
        let place = env.path(name);
        place
            .to_str()
            .expect("temporary paths are UTF-8")
            .to_owned()
    };
    let (key, cache) = (place(&env, "key"), place(&env, "cache"));
    env.pith(&["key", "generate", "-q", "-o", &key])
        .expect_success();
    env.pith(&["cache", "push", &cache, "linked", "--key", &key])
        .expect_success();

    let other = TestEnv::new();
    for name in ["pith.star", "src/main.c", "src/NOTICE", "fix.patch"] {
        let text = fs::read_to_string(env.path(&format!("project/{name}")));
        other.write(&format!("project/{name}"), &text.expect("it was written"));
    }
    let public = fs::read_to_string(format!("{key}.pub")).expect("it was made");
    let take = ["--cache", &cache, "--trust", public.trim()];
    let build = [
        &["build", "linked", "-o", "kept", "--cache-only"],
        &take[..],
    ]
    .concat();
    assert_eq!(other.pith(&build).expect_success().line(), path);
    let mine = facts_of(&other, &path);
    assert!(!mine.exists(), "a build needs no facts");

    let info = [&["store", "path-info", &path], &take[..]].concat();
    let said = other.pith(&info).expect_success();
    assert!(said.stdout.contains("\nfacts      "), "{}", said.stdout);
    assert_eq!(read(&mine), read(&facts));
    let objects: Vec<String> = fs::read_dir(other.store().join("store"))
        .expect("the store is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    // The project's own files are read wherever it is built; what it is linked with need not be.
    let is_archive = |name: &&String| name.contains(".tar.");
    assert_eq!(objects.iter().find(is_archive), None, "nothing was fetched");

    other.pith(&["store", "gc", "-q"]).expect_success();
    assert!(mine.exists(), "what is kept keeps its facts");
    fs::remove_file(other.path("project/kept")).expect("it is a link");
    other.pith(&["store", "gc", "-q"]).expect_success();
    assert!(!mine.exists(), "facts of nothing are nothing");
}
