//! What auditors get wrong, each with the right answer. What takes no build to see is in `pack`, beside what judges.

use serde_json::Value;
use tests::{Finished, TestEnv, is_full};

use crate::audit::{audit_tool, codes_of};

/// Audits `tool`, a package of the shell's echo, with these further arguments of its recipe.
fn audit(env: &TestEnv, arguments: &str, script: &str, policy: &str) -> Finished {
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             tool = derivation(\n    name = \"tool\", version = \"1\", seed = base,\n    \
             builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir $out; {script}\"],\n    {arguments}\n)\n"
        ),
    );
    audit_tool(env, &format!("{policy}[lints]\nunused-allow = 'allow'\n"))
}

#[test]
fn alternatives_conjunctions_and_exceptions_mean_what_spdx_says() {
    let env = TestEnv::with_shared_store();
    for (number, license, status, expected, chosen) in [
        (1, "SSPL-1.0 OR MIT", 0, "", &["MIT"][..]),
        (2, "SSPL-1.0 AND MIT", 3, "L111", &[]),
        (3, "MIT AND (GPL-2.0-only OR ISC)", 0, "", &["MIT", "ISC"]),
        (
            4,
            "GPL-2.0-only WITH Classpath-exception-2.0",
            0,
            "",
            &["GPL-2.0-only WITH Classpath-exception-2.0"],
        ),
        (5, "GPL-2.0-only", 3, "L111", &[]),
        (6, "MIT, ISC", 3, "L101", &[]),
    ] {
        let said = audit(
            &env,
            &format!("license = \"{license}\","),
            &format!("echo {number} >$out/number"),
            "[licenses]\nallow = ['category:permissive', 'GPL-2.0-only WITH Classpath-exception-2.0']\n",
        );
        let report = said.expect_status(status).json();
        let found: Vec<&str> = codes_of(&report);
        assert_eq!(found.join(" "), expected, "{license}: {report:#}");
        let component = &report["components"][0];
        assert_eq!(component["declared"], license, "{report:#}");
        if status == 0 {
            assert_eq!(component["chosen"], Value::from(chosen), "{report:#}");
        }
    }
}

#[test]
fn what_is_used_to_build_is_not_what_is_shipped() {
    let env = TestEnv::with_shared_store();
    // Both are built with a program under the GPL, and one refers to it.
    for (script, status, expected) in [
        ("$hello/bin/hello >$out/text", 0, ""),
        ("ln -s $hello/bin/hello $out/program", 3, "L111"),
    ] {
        let policy = "[licenses]\nallow = ['category:permissive', 'LGPL-*', 'GPL-* WITH *']\n";
        let arguments = "license = \"MIT\", env = {\"hello\": package(\"hello\")},";
        let report = audit(&env, arguments, script, policy);
        let report = report.expect_status(status).json();
        assert_eq!(codes_of(&report).join(" "), expected, "{report:#}");
        let names: Vec<&str> = (report["components"].as_array().expect("a list").iter())
            .filter_map(|one| one["name"].as_str())
            .collect();
        let has_hello = names.contains(&"hello");
        assert_eq!(has_hello, status != 0, "{names:?}");
    }
}

#[test]
fn copyleft_without_its_source_is_denied() {
    let env = TestEnv::with_shared_store();
    let audited = audit(
        &env,
        "license = \"GPL-3.0-or-later\",",
        "echo without >$out/source",
        "",
    );
    let report = audited.expect_status(3).json();
    assert_eq!(codes_of(&report), ["S110"], "{report:#}");
    env.pith(&["sources", "tool", "-q", "-o", "bundle"])
        .expect_status(3);
}

#[test]
fn a_library_in_c_that_came_in_a_crate_is_under_its_own_license() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.copy_fixture("traps/vendored-c");
    env.pith_with_crates(&["build", "tool", "-q"])
        .expect_success();
    let allowed = |more: &str| {
        format!(
            "[licenses]\nallow = ['MIT', 'LGPL-*', 'BSD-3-Clause', 'ISC', 'Inner-Net-2.0', 'SunPro', 'GPL-* WITH *'{more}]\n\
             [lints]\nunused-allow = 'allow'\n"
        )
    };
    // The crate says what its bindings are under; zlib lies beside them.
    let report = audit_tool(&env, &allowed("")).expect_status(5).json();
    assert_eq!(codes_of(&report), ["L103"], "{report:#}");
    let found = &report["diagnostics"][0];
    let message = found["message"].as_str().unwrap_or_default();
    assert!(
        message.starts_with("`libz-sys-") && message.ends_with("also say `Zlib`"),
        "{message}"
    );
    let evidence = found["evidence"].to_string();
    assert!(evidence.contains("src/zlib/LICENSE"), "{evidence}");
    let whole = "[[clarify]]\ncomponent = 'libz-sys'\nexpression = '(MIT OR Apache-2.0) AND Zlib'\n\
                 reason = 'the bindings and zlib'\nowner = 'a@b.example'\n";
    let denied = audit_tool(&env, &(allowed("") + whole));
    let denied = denied.expect_status(3).json();
    assert_eq!(codes_of(&denied), ["L111"], "{denied:#}");
    audit_tool(&env, &(allowed(", 'Zlib'") + whole)).expect_success();
}
