//! What was changed behind our back, each with its code and exit status. Of bytes in `origins`, of bundles in `bundles`, of databases in `vulns`, of policies
//! in `audit`.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tests::{Finished, TestEnv};

use crate::audit::{DAY, audit_tool, codes_of};

/// The head of a file under the GPL, in which `main.c` stands for its name.
const GPL: &str = "/* main.c - nothing\n *\n\
     \x20* This program is free software; you can redistribute it and/or modify\n\
     \x20* it under the terms of the GNU General Public License as published by\n\
     \x20* the Free Software Foundation; either version 2 of the License, or\n\
     \x20* (at your option) any later version.\n */\n";

/// A package of its own sources that says to be under `license`.
fn write_tool(env: &TestEnv, license: &str) {
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//lib/stdenv.star\", \"stdenv\")\n\
             tool = stdenv(\n    name = \"tool\", version = \"1\", source = source(\"src\"), license = \"{license}\",\n    \
             commands = {{\"build\": \"\", \"install\": 'mkdir -p \"$out/share\"; cp -r . \"$out/share/tool\"'}},\n)\n"
        ),
    );
}

/// Audits `tool` by a policy that allows what is permissive, and what `policy` says.
fn audit(env: &TestEnv, policy: &str) -> Finished {
    let policy = format!("[licenses]\nallow = ['category:permissive']\n{policy}");
    audit_tool(env, &policy)
}

#[test]
fn a_clarification_holds_until_the_text_that_it_is_about_changes() {
    let env = TestEnv::with_shared_store();
    write_tool(&env, "MIT");
    env.write("project/src/main.c", &format!("{GPL}int first;\n"));
    let contradicted = audit(&env, "").expect_status(5).json();
    assert_eq!(codes_of(&contradicted), ["L103"]);
    let evidence = &contradicted["diagnostics"][0]["evidence"][0];
    let evidence = evidence.as_str().expect("a line");
    let notice = evidence.strip_prefix("main.c, notice ").expect(evidence);

    let clarify = format!(
        "[[clarify]]\nnotice = '{notice}'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n"
    );
    assert_eq!(
        codes_of(&audit(&env, &clarify).expect_success().json()),
        [""; 0]
    );
    let other = GPL.replace("version 2 of", "version 3 of");
    env.write("project/src/main.c", &format!("{other}int second;\n"));
    let changed = audit(&env, &clarify).expect_status(3).json();
    assert_eq!(codes_of(&changed), ["P105", "L103"]);
}

#[test]
fn a_license_whose_text_was_deleted_cannot_be_passed_on() {
    let env = TestEnv::with_shared_store();
    write_tool(&env, "ISC");
    env.write("project/src/first.c", "int first;\n");
    let text = "ISC License\n\nCopyright (c) 2024 Some Body\n\n\
        Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above \
        copyright notice and this permission notice appear in all copies.\n";
    env.write("project/src/LICENSE", text);
    let policy = "[[licenses.rule]]\nlicense = 'ISC'\nthen = 'allow'\nrequire = ['text']\n";
    let whole = audit(&env, policy).expect_success().json();
    assert_eq!(codes_of(&whole), [""; 0]);
    env.pith(&["notice", "tool", "-q"]).expect_success();

    fs::remove_file(env.path("project/src/LICENSE")).expect("it is ours");
    let bare = audit(&env, policy).expect_status(3).json();
    assert_eq!(codes_of(&bare), ["N101"]);
    let said = env.pith(&["notice", "tool"]).expect_status(3).stderr;
    assert!(said.contains("N101: `tool` has no text"), "{said}");
}

/// Puts what lies in `tree` over an image in a layout, as a layer that `made_by` made.
fn add_layer(env: &TestEnv, made_by: &str) {
    add_entries(env, made_by, &["."]);
}

/// The same with what tar is told to put in.
fn add_entries(env: &TestEnv, made_by: &str, entries: &[&str]) {
    env.tool(
        "tar",
        &[&["-cf", "layer.tar", "-C", "tree"], entries].concat(),
    )
    .expect_success();
    let made_by = format!("--history.created_by={made_by}");
    let image = ["--image", "project/layout:latest", &made_by];
    env.tool(
        "umoci",
        &[&["raw", "add-layer"], &image[..], &["layer.tar"]].concat(),
    )
    .expect_success();
}

