//! What may be shipped: policies, exit statuses, evidence, and the licenses of the collection.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::{Finished, TestEnv, is_full, run};

/// A day before which no exception of these scenarios ends.
pub(super) const DAY: &str = "--date=2026-11-22";
/// What the sources of the collection say, read by people.
const LICENSES: &str = include_str!("../../fixtures/licenses.tsv");

/// A program that says by a note that it loads a library on demand (UAPI group, "`dlopen()` Metadata for ELF Files").
const ON_DEMAND: &str = r#"
__asm__(
    ".pushsection .note.dlopen,\"a\",%note\n.balign 4\n.long 4, 2f - 1f, 0x407c0c0a\n.asciz \"FDO\"\n"
    "1: .asciz \"[{\\\"feature\\\":\\\"plug\\\",\\\"soname\\\":[\\\"libplug.so.2\\\",\\\"libplug.so.1\\\"]}]\"\n2: .balign 4\n.popsection"
);
#define TEXT(words) #words
#define PLACE(words) TEXT(words)
const char *volatile place = PLACE(PLUG);
int main(void) { return place == 0; }
"#;

/// A package that refers to zlib, under a license. What is recorded of one object is so for all scenarios that have it, so each license makes another one.
fn tool(license: &str) -> String {
    let unique: String = license.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "load(\"//seed/recipe.star\", \"base\")\n\
         tool = derivation(\n    name = \"tool\", version = \"1\", seed = base,\n    \
         builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/bin; ln -s $zlib/lib/libz.so $out/bin/tool; echo {unique} >$out/unique\"],\n    \
         env = {{\"zlib\": package(\"zlib\")}},\n    {license}\n)\n"
    )
}

/// Audits a package under `license` by the rest of a policy that allows what is permissive.
fn audit(license: &str, policy: &str) -> Finished {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", &tool(license));
    let policy = format!(
        "[audit.licenses]\nallow = ['category:permissive', 'LGPL-*', 'GPL-* WITH *']\n{policy}\n[audit.lints]\nunused-allow = 'allow'\n"
    );
    env.write("project/pith.toml", &policy);
    env.pith(&["audit", "tool", DAY, "--format", "json"])
}

/// Audits `tool` of the project by this policy alone.
pub(super) fn audit_tool(env: &TestEnv, policy: &str) -> Finished {
    env.write("project/policy.toml", policy);
    let command = ["audit", "tool", DAY, "--policy", "policy.toml"];
    env.pith(&[&command[..], &["--format", "json"]].concat())
}

/// Asserts that the audit ends with `status` and finds exactly `codes`.
#[track_caller]
fn finds(finished: Finished, status: i32, codes: &[&str]) -> Value {
    let report = finished.expect_status(status).json();
    assert_eq!(codes_of(&report), codes, "{report:#}");
    report
}

/// The codes of a report.
pub(super) fn codes_of(report: &Value) -> Vec<&str> {
    let found = report["diagnostics"].as_array().expect("a list").iter();
    found
        .map(|one| one["code"].as_str().expect("a code"))
        .collect()
}

#[test]
fn the_licenses_of_the_collection_are_those_of_its_sources() {
    let env = TestEnv::new();
    let listed = env.pith(&["search", "", "--json"]).expect_success().json();
    let declared: BTreeMap<_, _> = listed["packages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|package| {
            (
                package["name"].as_str().expect("a name"),
                package["license"].as_str().unwrap_or_default(),
            )
        })
        .filter(|(name, _)| *name != "seed" && *name != "list")
        .collect();
    let rows = LICENSES.lines().filter(|line| !line.starts_with('#'));
    let read: BTreeMap<_, _> = rows
        .map(|row| {
            let fields: Vec<_> = row.split('\t').collect();
            let [name, license, place] = fields.as_slice() else {
                panic!("{row}")
            };
            assert!(!place.is_empty(), "{name}");
            (*name, *license)
        })
        .collect();
    assert_eq!(declared, read);
}

