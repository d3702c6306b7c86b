//! Programs of others judge the documents, which `tests/run` installs. What they say that is no fault stands in `fixtures/validators/known.tsv`, with the
//! reason.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tests::{TestEnv, is_full};

const DAY: &str = "--date=2026-11-22";
/// Who answers for the documents of these tests.
const AUTHOR: &str = "[sbom.author]\nname = \"Example\"\nemail = \"sbom@example.org\"\n\n";
/// What they conclude.
const CONCLUSIONS: &str = include_str!("../../fixtures/validators/conclusions.toml");
const KNOWN: &str = include_str!("../../fixtures/validators/known.tsv");
/// When documents are made that are judged by the day.
const NOW: &str = "2026-11-22T10:00:00Z";
/// The standards by which sbom-tools judges: BSI TR-03183-2 v2.1.0, the "2026 Minimum Elements" v2.1, and the Cyber Resilience Act.
const STANDARDS: &str = "bsi,cisa-2026,cra";
/// The apps of `tests/fixtures/apps` that take long to build.
const LONG_APPS: [&str; 7] = ["cmake", "go", "in-toto", "node", "python", "rust", "tern"];

/// Where `tests/run` puts programs of others that judge documents.
fn validator(name: &str) -> String {
    installed(&format!("validators/bin/{name}"))
}

fn installed(place: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
    let program = root.join(place);
    assert!(
        program.exists(),
        "`tests/run` installs {}",
        program.display()
    );
    program.display().to_string()
}

