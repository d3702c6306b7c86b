//! Known vulnerabilities of closures, images and bills, offline: what is denied, what is settled, and what cannot be told.

use std::fs;

use serde_json::{Value, json};
use tests::TestEnv;
use tests::debian_repository::{DebianPackage, DebianRepository};

use crate::debian::place as debian_place;

const DAY: [&str; 2] = ["--date", "2026-11-22"];

/// What OSV makes of a record of the NVD about jq.
fn of_jq(id: &str, fixed: &str) -> String {
    json!({
        "schema_version": "1.7.5", "id": id, "modified": "2026-11-20T00:00:00Z",
        "summary": "jq reads behind the end",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [{"ranges": [{
            "type": "GIT", "repo": "https://github.com/jqlang/jq",
            "events": [{"introduced": "0"}, {"fixed": "0123456789012345678901234567890123456789"}],
            "database_specific": {"cpe": "cpe:2.3:a:jqlang:jq:*:*:*:*:*:*:*:*",
                "extracted_events": [{"introduced": "0"}, {"fixed": fixed}]}}]}]
    })
    .to_string()
}

/// A database of 20 records, of which one is about jq.
fn database(env: &TestEnv) -> String {
    for index in 0..19 {
        let text = of_jq(&format!("CVE-2026-{index:04}"), "1.0");
        env.write(&format!("osv/CVE-2026-{index:04}.json"), &text);
    }
    env.write("osv/CVE-2026-9999.json", &of_jq("CVE-2026-9999", "1.7"));
    path(env, "osv")
}

fn path(env: &TestEnv, name: &str) -> String {
    env.path(name).to_string_lossy().into_owned()
}

fn statuses(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("a list");
    let text = |finding: &Value| {
        let texts = ["id", "component"].map(|key| finding[key].as_str().expect("a text"));
        let status = finding["status"]["is"].as_str().expect("a text");
        format!("{} {} {status}", texts[0], texts[1])
    };
    findings.iter().map(text).collect()
}

#[test]
fn a_vulnerability_is_denied_until_somebody_states_why_it_does_no_harm() {
    let env = TestEnv::with_shared_store();
    let db = database(&env);
    let asked = |more: &[&str]| {
        let arguments = [
            &["vulns", "jq", "--db", &db, "--not-covered", "upstream"][..],
            &DAY[..],
            more,
        ];
        env.pith(&arguments.concat())
    };
    let denied = asked(&[]).expect_status(3);
    assert!(
        denied.stdout.contains("CVE-2026-9999") && denied.stdout.contains("critical 9.8"),
        "{}",
        denied.stdout
    );
    let report = asked(&["--json"]).expect_status(3).json();
    assert_eq!(statuses(&report), ["CVE-2026-9999 jq denied"]);
    assert_eq!(report["findings"][0]["matches"][0]["name_rule"], "cpe");
    assert_eq!(report["databases"][0]["records"], 20);

    let policy = env.path("policy.toml");
    let policy = policy.to_string_lossy();
    let ignore = "[[vulnerabilities.ignore]]\nid = \"CVE-2026-9999\"\ncomponent = \"jq\"\n\
                  justification = \"vulnerable_code_not_in_execute_path\"\nreason = \"nobody calls it\"\n";
    env.write("policy.toml", &format!("{ignore}until = 2026-11-21\n"));
    let over = asked(&["--policy", &policy]).expect_status(3);
    assert!(over.stderr.contains("warning[V112]"), "{}", over.stderr);
    env.write("policy.toml", &format!("{ignore}until = 2027-01-31\n"));
    let (first, second) = (path(&env, "a.vex.json"), path(&env, "b.vex.json"));
    for vex in [&first, &second] {
        asked(&["--policy", &policy, "--vex", vex]).expect_success();
    }
    let text = fs::read(&first).expect("a document");
    assert_eq!(text, fs::read(&second).expect("a document"));
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(document["statements"][0]["status"], "not_affected");
    // What was stated once silences elsewhere too.
    asked(&["--vex-in", &first]).expect_success();
}