#[test]
fn what_the_built_in_policy_allows_is_status_0_and_says_the_same_twice() {
    let env = TestEnv::with_shared_store();
    for format in ["table", "json", "sarif", "junit", "html"] {
        let first = env
            .pith(&["audit", "hello", DAY, "-q", "--format", format])
            .expect_success();
        let again = env
            .pith(&["audit", "hello", DAY, "-q", "--format", format])
            .expect_success();
        assert_eq!(first.stdout, again.stdout, "{format}");
        // Some list only what is found, and there is nothing.
        let expected = match format {
            "table" => "2 components: may be shipped",
            "sarif" => "\"verdict\": \"clean\"",
            _ => "hello",
        };
        assert!(
            first.stdout.contains(expected),
            "{format}: {}",
            first.stdout
        );
    }
    let printed = env
        .pith(&["audit", "--print-policy"])
        .expect_success()
        .stdout;
    env.write("project/policy.toml", &printed);
    let by_file = env
        .pith(&["audit", "hello", DAY, "-q", "--policy", "policy.toml"])
        .expect_success();
    assert!(
        by_file.stdout.contains("by policy.toml as of 2026-11-22"),
        "{}",
        by_file.stdout
    );
}

#[test]
fn a_license_that_is_none_is_denied_with_what_was_meant() {
    let report = finds(audit("license = \"GPLv3+ nonsense\",", ""), 3, &["L101"]);
    let found = &report["diagnostics"][0];
    assert_eq!(found["help"], "did you mean `GPL-3.0-or-later`?");
    assert_eq!(found["component"], "tool-1");
    assert_eq!(found["place"]["line"], 2, "of the recipe");
    assert_eq!(report["verdict"], "denied");
}

#[test]
fn no_license_is_denied() {
    finds(audit("", ""), 3, &["L102"]);
}

#[test]
fn a_library_under_the_lgpl_may_be_linked_dynamically_and_not_statically() {
    let env = TestEnv::with_shared_store();
    env.write("project/src/main.c", "int main(void) { return 0; }\n");
    let audit = |flag: &str| {
        let recipe = format!(
            "load(\"//lib/stdenv.star\", \"stdenv\")\n\
             tool = stdenv(\n    name = \"tool\", version = \"1\", source = source(\"src\"), license = \"MIT\",\n    \
             commands = {{\"build\": \"gcc {flag} -o tool main.c\", \"install\": 'install -D tool \"$out/bin/tool\"'}},\n)\n"
        );
        env.write("project/pith.star", &recipe);
        env.pith(&["audit", "tool", DAY, "--format", "json"])
    };
    finds(audit("-O1"), 0, &[]);
    let report = audit("-O1 -static").expect_status(3).json();
    let found = &report["diagnostics"][0];
    assert_eq!(found["code"], "L120");
    assert_eq!(report["summary"]["denied"], 1, "{report:#}");
    assert_eq!(found["component"], "libc6-dev-2.36-9+deb12u14");
    assert_eq!(found["license"], "LGPL-2.1-or-later");
    assert_eq!(found["chain"][1]["relation"], "links statically");
    assert_eq!(found["decided_by"]["file"], "the built-in policy");

    // The bill in an image says it, too.
    env.pith(&["pack", "tool", "-q", "-o", "static.tar"])
        .expect_success();
    let alone = env.pith(&["audit", "static.tar", "--no-store", DAY, "--format", "json"]);
    let alone = alone.expect_status(3).json();
    assert_eq!(said(&alone), said(&report));
    audit("-O1").expect_success();
    env.pith(&["pack", "tool", "-q", "-o", "dynamic.tar"])
        .expect_success();
    let alone = env.pith(&["audit", "dynamic.tar", "--no-store", DAY, "-q"]);
    alone.expect_success();
    let drift = env.pith(&["audit", "--diff", "dynamic.tar", "static.tar", DAY]);
    let drift = drift.expect_success().stdout;
    assert!(
        drift.contains("+ libc6-dev") && drift.contains("static by tool"),
        "{drift}"
    );
}

#[test]
fn an_answer_says_the_same_wherever_a_project_lies() {
    let audit = |format: &str| {
        let env = TestEnv::with_shared_store();
        env.write("project/pith.star", &tool("license = \"GPL-3.0-only\","));
        env.write("project/pith.toml", "[audit.licenses]\nallow = ['MIT']\n");
        env.write("project/src/main.c", "int main(void) { return 0; }\n");
        let said = env.pith(&["audit", "tool", DAY, "-q", "--format", format]);
        let said = said.expect_status(3).stdout;
        assert!(
            said.contains("pith.star") && said.contains("pith.toml"),
            "{said}"
        );
        let place = env.path("").display().to_string();
        assert!(!said.contains(place.trim_end_matches('/')), "{said}");
        said
    };
    for format in ["sarif", "html", "json", "junit", "table"] {
        assert_eq!(audit(format), audit(format));
    }
}