/// Changes `old` to `new`, which is as long, wherever it is in a file.
fn replace(env: &TestEnv, path: &str, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let path = env.path(path);
    let mut bytes = fs::read(&path).expect("it was written");
    let starts = 0..bytes.len().saturating_sub(old.len());
    let places: Vec<usize> = starts.filter(|at| bytes[*at..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    fs::write(path, bytes).expect("it is ours");
}

/// Changes `old` to `new`, which is as long, in a layout whose layers are not compressed, and every digest with it.
fn edit_layout(layout: &Path, old: &str, new: &str) {
    assert_eq!(old.len(), new.len());
    let blobs = layout.join("blobs/sha256");
    let files = || {
        let entries = fs::read_dir(&blobs).expect("it was written");
        let blobs = entries.map(|entry| entry.expect("it is ours").path());
        blobs.chain([layout.join("index.json")]).collect::<Vec<_>>()
    };
    let swap = |old: &[u8], new: &[u8]| {
        let mut count = 0;
        for path in files() {
            let mut bytes = fs::read(&path).expect("it is ours");
            let places: Vec<usize> = bytes
                .windows(old.len())
                .enumerate()
                .filter_map(|(at, found)| (found == old).then_some(at))
                .collect();
            for at in &places {
                bytes[*at..at + new.len()].copy_from_slice(new);
            }
            if !places.is_empty() {
                fs::write(&path, bytes).expect("it is ours");
                count += places.len();
            }
        }
        count
    };
    assert!(swap(old.as_bytes(), new.as_bytes()) > 0, "{old} is nowhere");
    // Whoever names a blob changes with it.
    loop {
        let wrong = files().into_iter().find_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            let digest = Sha256::digest(fs::read(&path).ok()?);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (name.len() == digest.len() && name != digest).then_some((path, name, digest))
        });
        let Some((path, name, digest)) = wrong else {
            break;
        };
        fs::rename(&path, blobs.join(&digest)).expect("it is ours");
        swap(name.as_bytes(), digest.as_bytes());
    }
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_is_damage_to_whoever_reads_it() {
    let env = TestEnv::with_shared_store();
    for (compression, old, new) in [
        ("none", &b"GPL-3.0-or-later"[..], &b"GPL-2.0-or-later"[..]),
        // The head of a stream: the field that names its system.
        ("gzip", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\xff"),
    ] {
        env.pith(&[
            "pack",
            "hello",
            "-q",
            "-o",
            "a.tar",
            "--compression",
            compression,
        ])
        .expect_success();
        env.pith(&["audit", "a.tar", DAY, "-q", "--no-store"])
            .expect_success();
        replace(&env, "project/a.tar", old, new);
        let asked: [&[&str]; 5] = [
            &["audit", "a.tar", DAY, "--no-store"],
            &["sbom", "a.tar", "-f", "spdx"],
            &["image", "inspect", "a.tar"],
            &["trace", "a.tar:/bin/hello"],
            &["pack", "jq", "--base", "a.tar", "-o", "on.tar", "-n", "on"],
        ];
        for command in asked {
            let said = env.pith(command).expect_status(4).stderr;
            assert!(said.contains("a.tar` is damaged"), "{said}");
        }
    }
}

#[test]
fn a_layer_that_somebody_put_on_an_image_is_not_described_by_its_bill() {
    let env = TestEnv::with_shared_store();
    let pack = || {
        env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", "layout"])
            .expect_success();
    };
    pack();
    env.write("tree/usr/evil", "whatever\n");
    add_layer(&env, "somebody");
    let report = env.pith(&["audit", "layout", DAY, "--no-store", "--format", "json"]);
    let report = report.expect_status(5).json();
    assert_eq!(codes_of(&report), ["B120"]);
    // What pith wrote is still told.
    env.pith(&["sbom", "layout", "-f", "spdx", "-q"])
        .expect_success();
    for place in [
        "usr/share/sbom/hello.spdx.json",
        "usr/share/sbom/a.spdx.json",
        "usr/share/.wh.sbom",
    ] {
        fs::remove_dir_all(env.path("tree")).expect("it is ours");
        fs::remove_dir_all(env.path("project/layout")).expect("it is ours");
        pack();
        env.write(&format!("tree/{place}"), "{\"packages\": []}\n");
        add_layer(&env, "somebody");
        for command in ["audit", "sbom"] {
            let said = env.pith(&[command, "layout"]).expect_status(4);
            let said = said.stdout + &said.stderr;
            assert!(said.contains("is in the way of the bill"), "{said}");
        }
    }
}

#[test]
fn a_layer_is_one_of_pith_by_what_is_in_it_and_not_by_what_an_image_says() {
    let env = TestEnv::with_shared_store();
    let plain = ["--mtime=@1", "--owner=0", "--group=0", "usr"];
    for (entries, why) in [
        (&["."][..], "is not a plain relative path"),
        (&plain, "it lies above the bill"),
    ] {
        env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", "layout"])
            .expect_success();
        env.write("tree/usr/evil", "whatever\n");
        add_entries(&env, "pith pack: hello-2.10", entries);
        let report = env.pith(&["audit", "layout", DAY, "--no-store", "--format", "json"]);
        let report = report.expect_status(5).json();
        assert_eq!(codes_of(&report), ["B120"]);
        let evidence = report["diagnostics"][0]["evidence"].to_string();
        assert!(evidence.contains(why), "{evidence}");
        let verified = env.pith(&["image", "verify", "layout"]);
        assert!(matches!(verified.status, 3 | 4), "{verified:?}");
        fs::create_dir_all(env.path("empty")).expect("the place is ours");
        let said = env.pith(&["vulns", "layout", "--db", "../empty"]);
        let said = said.expect_status(5).stderr;
        let expected = "undecided[V106]";
        assert!(
            said.contains(expected) && said.contains("which pith did not write"),
            "{said}"
        );
        fs::remove_dir_all(env.path("project/layout")).expect("it is ours");
    }
}

#[test]
fn a_bill_in_an_image_that_refers_to_nothing_is_damage_to_whoever_reads_it() {
    let env = TestEnv::with_shared_store();
    let format = ["-f", "oci", "--compression", "none", "-o", "layout"];
    env.pith(&[&["pack", "hello", "-q"][..], &format].concat())
        .expect_success();
    env.pith(&["audit", "layout", DAY, "-q"]).expect_success();
    let bill = env.pith(&["sbom", "layout", "-f", "spdx", "-q"]);
    let bill = bill.expect_success().json();
    let mut relations = bill["relationships"].as_array().expect("a list").iter();
    let reference = relations.find(|one| one["relationshipType"] == "DEPENDS_ON");
    let reference = &reference.expect("hello refers to the C library")["relatedSpdxElement"];
    let reference = reference.as_str().expect("a name");
    let relation =
        |to: &str| format!("\"relatedSpdxElement\":\"{to}\",\"relationshipType\":\"DEPENDS_ON\"");
    let gone = format!("SPDXRef-{}", "g".repeat(reference.len() - "SPDXRef-".len()));
    edit_layout(
        &env.path("project/layout"),
        &relation(reference),
        &relation(&gone),
    );
    let asked: [&[&str]; 2] = [&["audit"], &["image", "inspect"]];
    for command in asked {
        let said = env.pith(&[command, &["layout"]].concat());
        let said = said.expect_status(4);
        let said = said.stdout + &said.stderr;
        let expected = format!("refers to `{gone}`, which is not in the bill");
        assert!(
            said.contains("D102: ") && said.contains(&expected),
            "{said}"
        );
    }
}

#[test]
fn an_image_on_layers_that_nobody_describes_is_undecided() {
    let env = TestEnv::with_shared_store();
    env.write("tree/srv/page", "whatever\n");
    env.pith(&["pack", "hello", "-q", "-f", "oci", "-o", "layout"])
        .expect_success();
    // What another program has put there: a base of which no bill speaks.
    add_layer(&env, "somebody");
    env.pith(&[
        "pack", "jq", "-q", "--base", "layout", "-o", "on.tar", "-n", "on",
    ])
    .expect_success();
    let report = env
        .pith(&["audit", "on.tar", DAY, "--format", "json"])
        .expect_status(5)
        .json();
    assert_eq!(report["verdict"], "undecided");
    let found = codes_of(&report);
    assert!(!found.is_empty() && found.iter().all(|code| *code == "B120"));
    let said = env.pith(&["audit", "--bytes", "on.tar"]).expect_status(5);
    assert!(said.stderr.contains("nobody describes "), "{}", said.stderr);
    fs::create_dir(env.path("empty")).expect("the place is ours");
    let said = env.pith(&["vulns", "on.tar", "--db", "../empty"]);
    let said = said.expect_status(5).stderr;
    assert!(said.contains("undecided[V106]"), "{said}");

    // Before it is packed, the target is answered for in the same way.
    let declared = "image(name = \"on\", packages = [package(\"jq\")], base = \"layout\")\n";
    env.write("project/pith.star", declared);
    let target = env.pith(&["audit", "on", DAY, "--format", "json"]);
    let target = target.expect_status(5).json();
    let found = codes_of(&target);
    assert!(!found.is_empty() && found.iter().all(|code| *code == "B120"));
    let said = env.pith(&["audit", "--bytes", "on"]).expect_status(5);
    assert!(said.stderr.contains("nobody describes "), "{}", said.stderr);
    let said = env.pith(&["vulns", "on", "--db", "../empty"]);
    let said = said.expect_status(5).stderr;
    assert!(said.contains("undecided[V106]"), "{said}");
    let bill = env.pith(&["sbom", "on", "-q", "-f", "spdx-tv"]);
    let bill = bill.expect_success().stdout;
    assert!(bill.contains("SPDXRef-root DESCENDANT_OF "), "{bill}");
    let file = env
        .pith(&["trace", "on:/bin/hello"])
        .expect_success()
        .stdout;
    assert!(file.contains("hello-2.10"), "{file}");
    // What is passed on with the image is not whole.
    let notices = env.pith(&["notice", "on"]).expect_status(3);
    assert!(
        notices.stderr.contains("N101: `layout`"),
        "{}",
        notices.stderr
    );
    let bundle = env.pith(&["sources", "on", "-o", "../bundle"]);
    let bundle = bundle.expect_status(3).stderr;
    assert!(bundle.contains("`layout`"), "{bundle}");
    assert!(env.path("bundle/project/pith.star").is_file());
    env.write("project/pith.star", &declared.replace("layout", "gone"));
    env.pith(&["audit", "on", DAY]).expect_status(1);
}

#[test]
fn an_image_in_the_place_of_a_target_is_called_one() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    for verb in [&["notice"][..], &["sources", "-o", "../bundle"]] {
        let refused = env.pith(&[verb, &["hello.tar"]].concat());
        let refused = refused.expect_status(1).stderr;
        assert!(refused.contains("`hello.tar` is an image"), "{refused}");
    }
    for verb in [&["sbom"][..], &["audit"], &["vulns", "--db", "."]] {
        let refused = env.pith(&[verb, &["gone.tar"]].concat());
        let refused = refused.expect_status(1).stderr;
        assert!(refused.contains("cannot read `"), "{refused}");
    }
}

#[test]
fn the_bill_of_an_image_for_several_platforms_is_that_of_one() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    let platforms = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    let pack = [&["pack", "hello", "-q", "-o", "both.tar"], &platforms[..]].concat();
    env.pith(&pack).expect_success();
    let command = ["sbom", "both.tar", "-q", "-f", "spdx"];
    let refused = env.pith(&command).expect_status(2).stderr;
    assert!(
        refused.contains("linux/arm64") && refused.contains("`--platform`"),
        "{refused}"
    );
    for platform in ["linux/amd64", "linux/arm64/v8"] {
        let one = env.pith(&[&command[..], &["--platform", platform]].concat());
        let bill = one.expect_success().json();
        assert_eq!(bill["name"], "hello");
    }
    // Of a target it would be an answer about another machine.
    for verb in [&["sbom"][..], &["audit"], &["vulns", "--db", "."]] {
        let refused = env.pith(&[verb, &["hello", "--platform", "linux/arm64"]].concat());
        let refused = refused.expect_status(2).stderr;
        assert!(refused.contains("`hello` is a target"), "{refused}");
    }
}