#[test]
fn debians_revision_that_jq_is_built_with_settles_what_it_fixes() {
    let env = TestEnv::with_shared_store();
    let db = database(&env);
    let tracker = |fixed: &str| {
        let release = json!({"status": "resolved", "fixed_version": fixed, "urgency": "high", "repositories": {}});
        let text = json!({"jq": {"CVE-2026-9999": {"releases": {"bookworm": release}}}});
        env.write("tracker.json", &text.to_string());
        path(&env, "tracker.json")
    };
    for (fixed, status, exit) in [
        ("1.6-2.1+deb12u1", "fixed", 0),
        ("1.6-2.1+deb12u99", "denied", 3),
    ] {
        let tracker = tracker(fixed);
        let mut arguments = vec!["vulns", "jq", "--db", &db, "--db", &tracker, "--json"];
        arguments.extend(["--not-covered", "upstream", "--max-age", "9999d"]);
        let report = env.pith(&arguments).expect_status(exit).json();
        assert_eq!(statuses(&report), [format!("CVE-2026-9999 jq {status}")]);
    }
}

#[test]
fn a_database_that_has_lost_records_or_is_old_or_empty_is_never_clean() {
    let env = TestEnv::with_shared_store();
    let db = database(&env);
    fs::remove_file(env.path("osv/CVE-2026-9999.json")).expect("it was there");
    let asked = |more: &[&str]| {
        let arguments = [
            &["vulns", "jq", "--db", &db, "--not-covered", "upstream"][..],
            more,
        ];
        env.pith(&arguments.concat())
    };
    asked(&DAY).expect_success();
    for index in 0..10 {
        fs::remove_file(env.path(&format!("osv/CVE-2026-{index:04}.json"))).expect("it was there");
    }
    let halved = asked(&DAY).expect_status(5);
    assert!(
        halved.stderr.contains("undecided[V101]"),
        "{}",
        halved.stderr
    );
    asked(&[&DAY[..], &["--expect", "9"]].concat()).expect_success();
    // From now on that many are what it has.
    asked(&DAY).expect_success();
    let old = asked(&["--date", "2027-01-01"]).expect_status(5);
    assert!(old.stderr.contains("undecided[V102]"), "{}", old.stderr);
    env.write("osv/CVE-2026-0018.json", "{");
    let damaged = asked(&DAY).expect_status(5);
    assert!(
        damaged.stderr.contains("undecided[V103]"),
        "{}",
        damaged.stderr
    );
    fs::create_dir(env.path("empty")).expect("a new directory");
    let empty = path(&env, "empty");
    let empty = env.pith(&["vulns", "jq", "--db", &empty]).expect_status(5);
    assert!(empty.stderr.contains("undecided[V100]"), "{}", empty.stderr);
    let none = path(&env, "none");
    env.pith(&["vulns", "jq", "--db", &none]).expect_status(5);
}

#[test]
fn an_image_and_its_bill_are_checked_without_the_closure() {
    let env = TestEnv::with_shared_store();
    let db = database(&env);
    let (image, bill) = (path(&env, "jq.tar"), path(&env, "jq.spdx.json"));
    env.pith(&["pack", "jq", "-q", "-o", &image, "--sbom", &bill])
        .expect_success();
    // Without a store there is nothing but what the image says of itself.
    let elsewhere = TestEnv::new();
    for target in [&image, &bill] {
        let arguments = [&["vulns", target, "--db", &db, "--json"][..], &DAY[..]].concat();
        let report = elsewhere.pith(&arguments).expect_status(3).json();
        assert_eq!(statuses(&report), ["CVE-2026-9999 jq denied"], "{target}");
    }
}

/// A program with a static library in it, of a source that a patch mends.
const TOOL: &str = r#"
load("//lib/stdenv.star", "stdenv")

tool = stdenv(
    name = "tool",
    version = "1.0",
    source = source("src"),
    deps = [package("zlib")],
    PATCHES
    commands = {
        "build": "gcc -O2 -o tool main.c -l:libz.a",
        "install": 'install -D tool "$out/bin/tool"',
    },
    license = "MIT",
    cpe = "example:tool",
)
"#;
const FIX: &str = "CVE: CVE-2026-7777\nForwarded: no\n--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,2 @@\n #include <zlib.h>\n-int main(void) { return !compressBound(1); }\n+int main(void) { return !compressBound(2); }\n";