/// What is found that decides, about what, and by which chain.
fn said(report: &Value) -> Vec<[String; 4]> {
    let found = report["diagnostics"].as_array().expect("a list").iter();
    let chain = |one: &Value| {
        let steps = one["chain"].as_array().expect("a list").iter();
        let steps = steps.map(|step| format!("{} {}", step["relation"], step["component"]));
        steps.collect::<Vec<_>>().join(", ")
    };
    found
        .filter(|one| one["severity"] != "warning")
        .map(|one| {
            let [code, component, license] =
                ["code", "component", "license"].map(|key| one[key].to_string());
            [code, component, license, chain(one)]
        })
        .collect()
}

#[test]
fn a_library_that_a_program_says_it_loads_on_demand_is_joined_so() {
    let env = TestEnv::with_shared_store();
    env.write("project/plug/plug.c", "int plugged = 1;\n");
    env.write("project/src/main.c", ON_DEMAND);
    let recipe = "load(\"//lib/stdenv.star\", \"stdenv\")\n\
         plug = stdenv(\n    name = \"plug\", version = \"1\", source = source(\"plug\"), license = \"GPL-3.0-only\",\n    \
         commands = {\"build\": \"gcc -shared -o libplug.so.1 plug.c\", \"install\": 'install -D libplug.so.1 \"$out/lib/libplug.so.1\"'},\n)\n\
         tool = stdenv(\n    name = \"tool\", version = \"1\", source = source(\"src\"), license = \"MIT\", env = {\"plug\": plug},\n    \
         commands = {\"build\": \"gcc -o tool main.c -DPLUG=$plug/lib/libplug.so.1\", \"install\": 'install -D tool \"$out/bin/tool\"'},\n)\n";
    env.write("project/pith.star", recipe);
    let policy = |relation: &str| {
        format!(
            "[licenses]\nallow = ['*', '* WITH *']\n[[licenses.rule]]\nlicense = 'GPL-3.0-only'\nrelation = '{relation}'\nthen = 'deny'\n\
             [lints]\nunused-allow = 'allow'\n"
        )
    };
    finds(audit_tool(&env, &policy("needed")), 0, &[]);
    let report = finds(audit_tool(&env, &policy("dlopen")), 3, &["L120"]);
    let step = &report["diagnostics"][0]["chain"][1];
    assert_eq!(step["component"], "plug-1", "{report:#}");
    assert_eq!(step["relation"], "loads on demand");
    assert_eq!(step["evidence"], "bin/tool: lib/libplug.so.1");
    assert_eq!(said(&audit_image_alone(&env, "tool")), said(&report));
}

#[test]
fn rules_about_what_needs_and_runs_what_say_the_same_of_an_image_alone() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    let rule = |license: &str, relation: &str| {
        format!(
            "[[licenses.rule]]\nlicense = '{license}'\nrelation = '{relation}'\nthen = 'deny'\n"
        )
    };
    let policy = format!(
        "[licenses]\nallow = ['*', '* WITH *']\n{}{}[lints]\nunused-allow = 'allow'\n",
        rule("BSD-2-Clause", "needed"),
        rule("LGPL-*", "interpreter")
    );
    env.write("project/policy.toml", &policy);
    let command = ["audit", "jq", DAY, "--policy", "policy.toml"];
    let report = env.pith(&[&command[..], &["--format", "json"]].concat());
    let report = report.expect_status(3).json();
    let joined: Vec<&Value> = (report["diagnostics"].as_array().expect("a list").iter())
        .map(|one| &one["chain"][1]["relation"])
        .collect();
    assert_eq!(joined, ["is run by", "links dynamically"], "{report:#}");
    assert_eq!(said(&audit_image_alone(&env, "jq")), said(&report));
}

/// Packs `target` and audits the image by `policy.toml`, without a look into the store.
fn audit_image_alone(env: &TestEnv, target: &str) -> Value {
    env.pith(&["pack", target, "-q", "-o", "alone.tar"])
        .expect_success();
    let command = ["audit", "alone.tar", "--no-store", DAY, "--policy"];
    let report = env.pith(&[&command[..], &["policy.toml", "--format", "json"]].concat());
    report.expect_status(3).json()
}

#[test]
fn a_policy_without_a_recipe_judges_images_in_and_below_its_directory() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    env.write("images/new/README", "");
    env.pith(&["pack", "hello", "-q", "-o", "../images/new/hello.tar"])
        .expect_success();
    env.write(
        "images/pith.toml",
        "[audit.licenses]\nallow = ['category:permissive']\n",
    );
    for directory in ["images", "images/new"] {
        let image = env.path("images/new/hello.tar").display().to_string();
        let mut audit = env.command(&["audit", &image, "--no-store", DAY]);
        let audit = run(audit.current_dir(env.path(directory)));
        let said = audit.expect_status(3).stdout;
        assert!(said.contains("--> pith.toml:1"), "{directory}: {said}");
    }
}