/// A script of `fixtures/validators`.
fn script(name: &str) -> String {
    format!("{}/fixtures/validators/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn settings() -> String {
    [AUTHOR, CONCLUSIONS].concat()
}

/// A project without an app.
fn env_with_settings() -> TestEnv {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    env.write("project/pith.toml", &settings());
    env
}

/// A project with an app of `tests/fixtures/apps`, with the recipe that `pith init` writes where it has none.
fn env_with_app(name: &str) -> TestEnv {
    let env = TestEnv::with_shared_store();
    env.copy_app(name);
    env.write("project/pith.toml", &settings());
    if !env.path("project/pith.star").exists() {
        env.pith(&["init", "-q"]).expect_success();
    }
    env
}

/// Has every format written of `target`, and judged by a program each; `name` is what known.tsv calls it.
fn judge(env: &TestEnv, name: &str, target: &str) {
    let write = |format: &[&str], file: &str| {
        let place = env.path(file).display().to_string();
        let arguments = [&["sbom", target, "-q", "-o", &place], format].concat();
        env.pith_with_crates(&arguments).expect_success();
        place
    };
    for files in ["none", "linked", "all"] {
        let spdx = ["-f", "spdx", "--files", files];
        let lines = ["-f", "spdx-tv", "--files", files];
        for file in [write(&spdx, "a.spdx.json"), write(&lines, "a.spdx")] {
            conforms_to_spdx(env, name, &file);
        }
    }
    let newest = write(&["--files", "all"], "a.cdx.json");
    let older = write(&["--spec", "1.6"], "b.cdx.json");
    env.tool(
        &validator("python3"),
        &[&script("strict_cyclonedx.py"), &newest, &older],
    )
    .expect_success();
    let spdx3 = write(&["-f", "spdx3"], "a.spdx3.json");
    let with_files = write(&["-f", "spdx3", "--files", "all"], "b.spdx3.json");
    env.tool(
        &validator("python3"),
        &[&script("strict_spdx3.py"), &spdx3, &with_files],
    )
    .expect_success();
    conforms_to_bsi(env, name, &spdx3);
    if is_full() {
        let dated = ["--date", NOW];
        let newest = write(&dated, "c.cdx.json");
        let older = write(&[&dated[..], &["--spec", "1.6"]].concat(), "d.cdx.json");
        for document in [newest, older] {
            conforms_to_standards(env, name, &document);
        }
    }
}

/// Asserts that a document of SPDX 2.3 has no fault, but for what is known.
#[track_caller]
fn conforms_to_spdx(env: &TestEnv, name: &str, document: &str) {
    let said = env.tool(&validator("pyspdxtools"), &["-i", document]);
    // One line a fault, below a heading: what it is, and after that where.
    let lines = said.stderr.lines().skip(1);
    let faults: Vec<&str> = lines.filter_map(|line| line.split(". ").next()).collect();
    assert_eq!(faults.is_empty(), said.status == 0, "{}", said.stderr);
    for fault in faults {
        assert!(
            is_known("pyspdxtools", name, fault),
            "{name}: {}",
            said.stderr
        );
    }
}

/// Asserts that a document of SPDX 3 has all that BSI TR-03183-2 demands, but for what is known.
#[track_caller]
fn conforms_to_bsi(env: &TestEnv, name: &str, document: &str) {
    let arguments = ["-s", "spdx3", "-c", "bsi", document];
    let said = env.tool(&validator("ntia-checker"), &arguments);
    let table = said.stdout.lines().filter_map(|line| line.split_once('|'));
    let missing: Vec<&str> = table
        .filter(|(_, status)| status.trim() == "False")
        .map(|(requirement, _)| requirement.trim())
        .filter(|requirement| {
            !requirement.ends_with("(Warning)") && !requirement.ends_with("(Optional)")
        })
        .collect();
    assert_eq!(missing.is_empty(), said.status == 0, "{}", said.stdout);
    assert_eq!(
        missing,
        known("ntia-checker", name),
        "{name}\n{}",
        said.stdout
    );
}

/// Asserts that a document of CycloneDX has all that the standards for bills demand, but for what is known.
#[track_caller]
fn conforms_to_standards(env: &TestEnv, name: &str, document: &str) {
    let program = installed("sbom-tools/bin/sbom-tools");
    let arguments = ["validate", document, "-o", "json", "--standard"];
    let how = ["--no-config", "--offline", "--as-of", NOW];
    let said = env.tool(&program, &[&arguments[..], &[STANDARDS], &how].concat());
    let judged: Value = serde_json::from_str(&said.stdout).expect("a list");
    let judged = judged.as_array().expect("of what each standard says");
    assert_eq!(judged.len(), STANDARDS.split(',').count());
    let found = judged.iter().flat_map(|of| of["violations"].as_array());
    let mut has_error = false;
    for one in found.flatten() {
        let rule = one["rule_id"].as_str().expect("a rule");
        let is_advice = one["severity"] == "Info";
        assert!(
            is_advice || is_known("sbom-tools", name, rule),
            "{name}: {one}"
        );
        has_error |= one["severity"] == "Error";
    }
    said.expect_status(i32::from(has_error));
}

/// What is known: program, document and what it says.
fn rows() -> impl Iterator<Item = [&'static str; 3]> {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [program, document, finding, reason] = fields.as_slice() else {
            panic!("four fields: {line}")
        };
        assert!(!reason.is_empty(), "{line}");
        [*program, *document, *finding]
    })
}

/// Whether a program is known to say this of a document, or of any.
fn is_known(program: &str, document: &str, finding: &str) -> bool {
    rows().any(|[of, about, what]| {
        of == program && (about == "*" || about == document) && what == finding
    })
}

/// What a program is known to say of a document, in its order.
fn known(program: &str, document: &str) -> Vec<&'static str> {
    let those = rows().filter(|[of, about, _]| *of == program && *about == document);
    those.map(|[_, _, what]| what).collect()
}

#[test]
fn bills_of_packages_have_no_fault() {
    let mut targets = vec!["hello", "debian:nginx"];
    if is_full() {
        targets.extend(["nginx", "jq", "debian:jq"]);
    }
    // Each in a project of its own: one keeps what was locked.
    for target in targets {
        judge(&env_with_settings(), target, target);
    }
}

#[test]
fn bills_of_apps_have_no_fault() {
    judge(&env_with_app("make"), "make", ".");
    if is_full() {
        for app in LONG_APPS {
            judge(&env_with_app(app), app, ".");
        }
    }
}