/// A record about all versions of `product` before `fixed`.
fn of_product(id: &str, product: &str, fixed: &str) -> String {
    let text = of_jq(id, fixed).replace("jqlang:jq", product);
    let name = product.replace(':', "/");
    text.replace("jqlang/jq", &name)
}

/// The project with these patches, and a database about the program and zlib.
fn tool_project(env: &TestEnv, patches: &str) -> String {
    env.write("project/pith.star", &TOOL.replace("PATCHES", patches));
    env.write(
        "project/src/main.c",
        "#include <zlib.h>\nint main(void) { return !compressBound(1); }\n",
    );
    env.write("project/fix.patch", FIX);
    let records = [
        ("CVE-2026-7777", "example:tool", "2.0"),
        ("CVE-2026-8888", "zlib:zlib", "9.0"),
        ("CVE-2026-8889", "zlib:zlib", "1.0"),
    ];
    for (id, product, fixed) in records {
        env.write(&format!("osv/{id}.json"), &of_product(id, product, fixed));
    }
    path(env, "osv")
}

#[test]
fn a_patch_that_names_a_vulnerability_settles_it_until_it_is_dropped() {
    let env = TestEnv::with_shared_store();
    let with_fix = "patches = [source(\"fix.patch\")],";
    for (patches, status) in [(with_fix, "fixed"), ("", "denied"), (with_fix, "fixed")] {
        let db = tool_project(&env, patches);
        let arguments = ["vulns", "tool", "--db", &db, "--json"];
        let arguments = [&arguments[..], &["--not-covered", "upstream"], &DAY[..]].concat();
        // zlib is denied either way.
        let report = env.pith(&arguments).expect_status(3).json();
        let of_tool = format!("CVE-2026-7777 tool {status}");
        assert!(statuses(&report).contains(&of_tool), "{report:#}");
        if status == "fixed" {
            let patch = path(&env, "project/fix.patch");
            let summed = env.tool("sha256sum", &[&patch]).expect_success().stdout;
            let findings = report["findings"].as_array().expect("a list").iter();
            let fixed = findings.map(|one| &one["status"]["by"]);
            let digests: Vec<_> = fixed.filter_map(|by| by["sha256"].as_str()).collect();
            assert_eq!(digests, [&summed[..64]], "{report:#}");
        }
    }
}

#[test]
fn what_is_linked_in_statically_is_found_in_what_has_it() {
    let env = TestEnv::with_shared_store();
    let db = tool_project(&env, "");
    let built = env.pith(&["build", "tool", "-q"]).expect_success();
    let tree = env.closure("tool", &[]);
    assert!(!tree.iter().any(|path| path.contains("-zlib-")), "{tree:?}");
    let arguments = ["vulns", "tool", "--db", &db, "--json"];
    let arguments = [&arguments[..], &["--not-covered", "upstream"], &DAY[..]].concat();
    let report = env.pith(&arguments).expect_status(3).json();
    let findings = report["findings"].as_array().expect("a list");
    let of_zlib: Vec<&Value> = findings
        .iter()
        .filter(|finding| finding["component"] == "zlib")
        .collect();
    let [finding] = of_zlib.as_slice() else {
        panic!("{report:#}")
    };
    assert_eq!(finding["id"], "CVE-2026-8888");
    assert_eq!(finding["status"]["is"], "denied");
    let place = json!([{"within": built.line(), "relation": "static"}]);
    assert_eq!(finding["places"], place);
}

#[test]
fn a_difference_tells_what_was_fixed_what_came_and_what_stays() {
    let env = TestEnv::with_shared_store();
    let db = database(&env);
    env.write("project/pith.star", "");
    env.write(
        "project/pith.toml",
        "[audit.vulnerabilities]\nnot-covered = [\"upstream\"]\n",
    );
    let diff = |old: &str, new: &str, more: &[&str]| {
        let command = [
            &["audit", "--diff", old, new, "--db", &db, "-q"][..],
            &DAY,
            more,
        ]
        .concat();
        env.pith(&command)
    };
    let found = "CVE-2026-9999 in jq 1.6 (critical, denied)";
    for (old, new, word) in [
        ("jq", "oniguruma", "fixed"),
        ("oniguruma", "jq", "new"),
        ("jq", "jq", "still there"),
    ] {
        let said = diff(old, new, &[]).expect_success().stdout;
        assert!(said.contains(&format!("{word}: {found}")), "{said}");
        let comment = diff(old, new, &["--format", "markdown"]).expect_success();
        let line = format!("* {word}: {found}");
        assert!(comment.stdout.contains(&line), "{}", comment.stdout);
    }
    let empty = path(&env, "empty");
    fs::create_dir(&empty).expect("the place is ours");
    let unknown = env.pith(&["audit", "--diff", "jq", "oniguruma", "--db", &empty, "-q"]);
    let said = unknown.expect_status(5).stdout;
    assert!(said.contains("undecided: V100"), "{said}");
}