#[test]
fn a_rule_about_what_builds_is_asked_of_what_each_recipe_gives_its_builder() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", &tool("license = \"MIT\","));
    let policy = |more: &str| {
        format!(
            "[licenses]\nallow = ['*', '* WITH *']\n[[licenses.rule]]\nlicense = 'GPL-3.0-*'\nrelation = 'build'\nthen = 'deny'\n{more}\
             [lints]\nunused-allow = 'allow'\n"
        )
    };
    // Nobody has said what the seed's license is, which is that of a hundred packages.
    let open = finds(audit_tool(&env, &policy("")), 5, &["I111"]);
    let found = &open["diagnostics"][0];
    assert!(found["evidence"].to_string().contains("seed"), "{open:#}");
    let said = |license: &str| {
        format!(
            "[[clarify]]\ncomponent = 'seed'\nexpression = '{license}'\nreason = 'r'\nowner = 'o'\n"
        )
    };
    finds(audit_tool(&env, &policy(&said("MIT"))), 0, &[]);
    let report = audit_tool(&env, &policy(&said("GPL-3.0-or-later"))).expect_status(3);
    let report = report.json();
    assert!(
        codes_of(&report).iter().all(|code| *code == "L120"),
        "{report:#}"
    );
    let last = &report["diagnostics"][0]["chain"];
    let last = last.as_array().and_then(|chain| chain.last());
    assert_eq!(
        last.map(|step| &step["relation"]),
        Some(&"is built by".into())
    );
    // An image does not say what built what is in it.
    env.pith(&["pack", "tool", "-q", "-o", "image.tar"])
        .expect_success();
    env.write("project/policy.toml", &policy(""));
    let image = [
        "audit",
        "image.tar",
        DAY,
        "--policy",
        "policy.toml",
        "--format",
        "json",
    ];
    finds(env.pith(&image), 5, &["I111"]);
}

#[test]
fn exceptions_end_and_clarifications_need_their_subject() {
    let exception = |until: &str| {
        format!(
            "[[audit.exception]]\ncomponent = 'tool'\nreason = 'r'\nowner = 'o'\nuntil = {until}\n"
        )
    };
    let license = "license = \"GPL-3.0-or-later\",";
    let denied = finds(audit(license, ""), 3, &["L111"]);
    assert_eq!(denied["summary"]["bits"], 1);
    finds(audit(license, &exception("2027-03-31")), 0, &[]);
    let expired = finds(
        audit(license, &exception("2026-11-21")),
        3,
        &["L111", "P103"],
    );
    assert_eq!(expired["summary"]["bits"], 33);
    finds(
        audit("license = \"MIT\",", &exception("2027-03-31")),
        0,
        &["P106"],
    );
    let clarify = format!(
        "[[audit.clarify]]\nnotice = 'sha256:{}'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n",
        "0".repeat(64)
    );
    finds(audit("license = \"MIT\",", &clarify), 3, &["P105"]);
}

#[test]
fn a_project_may_only_tighten_what_the_site_says_and_every_finding_names_the_line() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", &tool("license = \"GPL-3.0-only\","));
    let site = "[audit]\nmissing-facts = 'undecided'\n[audit.licenses]\nallow = ['category:permissive', 'LGPL-*', 'GPL-* WITH *']\n";
    let project = "[audit]\nmissing-facts = 'allow'\n[audit.licenses]\nallow = ['GPL-*', 'LGPL-*', 'category:permissive', 'GPL-* WITH *']\n\
        [audit.lints]\nunused-allow = 'allow'\n\
        [[audit.exception]]\ncomponent = 'tool'\nreason = 'r'\nowner = 'o'\nuntil = 2027-03-31\n";
    let config = "home/.config/pith/config.toml";
    env.write("project/pith.toml", project);
    let audit = || env.pith(&["audit", "tool", DAY, "--format", "json"]);
    finds(audit(), 0, &["P106"]);
    env.write(config, site);
    let report = finds(audit(), 3, &["L111", "P106", "P109"]);
    let found = &report["diagnostics"][0];
    let file = found["decided_by"]["file"].as_str().expect("a file");
    assert!(file.ends_with("config.toml"), "{found}");
    assert_eq!(found["decided_by"]["line"], 3);
    assert_eq!(report["diagnostics"][2]["place"]["file"], "pith.toml");
    assert_eq!(report["diagnostics"][2]["place"]["line"], 2);
    env.write(config, &format!("{site}[audit.grant]\nexceptions = true\n"));
    finds(audit(), 0, &["P109"]);

    let printed = env
        .pith(&["audit", "--print-policy"])
        .expect_success()
        .stdout;
    assert!(
        printed.contains("missing-facts = \"undecided\"  # ")
            && printed.contains("config.toml:2\n")
            && printed.contains("unused-allow = \"allow\"  # pith.toml:6\n"),
        "{printed}"
    );
    let printed = env.pith(&["audit", "--print-policy", "--json"]);
    let printed = printed.expect_success().json();
    let unused = &printed["lints"]["unused-allow"];
    assert_eq!(unused["value"], "allow");
    let place = serde_json::json!({"file": "pith.toml", "line": 6});
    assert_eq!(unused["place"], place);
}