#[test]
fn reports_of_audits_are_sarif() {
    let env = env_with_settings();
    let schema = sarif_schema();
    let mut reports = Vec::new();
    // Of these, one finds nothing, one warns and one denies.
    for (number, target) in ["hello", "nginx", "debian:nginx"].iter().enumerate() {
        let report = env.path(&format!("{number}.sarif")).display().to_string();
        let said = env.pith(&[
            "audit", target, DAY, "-q", "--format", "sarif", "-o", &report,
        ]);
        assert!([0, 3, 5].contains(&said.status), "{}", said.stderr);
        reports.push(report);
    }
    let mut arguments = vec!["--regex-variant", "python", "--schemafile", &schema.1];
    arguments.extend(reports.iter().map(String::as_str));
    env.tool(&validator("check-jsonschema"), &arguments)
        .expect_success();
    let text = fs::read_to_string(&reports[0]).expect("it was written");
    env.write("wrong.sarif", &text.replace("\"results\"", "\"findings\""));
    let wrong = env.path("wrong.sarif").display().to_string();
    arguments.truncate(4);
    arguments.push(&wrong);
    env.tool(&validator("check-jsonschema"), &arguments)
        .expect_status(1);
}

/// The schema of SARIF 2.1.0 out of a crate that has it; the place where it lies lasts as long as the first value.
fn sarif_schema() -> (TestEnv, String) {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        "schema = derivation(\n    name = \"sarif-schema\", seed = package(\"seed\"),\n    \
         builder = [\"/usr/bin/bash\", \"-ec\", \"tar -xzOf $crate serde-sarif-0.8.0/src/schema.json > $out\"],\n    \
         env = {\"crate\": fetch(\n        urls = [\"mirror://crates/serde-sarif/0.8.0/download\"],\n        \
         name = \"serde-sarif-0.8.0.crate\",\n        \
         sha256 = \"a053c46f18a8043570d4e32fefc4c6377f82bf29ec310a33e93f273048e3b0be\",\n    )},\n)\n",
    );
    let built = env
        .pith_with_crates(&["build", "sarif-schema", "-q"])
        .expect_success();
    let name = built.line().strip_prefix("/pith/store/");
    let place = env.store().join("store").join(name.expect("a store path"));
    let place = place.display().to_string();
    (env, place)
}

#[test]
fn statements_about_vulnerabilities_are_openvex() {
    let env = env_with_settings();
    for (id, fixed) in [("CVE-2026-0001", "1.7"), ("CVE-2026-0002", "1.8")] {
        let record = json!({
            "schema_version": "1.7.5", "id": id, "modified": "2026-11-20T00:00:00Z",
            "affected": [{"ranges": [{
                "type": "GIT", "repo": "https://github.com/jqlang/jq",
                "events": [{"introduced": "0"}, {"fixed": "0123456789012345678901234567890123456789"}],
                "database_specific": {"cpe": "cpe:2.3:a:jqlang:jq:*:*:*:*:*:*:*:*",
                    "extracted_events": [{"introduced": "0"}, {"fixed": fixed}]}}]}]
        });
        env.write(&format!("osv/{id}.json"), &record.to_string());
    }
    env.write(
        "policy.toml",
        "[[vulnerabilities.ignore]]\nid = \"CVE-2026-0001\"\ncomponent = \"jq\"\n\
         justification = \"vulnerable_code_not_in_execute_path\"\nreason = \"nobody calls it\"\nuntil = 2027-01-31\n",
    );
    let place = |name: &str| env.path(name).display().to_string();
    let (db, policy, vex) = (place("osv"), place("policy.toml"), place("jq.vex.json"));
    let arguments = ["vulns", "jq", DAY, "-q", "--db", &db, "--policy", &policy];
    let arguments = [
        &arguments[..],
        &["--not-covered", "upstream", "--vex", &vex],
    ]
    .concat();
    env.pith(&arguments).expect_status(3);
    let judge = |document: &str| {
        let openvex = script("strict_openvex.py");
        env.tool(&validator("python3"), &[&openvex, document])
    };
    judge(&vex).expect_success();
    let text = fs::read_to_string(&vex).expect("it was written");
    for (from, to) in [
        ("\"not_affected\"", "\"harmless\""),
        ("\"justification\"", "\"reason\""),
        ("\"author\"", "\"writer\""),
    ] {
        assert!(text.contains(from), "{text}");
        env.write("wrong.vex.json", &text.replace(from, to));
        assert_ne!(judge(&place("wrong.vex.json")).status, 0, "{to}");
    }
}