#[test]
fn packages_of_debian_are_judged_by_source_package_release_and_debians_order() {
    let package = |name: &str, version: &str, source: Option<&str>| {
        let package = DebianPackage::new(name, version).program(&format!("usr/bin/{name}"), b"");
        match source {
            Some(source) => package.field("Source", source),
            None => package,
        }
    };
    let repository = DebianRepository::new(&[
        package("app", "2:1.0-1+deb12u1", None).field("Depends", "dmlib, again"),
        package("dmlib", "2:1.02.185-2", Some("lvm2 (2.03.16-2)")),
        package("again", "1.0-1+b3", Some("again (1.0-1)")),
    ]);
    let (env, _server) = debian_place(&repository);
    let release = |status: &str, fixed: Option<&str>, urgency: &str| {
        let mut release = json!({"status": status, "urgency": urgency, "repositories": {}});
        if let Some(fixed) = fixed {
            release["fixed_version"] = json!(fixed);
        }
        json!({"scope": "local", "releases": {"bookworm": release}})
    };
    let resolved = |fixed: &str| release("resolved", Some(fixed), "not yet assigned");
    let tracker = json!({
        "app": {
            "CVE-2026-0001": resolved("2:1.0-1+deb12u1"),
            "CVE-2026-0002": resolved("2:1.0-1+deb12u2"),
            // What the tracker has for `<not-affected>`.
            "CVE-2026-0003": resolved("0"),
            "CVE-2026-0004": release("open", None, "unimportant"),
            // Debian cannot tell: to look at, and nothing that anybody could wait for.
            "CVE-2026-0005": release("undetermined", None, "not yet assigned"),
            "CVE-2026-0006": release("open", None, "end-of-life"),
            "CVE-2026-0007": resolved("2:1.0~rc1-1"),
            // Without an epoch it is older than any version with one.
            "CVE-2026-0008": resolved("3.0-1"),
            "CVE-2026-0009": json!({"releases": {"sid":
                {"status": "open", "urgency": "high", "repositories": {}}}}),
        },
        "lvm2": {"CVE-2026-0010": resolved("2.03.16-3"), "CVE-2026-0011": resolved("2.03.16-2")},
        "dmlib": {"CVE-2026-0012": release("open", None, "high")},
        "again": {"CVE-2026-0013": resolved("1.0-1"), "CVE-2026-0014": resolved("1.0-1+deb12u1")},
    });
    env.write("tracker.json", &tracker.to_string());
    let tracker = path(&env, "tracker.json");
    let asked = |more: &[&str]| {
        let arguments = [
            &["vulns", "debian:app", "--db", &tracker, "--json"][..],
            &["--max-age", "9999d"],
            more,
        ];
        env.pith(&arguments.concat()).expect_status(3).json()
    };
    let open = |report: &Value| {
        let mut found = statuses(report);
        found.retain(|line| !line.ends_with(" fixed") && !line.ends_with(" not_affected"));
        found.sort();
        found
    };
    assert_eq!(
        open(&asked(&[])),
        [
            "CVE-2026-0002 app denied",
            "CVE-2026-0004 app denied",
            "CVE-2026-0005 app clue",
            "CVE-2026-0006 app denied",
            "CVE-2026-0010 dmlib denied",
            "CVE-2026-0014 again denied",
        ]
    );
    // Only what Debian has rated is below any threshold.
    let severe = asked(&["--fail-on", "medium"]);
    let tolerated = open(&severe)
        .into_iter()
        .filter(|line| line.ends_with(" tolerated"));
    assert_eq!(
        tolerated.collect::<Vec<_>>(),
        ["CVE-2026-0004 app tolerated"]
    );
}