#[test]
fn an_entry_of_allow_that_nothing_needs_is_a_warning() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", &tool("license = \"MIT\","));
    env.write(
        "project/strict.toml",
        "[licenses]\nallow = ['category:permissive', 'LGPL-*', 'GPL-* WITH *', 'AFL-3.0']\n",
    );
    let audited = env.pith(&[
        "audit",
        "tool",
        DAY,
        "--policy",
        "strict.toml",
        "--format",
        "json",
    ]);
    let report = audited.expect_success().json();
    let found = report["diagnostics"].as_array().expect("a list");
    assert!(found.iter().any(|one| one["code"] == "P104" && one["message"] == "no component is under `AFL-3.0`"), "{report:#}");
}

#[test]
fn a_policy_that_cannot_be_read_is_status_2_with_its_line() {
    let env = TestEnv::with_shared_store();
    env.write("project/policy.toml", "[licenses]\nalow = ['MIT']\n");
    let error = env
        .pith(&["audit", "hello", "--policy", "policy.toml"])
        .expect_status(2)
        .stderr;
    assert!(
        error.contains("policy.toml:2: there is no key `alow`; did you mean `allow`?"),
        "{error}"
    );
    // Also where it is another verb that goes by it.
    env.write("project/pith.star", "");
    env.write(
        "project/pith.toml",
        "[audit.vulnerabilities]\nfail-onn = 'high'\n",
    );
    let error = env.pith(&["audit", "hello"]).expect_status(2).stderr;
    assert!(error.contains("unknown field `fail-onn`"), "{error}");
}

#[test]
fn a_key_is_for_what_is_kept_beside_an_image_and_beside_a_file_nothing_is() {
    let env = TestEnv::new();
    env.write("project/hello.tar", "");
    let refused = env.pith(&["audit", "hello.tar", "--key", "mine.pub"]);
    let refused = refused.expect_status(2).stderr;
    let expected = "`hello.tar` is a file or directory\nhint: `pith image verify hello.tar";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn what_an_answer_is_not_written_as_or_to_is_refused() {
    let env = TestEnv::new();
    for (arguments, message) in [
        (
            &["audit", "--explain", "L120", "--format", "sarif"][..],
            "error: --explain is not written as `sarif`\nhint: there are table, json\n",
        ),
        (
            &["audit", "hello", "--list", "--format", "html"][..],
            "error: --list is not written as `html`\nhint: there are table, json\n",
        ),
        (
            &["audit", "--diff", "hello", "jq", "--format", "sarif"],
            "error: --diff is not written as `sarif`\nhint: there are table, json, markdown\n",
        ),
        (
            &["audit", "hello", "--format", "markdown"],
            "error: a verdict is not written as `markdown`\nhint: `markdown` is for `--diff`\n",
        ),
        (
            &["pack", "hello", "-o", "a.tar", "--sbom", "a.tar"],
            "error: `a.tar` is for the image and for its bill\n",
        ),
    ] {
        let refused = env.pith(arguments).expect_status(2);
        assert_eq!(
            (refused.stdout.as_str(), refused.stderr.as_str()),
            ("", message)
        );
    }
    let nowhere = env.pith(&["pack", "hello", "--sbom", "none/bill.json"]);
    let said = nowhere.expect_status(2).stderr;
    assert!(said.starts_with("error: there is no directory `"), "{said}");
}

#[test]
fn the_exit_status_can_say_what_findings_are_about() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", &tool(""));
    env.pith(&["audit", "tool", DAY, "--exit-bits"])
        .expect_status(2);
    env.pith(&["audit", "zlib", DAY, "--exit-bits"])
        .expect_success();
}

#[test]
fn codes_are_explained() {
    let env = TestEnv::new();
    let said = env
        .pith(&["audit", "--explain", "l120"])
        .expect_success()
        .stdout;
    assert!(
        said.starts_with("L120: ") && said.contains("Way out: "),
        "{said}"
    );
    env.pith(&["audit", "--explain", "L999"]).expect_status(2);
}

#[test]
fn why_shows_every_way_a_license_comes_in() {
    let env = TestEnv::with_shared_store();
    let why = env
        .pith(&["why", "jq", "license:BSD-2-Clause", "-q"])
        .expect_success()
        .stdout;
    assert!(
        why.starts_with("jq-1.6\n") && why.contains("oniguruma-6.9.8"),
        "{why}"
    );
    assert!(
        why.contains("byte") || why.contains("libonig.so"),
        "evidence: {why}"
    );
    env.pith(&["why", "jq", "license:SSPL-1.0", "-q"])
        .expect_status(3);
    env.pith(&["why", "jq", "license:nonsense", "-q"])
        .expect_status(2);
}

#[test]
fn lists_and_differences_say_what_is_inside() {
    let env = TestEnv::with_shared_store();
    let by_license = env
        .pith(&["audit", "jq", "--list", "--by", "license", "-q"])
        .expect_success()
        .stdout;
    assert!(
        by_license
            .lines()
            .any(|line| line.starts_with("BSD-2-Clause  ") && line.contains("oniguruma")),
        "{by_license}"
    );
    let by_source = env
        .pith(&["audit", "jq", "--list", "--by", "source", "-q"])
        .expect_success()
        .stdout;
    assert!(
        by_source.contains("jq_1.6.orig.tar.gz sha256:"),
        "{by_source}"
    );
    let same = env
        .pith(&["audit", "--diff", "jq", "jq", DAY, "-q"])
        .expect_success()
        .stdout;
    assert_eq!(same, "no difference\n");
    let markdown = env
        .pith(&[
            "audit", "--diff", "hello", "jq", DAY, "-q", "--format", "markdown",
        ])
        .expect_success()
        .stdout;
    assert!(
        markdown.contains("| jq | added |") && markdown.contains("| hello | removed |"),
        "{markdown}"
    );
}

#[test]
fn an_image_is_judged_by_its_bill_and_one_without_is_undecided() {
    let env = TestEnv::with_shared_store();
    let archive = env.path("jq.tar").display().to_string();
    env.pith(&["pack", "jq", "-q", "-o", &archive])
        .expect_success();
    let audited = env
        .pith(&["audit", &archive, DAY, "-q"])
        .expect_success()
        .stdout;
    assert!(audited.contains("may be shipped"), "{audited}");
    let of_target = env
        .pith(&["audit", "jq", "--list", "-q"])
        .expect_success()
        .stdout;
    let of_image = env
        .pith(&["audit", &archive, "--list", "-q"])
        .expect_success()
        .stdout;
    assert_eq!(
        of_target, of_image,
        "the components of the bill are those of the closure"
    );
    let bare = env.path("bare");
    bare_layout(&bare);
    let undecided = env
        .pith(&["audit", &bare.display().to_string(), DAY, "-q"])
        .expect_status(5)
        .stdout;
    assert!(
        undecided.contains("undecided[B120]") && undecided.contains(" bytes from `sha256:"),
        "{undecided}"
    );
}

#[test]
fn an_archive_of_an_app_is_judged_by_what_the_store_has_of_it_or_by_its_whole_bill() {
    let env = TestEnv::with_shared_store();
    env.copy_app("node");
    env.pith(&["init", "-q"]).expect_success();
    // Beside the project, for in it the bill would be one of the app's files.
    env.pith(&[
        "pack",
        ".",
        "-q",
        "-o",
        "app.tar",
        "--sbom",
        "../app.json",
        "--sbom-format",
        "spdx",
    ])
    .expect_success();
    let components = |arguments: &[&str]| {
        let report = env.pith(&[&["audit", DAY, "--format", "json"], arguments].concat());
        let report = report.expect_success().json();
        let components = report["components"].as_array().expect("a list").iter();
        let said = components.map(|one| {
            let [name, kind, license] = ["name", "kind", "effective"].map(|key| one[key].clone());
            (name.to_string(), kind, license)
        });
        said.collect::<Vec<_>>()
    };
    let of_target = components(&["."]);
    assert!(of_target.len() > 60, "{of_target:?}");
    assert_eq!(components(&["app.tar"]), of_target);
    // Elsewhere the bill in the image does not tell that an object has nothing but what is others' in it.
    let alone = env
        .pith(&["audit", "app.tar", "--no-store", DAY])
        .expect_status(5);
    let expected = "undecided[L102]: the bill of materials says no license of `notes-modules`";
    assert!(alone.stdout.contains(expected), "{}", alone.stdout);
    assert!(
        alone.stderr.contains("`pith audit app.tar --sbom FILE`"),
        "{}",
        alone.stderr
    );
    let by_bill = components(&["app.tar", "--no-store", "--sbom", "../app.json"]);
    let names = |all: &[(String, _, _)]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&by_bill), names(&of_target));
    // A bill of another image, or of no image at all, says nothing of this one.
    env.pith(&["pack", "hello", "-q", "-o", "hello.tar"])
        .expect_success();
    env.pith(&["sbom", "hello", "-q", "-f", "spdx", "-o", "../hello.json"])
        .expect_success();
    for bill in ["../app.json", "../hello.json"] {
        let refused = env.pith(&["audit", "hello.tar", "--sbom", bill, DAY, "-q"]);
        let refused = refused.expect_status(4).stderr;
        let expected = format!("`{bill}` is not the bill of materials of");
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn an_archive_of_packages_of_debian_is_judged_as_they_are() {
    let env = TestEnv::with_shared_store();
    env.write("project/pith.star", "");
    let archive = env.path("nginx.tar").display().to_string();
    env.pith(&["pack", "debian:nginx", "-q", "-o", &archive])
        .expect_success();
    let ask = |subject: &str| {
        let report = env.pith(&["audit", subject, DAY, "--format", "json"]);
        let report = report.expect_success().json();
        assert_eq!(codes_of(&report), [""; 0], "{report:#}");
        let components = report["components"].as_array().expect("a list").iter();
        let licenses = components.map(|one| {
            let name = one["name"].as_str().expect("a name").to_owned();
            (name, one["kind"].clone(), one["effective"].clone())
        });
        licenses.collect::<Vec<_>>()
    };
    let licenses = ask("debian:nginx");
    assert!(
        licenses.iter().any(|(name, ..)| name == "libc6"),
        "{licenses:?}"
    );
    assert_eq!(ask(&archive), licenses);
}

/// What a registry answers to a request: the body.
fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    use std::io::{Read as _, Write as _};
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let document: Option<Value> = serde_json::from_str(body).ok();
    let kind = document.filter(|document| document["mediaType"] == MANIFEST);
    let kind = kind.map_or(INDEX, |_| MANIFEST);
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: {INDEX}, {MANIFEST}\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("it answers in text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
    body.to_owned()
}

#[test]
fn a_bill_of_another_image_that_is_attached_is_damage() {
    let env = TestEnv::with_shared_store();
    let registry = tests::other_servers::Registry::start("").expect("Debian's registry starts");
    let push = |package: &str, attest: &[&str]| {
        let reference = format!("{}/app:{package}", registry.address);
        let command = [&["pack", package, "-q", "--push", &reference][..], attest].concat();
        env.pith(&command).expect_success();
        let verified = env.pith(&["image", "verify", &reference, "--json"]);
        let verified = verified.expect_success().json();
        let digest = verified["manifests"][0].as_str().expect("a digest");
        (reference, digest.replace(':', "-"))
    };
    env.pith(&["key", "generate", "-q", "-o", "mine"])
        .expect_success();
    let (hello, of_hello) = push("hello", &["--attest-key", "mine"]);
    let signed = env.pith(&["audit", &hello, "--list", "--key", "mine.pub"]);
    let signed = signed.expect_success();
    let note = "judged by the bill that is attached to the image";
    assert!(signed.stderr.contains(note), "{}", signed.stderr);
    let inside = env.pith(&["audit", &hello, "--list", "-q"]);
    assert_eq!(signed.stdout, inside.expect_success().stdout);
    env.pith(&["key", "generate", "-q", "-o", "theirs"])
        .expect_success();
    let unsigned = env.pith(&["audit", &hello, DAY, "--key", "theirs.pub"]);
    let said = unsigned.expect_status(4).stderr;
    assert!(said.contains("is signed by the key `theirs"), "{said}");
    env.pith(&["audit", "hello", "--key", "mine.pub"])
        .expect_status(2);
    let (jq, of_jq) = push("jq", &["--no-attest"]);
    let audit = |reference: &str| env.pith(&["audit", reference, DAY, "--format", "json"]);
    audit(&hello).expect_success();
    audit(&jq).expect_success();
    // OCI distribution-spec 1.1, "Referrers Tag Schema": where a registry has no list of referrers, a tag is it.
    let place = |tag: &str| format!("/v2/app/manifests/{tag}");
    let list = ask(&registry.address, "GET", &place(&of_hello), "");
    ask(&registry.address, "PUT", &place(&of_jq), &list);
    let report = audit(&jq).expect_status(4).json();
    assert_eq!(report["verdict"], "damaged");
    assert_eq!(report["diagnostics"][0]["code"], "I102", "{report:#}");
    // Nor is it printed as that of this image.
    for format in ["cyclonedx", "spdx"] {
        let reference = format!("docker://{jq}");
        let refused = env.pith(&["sbom", &reference, "-f", format]);
        let refused = refused.expect_status(4);
        assert_eq!(refused.stdout, "");
        let expected = "is not the bill of materials of";
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }

    attach_nameless(&registry.address, &list, &of_jq);
    let refused = env.pith(&["sbom", &format!("docker://{jq}"), "-f", "cyclonedx"]);
    let refused = refused.expect_status(4);
    assert!(
        refused.stderr.contains("found:    one of no image"),
        "{}",
        refused.stderr
    );
    assert_eq!(refused.stdout, "");
}

/// Puts a bill beside the image `jq` that says of no image that it is of it: the image's configuration. `list` is one of referrers, of which one is a bill.
fn attach_nameless(address: &str, list: &str, tag: &str) {
    use sha2::{Digest as _, Sha256};
    let place = |reference: &str| format!("/v2/app/manifests/{reference}");
    let get = |reference: &str| {
        let text = ask(address, "GET", &place(reference), "");
        serde_json::from_str::<Value>(&text).expect("a manifest")
    };
    let list: Value = serde_json::from_str(list).expect("a list");
    let mut entries = list["manifests"].as_array().expect("entries").iter();
    let is_bill = |entry: &&Value| entry["artifactType"] == "application/vnd.cyclonedx+json";
    let mut entry = entries.find(is_bill).expect("a bill in CycloneDX").clone();
    let mut bill = get(entry["digest"].as_str().expect("a digest"));
    let image = get("jq");
    for field in ["digest", "size"] {
        bill["layers"][0][field] = image["config"][field].clone();
    }
    let bill = bill.to_string();
    let digest = Sha256::digest(&bill);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = format!("sha256:{digest}");
    ask(address, "PUT", &place(&digest), &bill);
    (entry["digest"], entry["size"]) = (digest.into(), bill.len().into());
    let list = serde_json::json!({"schemaVersion": 2, "mediaType": list["mediaType"], "manifests": [entry]});
    ask(address, "PUT", &place(tag), &list.to_string());
}

/// Writes a layout with one empty layer and nothing that describes it.
fn bare_layout(directory: &std::path::Path) {
    use sha2::{Digest as _, Sha256};
    use std::fs;
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the place is ours");
    let put = |media_type: &str, bytes: &[u8]| {
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        fs::write(blobs.join(&digest), bytes).expect("the place is ours");
        serde_json::json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let tar = [0; 1024];
    let diff_id: String = Sha256::digest(tar)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let layer = put("application/vnd.oci.image.layer.v1.tar", &tar);
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{diff_id}")]}});
    let config = put(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer]});
    let manifest = put(
        "application/vnd.oci.image.manifest.v1+json",
        manifest.to_string().as_bytes(),
    );
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(directory.join("index.json"), index.to_string()).expect("the place is ours");
    fs::write(
        directory.join("oci-layout"),
        "{\"imageLayoutVersion\":\"1.0.0\"}",
    )
    .expect("the place is ours");
}

/// A page that a browser cannot read is no report. Chromium is asked for what it made of the page.
#[test]
fn a_browser_shows_the_page_and_its_search_finds_components() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let page = env.path("page.html");
    let file = page.display().to_string();
    env.pith(&["audit", "jq", DAY, "-q", "--format", "html", "-o", &file])
        .expect_success();
    // What a user types, typed by the page itself.
    let text = std::fs::read_to_string(&page).expect("it was written");
    let typed = "<script>document.getElementById('search').value = 'oniguruma'; document.getElementById('search').dispatchEvent(new Event('input'));</script></body>";
    std::fs::write(&page, text.replace("</body>", typed)).expect("the place is ours");
    let mut chromium = std::process::Command::new("chromium");
    let url = format!("file://{file}");
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        &url,
    ]);
    let output = run(chromium.env("HOME", env.path("home")));
    let dom = output.expect_success().stdout;
    assert!(
        dom.contains("id=\"said\" role=\"status\">1 components fit"),
        "{dom}"
    );
}
