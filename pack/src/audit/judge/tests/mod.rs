//! Traps with known answers, and the mutations of the acceptance tests that concern licenses.

use store::facts::{Class, Finding, Matcher};

use super::{Audit, Judged, judge};
use crate::audit::{
    Code, Severity, Verdict,
    inventory::{Edge, Inventory, Relation, Undescribed, Unit, UnitKind, UnitSource, UnitText},
    policy::{Day, Policy},
};

const APP: usize = 0;

/// A component with a source, as recipes make them.
fn unit(name: &str, license: Option<&str>) -> Unit {
    Unit {
        key: format!("/pith/store/{name}"),
        name: name.to_owned(),
        version: Some("1.0".to_owned()),
        declared: license.map(str::to_owned),
        recipe: Some(format!("//{name}/recipe.star:3")),
        sandboxes: vec!["full".to_owned()],
        sources: vec![UnitSource {
            name: format!("{name}.tar"),
            digest: "sha256:00".to_owned(),
            urls: Vec::new(),
        }],
        findings: Some(Vec::new()),
        texts: vec![UnitText {
            path: "COPYING".to_owned(),
            normal: "00".to_owned(),
        }],
        ..Unit::default()
    }
}

/// An app that uses one component.
fn pair(app: &str, relation: Relation, license: Option<&str>) -> Inventory {
    with(app, vec![(relation, unit("part", license))])
}

fn with(app: &str, parts: Vec<(Relation, Unit)>) -> Inventory {
    let edges = parts.iter().enumerate().map(|(at, (relation, _))| Edge {
        from: APP,
        to: at + 1,
        relation: *relation,
        evidence: "bin/app".to_owned(),
    });
    let edges = edges.collect();
    let units =
        std::iter::once(unit("app", Some(app))).chain(parts.into_iter().map(|(_, unit)| unit));
    Inventory {
        roots: vec![APP],
        edges,
        units: units.collect(),
        undescribed: Vec::new(),
        is_bill: false,
    }
}

fn exact(path: &str, expression: &str) -> Finding {
    Finding {
        source: 0,
        path: path.to_owned(),
        files: 1,
        notice: "ab".repeat(32),
        matcher: Matcher::Header,
        class: Class::Exact,
        expression: Some(expression.to_owned()),
    }
}

fn by(inventory: &Inventory, policy: &str) -> Audit {
    let today: Day = "2026-11-22".parse().unwrap();
    let policy = Policy::parse("policy.toml", policy).unwrap();
    judge(inventory, &policy, today)
}

fn codes(audit: &Audit) -> Vec<(Code, Severity)> {
    audit
        .diagnostics
        .iter()
        .map(|one| (one.code, one.severity))
        .collect()
}

fn is(audit: &Audit, verdict: Verdict, expected: &[(Code, Severity)]) {
    assert_eq!(
        (audit.verdict, codes(audit).as_slice()),
        (verdict, expected),
        "{:#?}",
        audit.diagnostics
    );
}

fn built_in(inventory: &Inventory) -> Audit {
    by(inventory, Policy::default_text())
}

const PERMISSIVE: &str = "[licenses]\nallow = ['category:permissive', 'category:public-domain']\n[lints]\nunused-allow = 'allow'\n";

use Code::{
    B120, I110, I111, I120, L101, L102, L103, L104, L105, L106, L110, L111, L112, L120, L121, N101,
    P102, P103, P104, P105, P106, P107, P108, S110,
};
use Severity::{Denied, Undecided, Warning};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_built_in_policy_knows_how_things_are_joined() {
    for (app, relation, part, verdict, expected) in [
        ("MIT", Relation::Needed, "MIT", Verdict::Clean, vec![]),
        ("MIT", Relation::Static, "Zlib", Verdict::Clean, vec![]),
        (
            "MIT",
            Relation::Needed,
            "LGPL-2.1-or-later",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Static,
            "LGPL-2.1-or-later",
            Verdict::Denied,
            vec![(L120, Denied)],
        ),
        (
            "LGPL-3.0-only",
            Relation::Static,
            "LGPL-2.1-or-later",
            Verdict::Clean,
            vec![],
        ),
        (
            "GPL-3.0-or-later",
            Relation::Static,
            "LGPL-2.1-or-later",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Static,
            "GPL-3.0-or-later",
            Verdict::Denied,
            vec![(L120, Denied)],
        ),
        (
            "MIT",
            Relation::Vendored,
            "GPL-2.0-only",
            Verdict::Denied,
            vec![(L120, Denied)],
        ),
        (
            "GPL-2.0-only",
            Relation::Vendored,
            "GPL-2.0-only",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Needed,
            "GPL-3.0-or-later",
            Verdict::Clean,
            vec![(L121, Warning)],
        ),
        (
            "MIT",
            Relation::Interpreter,
            "GPL-3.0-or-later",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Reference,
            "GPL-3.0-or-later",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Build,
            "GPL-3.0-or-later",
            Verdict::Clean,
            vec![],
        ),
        ("MIT", Relation::Build, "SSPL-1.0", Verdict::Clean, vec![]),
        (
            "MIT",
            Relation::Static,
            "GPL-3.0-or-later WITH GCC-exception-3.1",
            Verdict::Clean,
            vec![],
        ),
        (
            "MIT",
            Relation::Needed,
            "SSPL-1.0",
            Verdict::Denied,
            vec![(L110, Denied)],
        ),
        (
            "MIT",
            Relation::Needed,
            "LicenseRef-theirs",
            Verdict::Denied,
            vec![(L112, Denied)],
        ),
        ("MIT", Relation::Vendored, "MPL-2.0", Verdict::Clean, vec![]),
    ] {
        let audit = built_in(&pair(app, relation, Some(part)));
        is(&audit, verdict, &expected);
    }
}

#[test]
fn a_relation_that_changes_from_dynamic_to_static_is_denied_with_its_chain() {
    let audit = built_in(&pair("MIT", Relation::Static, Some("LGPL-2.1-only")));
    let [found] = audit.diagnostics.as_slice() else {
        panic!("{audit:#?}")
    };
    let steps: Vec<_> = found
        .chain
        .iter()
        .map(|step| {
            (
                step.component.as_str(),
                step.relation,
                step.evidence.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("app-1.0", None, None),
            ("part-1.0", Some("links statically"), Some("bin/app"))
        ]
    );
    assert_eq!(
        found.place.as_ref().map(|place| place.file.as_str()),
        Some("policy.toml")
    );
}

#[test]
fn of_alternatives_one_that_is_allowed_is_taken_and_said() {
    for (license, relation, taken) in [
        ("MIT OR Apache-2.0", Relation::Vendored, "MIT"),
        ("GPL-2.0-only OR MIT", Relation::Static, "MIT"),
        (
            "LGPL-3.0-or-later OR GPL-2.0-or-later",
            Relation::Needed,
            "LGPL-3.0-or-later",
        ),
        (
            "(GPL-2.0-only AND MIT) OR BSD-3-Clause",
            Relation::Static,
            "BSD-3-Clause",
        ),
        (
            "GPL-2.0-only OR GPL-2.0-only WITH Classpath-exception-2.0",
            Relation::Static,
            "GPL-2.0-only WITH Classpath-exception-2.0",
        ),
    ] {
        let audit = built_in(&pair("MIT", relation, Some(license)));
        is(&audit, Verdict::Clean, &[]);
        let part = audit.components.last().unwrap();
        assert_eq!(
            (part.chosen.join(" "), part.choices.len()),
            (taken.to_owned(), 1)
        );
        assert_eq!(
            part.effective.as_ref().map(ToString::to_string).as_deref(),
            Some(license),
            "the alternative stays"
        );
    }
    let preferred = "[licenses]\nallow = ['MIT', 'Apache-2.0']\n[licenses.choice]\nprefer = ['Apache-2.0']\n[lints]\nunused-allow = 'allow'";
    let audit = by(
        &pair("MIT", Relation::Vendored, Some("MIT OR Apache-2.0")),
        preferred,
    );
    assert_eq!(
        audit.components.last().map(|part| part.chosen.clone()),
        Some(vec!["Apache-2.0".to_owned()])
    );
}

#[test]
fn every_license_of_an_and_is_asked() {
    let audit = built_in(&pair("MIT", Relation::Static, Some("MIT AND GPL-2.0-only")));
    is(&audit, Verdict::Denied, &[(L120, Denied)]);
    assert_eq!(
        audit
            .diagnostics
            .first()
            .and_then(|one| one.license.as_deref()),
        Some("GPL-2.0-only")
    );
}

#[test]
fn what_is_linked_statically_or_vendored_is_part_of_the_whole() {
    let parts = vec![
        (Relation::Static, unit("zlib", Some("Zlib"))),
        (Relation::Vendored, unit("crate", Some("MIT OR Apache-2.0"))),
        (Relation::Needed, unit("libc", Some("LGPL-2.1-or-later"))),
    ];
    let mut inventory = with("MIT", parts);
    // C that a crate brings.
    inventory
        .units
        .push(unit("vendored-c", Some("BSD-3-Clause")));
    inventory.edges.push(Edge {
        from: 2,
        to: 4,
        relation: Relation::Vendored,
        evidence: String::new(),
    });
    let audit = built_in(&inventory);
    let combined = |at: usize| {
        audit
            .components
            .get(at)
            .and_then(|one| one.combined.as_ref())
            .map(ToString::to_string)
    };
    assert_eq!(
        combined(APP).as_deref(),
        Some("MIT AND Zlib AND (MIT OR Apache-2.0) AND BSD-3-Clause")
    );
    assert_eq!(combined(3).as_deref(), Some("LGPL-2.1-or-later"));
}

#[test]
fn a_license_that_is_none_is_denied_with_what_was_meant() {
    let audit = built_in(&pair("MIT", Relation::Needed, Some("GPLv3+ nonsense")));
    is(&audit, Verdict::Denied, &[(L101, Denied)]);
    assert_eq!(
        audit
            .diagnostics
            .first()
            .and_then(|one| one.help.as_deref()),
        Some("did you mean `GPL-3.0-or-later`?")
    );
    let audit = built_in(&pair("MIT", Relation::Needed, Some("MIT, ISC")));
    is(&audit, Verdict::Denied, &[(L101, Denied)]);
}

#[test]
fn no_license_is_denied_also_of_a_crate() {
    is(
        &built_in(&pair("MIT", Relation::Needed, None)),
        Verdict::Denied,
        &[(L102, Denied)],
    );
    let crate_ = Unit {
        kind: UnitKind::Vendored,
        ..unit("crate", None)
    };
    is(
        &built_in(&with("MIT", vec![(Relation::Vendored, crate_)])),
        Verdict::Denied,
        &[(L102, Denied)],
    );
    let lax = "unlicensed = 'warn'\n".to_owned() + PERMISSIVE;
    is(
        &by(&pair("MIT", Relation::Needed, None), &lax),
        Verdict::Clean,
        &[(L102, Warning)],
    );
    is(
        &built_in(&pair("MIT", Relation::Build, None)),
        Verdict::Clean,
        &[],
    );
}

#[test]
fn a_rule_about_what_builds_is_answered_where_that_is_known() {
    let rule = "[[licenses.rule]]\nlicense = 'AGPL-*'\nrelation = 'build'\nthen = 'deny'\n"
        .to_owned()
        + PERMISSIVE;
    let tool = |license| Unit {
        kind: UnitKind::Tool,
        ..unit("part", license)
    };
    let built = |license| with("MIT", vec![(Relation::Build, tool(license))]);
    is(
        &by(&built(Some("GPL-3.0-only")), &rule),
        Verdict::Clean,
        &[],
    );
    let denied = by(&built(Some("AGPL-3.0-only")), &rule);
    is(&denied, Verdict::Denied, &[(L120, Denied)]);
    let open = &[(I111, Undecided)];
    is(&by(&built(None), &rule), Verdict::Undecided, open);
    is(
        &by(&with("MIT", Vec::new()), &rule),
        Verdict::Undecided,
        open,
    );
    let allowed = rule.replace("then = 'deny'", "then = 'allow'");
    is(&by(&with("MIT", Vec::new()), &allowed), Verdict::Clean, &[]);
}

#[test]
fn what_was_linked_and_is_not_known_leaves_the_answer_open() {
    for kind in [UnitKind::Linked, UnitKind::Toolchain] {
        let part = Unit {
            kind,
            findings: None,
            ..unit("libfoo", None)
        };
        is(
            &built_in(&with("MIT", vec![(Relation::Static, part)])),
            Verdict::Undecided,
            &[(L104, Undecided)],
        );
    }
}

#[test]
fn sources_that_contradict_the_declaration_leave_the_answer_open_where_it_matters() {
    let contradicting = |path: &str, license: &str| {
        let part = Unit {
            findings: Some(vec![exact(path, license)]),
            ..unit("part", Some("MIT"))
        };
        with("MIT", vec![(Relation::Static, part)])
    };
    is(
        &built_in(&contradicting("src/a.c", "GPL-2.0-only")),
        Verdict::Undecided,
        &[(L103, Undecided)],
    );
    is(
        &built_in(&contradicting("src/a.c", "BSD-3-Clause")),
        Verdict::Clean,
        &[(L105, Warning)],
    );
    is(
        &built_in(&contradicting("tests/a.c", "GPL-2.0-only")),
        Verdict::Clean,
        &[],
    );
    is(
        &built_in(&contradicting("src/a.c", "MIT OR GPL-2.0-only")),
        Verdict::Clean,
        &[],
    );
    let clarified = Policy::default_text().to_owned()
        + &format!(
            "\n[[clarify]]\nnotice = 'sha256:{}'\nshipped = false\nreason = 'a generator'\nowner = 'o'\n",
            "ab".repeat(32)
        );
    is(
        &by(&contradicting("src/a.c", "GPL-2.0-only"), &clarified),
        Verdict::Clean,
        &[],
    );
}

#[test]
fn a_clarification_whose_words_are_gone_is_denied() {
    let stale = PERMISSIVE.to_owned()
        + &format!(
            "[[clarify]]\nnotice = 'sha256:{}'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n",
            "cd".repeat(32)
        );
    is(
        &by(&pair("MIT", Relation::Needed, Some("ISC")), &stale),
        Verdict::Denied,
        &[(P105, Denied)],
    );
    let of_component = PERMISSIVE.to_owned()
        + "[[clarify]]\ncomponent = 'gone'\nexpression = 'MIT'\nreason = 'r'\nowner = 'o'\n";
    is(
        &by(&pair("MIT", Relation::Needed, Some("ISC")), &of_component),
        Verdict::Denied,
        &[(P105, Denied)],
    );
}

#[test]
fn a_component_is_what_somebody_concluded() {
    let policy = PERMISSIVE.to_owned()
        + "[[clarify]]\ncomponent = 'part'\nexpression = 'ISC'\nreason = 'README says so'\nowner = 'o'\n";
    for declared in [None, Some("GPLv3+ nonsense"), Some("GPL-2.0-only")] {
        let audit = by(&pair("MIT", Relation::Static, declared), &policy);
        is(&audit, Verdict::Clean, &[]);
        assert_eq!(
            audit.components.last().map(Judged::license_text).as_deref(),
            Some("ISC")
        );
    }
}

fn excepting(more: &str, until: &str) -> String {
    format!(
        "{PERMISSIVE}[[exception]]\ncomponent = 'part'\nreason = 'r'\nowner = 'o'\nuntil = {until}\n{more}"
    )
}

#[test]
fn an_exception_holds_to_its_last_day_and_for_what_it_names() {
    let inventory = pair("MIT", Relation::Needed, Some("GPL-3.0-or-later"));
    for (policy, verdict, expected) in [
        (PERMISSIVE.to_owned(), Verdict::Denied, vec![(L111, Denied)]),
        (excepting("", "2027-03-31"), Verdict::Clean, vec![]),
        (
            excepting("license = 'GPL-*'\nrelation = 'needed'", "2027-03-31"),
            Verdict::Clean,
            vec![],
        ),
        (
            excepting("license = 'GPL-2.0-only'", "2027-03-31"),
            Verdict::Denied,
            vec![(L111, Denied), (P106, Warning)],
        ),
        (
            excepting("relation = 'static'", "2027-03-31"),
            Verdict::Denied,
            vec![(L111, Denied), (P106, Warning)],
        ),
        (
            excepting("", "2026-11-22"),
            Verdict::Clean,
            vec![(P107, Warning)],
        ),
        (
            excepting("", "2026-11-21"),
            Verdict::Denied,
            vec![(L111, Denied), (P103, Denied)],
        ),
        (
            excepting("", "2028-11-22"),
            Verdict::Denied,
            vec![(P108, Denied)],
        ),
    ] {
        is(&by(&inventory, &policy), verdict, &expected);
    }
    is(
        &by(
            &pair("MIT", Relation::Needed, Some("MIT")),
            &excepting("", "2027-03-31"),
        ),
        Verdict::Clean,
        &[(P106, Warning)],
    );
}

#[test]
fn what_is_denied_by_name_needs_an_exception_that_names_it() {
    let inventory = pair("MIT", Relation::Needed, Some("SSPL-1.0"));
    let deny =
        |policy: String| policy.replacen("[licenses]\n", "[licenses]\ndeny = ['SSPL-1.0']\n", 1);
    is(
        &by(&inventory, &deny(excepting("", "2027-03-31"))),
        Verdict::Denied,
        &[(L110, Denied), (P106, Warning)],
    );
    is(
        &by(
            &inventory,
            &deny(excepting("license = 'SSPL-1.0'", "2027-03-31")),
        ),
        Verdict::Clean,
        &[],
    );
}

#[test]
fn entries_that_nothing_needs_and_entries_against_each_other_are_warnings() {
    let policy = "[licenses]\nallow = ['MIT', 'ISC', 'SSPL-1.0']\ndeny = ['SSPL-1.0']\n";
    let audit = by(&pair("MIT", Relation::Needed, Some("MIT")), policy);
    is(
        &audit,
        Verdict::Clean,
        &[(P102, Warning), (P104, Warning), (P104, Warning)],
    );
}

#[test]
fn what_a_rule_asks_for_has_to_be_there() {
    let bare = Unit {
        sources: Vec::new(),
        ..unit("part", Some("GPL-3.0-or-later"))
    };
    is(
        &built_in(&with("GPL-3.0-or-later", vec![(Relation::Needed, bare)])),
        Verdict::Denied,
        &[(S110, Denied)],
    );
    let textless = Unit {
        texts: Vec::new(),
        ..unit("part", Some("MIT"))
    };
    let policy = "[licenses]\n[[licenses.rule]]\nlicense = 'MIT'\nthen = 'allow'\nrequire = ['text', 'offer']\n";
    let audit = by(&with("MIT", vec![(Relation::Needed, textless)]), policy);
    is(&audit, Verdict::Denied, &[(N101, Denied)]);
    assert_eq!(
        audit.components.last().map(|part| part.obligations.len()),
        Some(2)
    );
}

#[test]
fn weak_sandboxes_and_deprecated_software_are_what_the_policy_says() {
    let part = Unit {
        sandboxes: vec!["no-proc".to_owned()],
        deprecated: Some("use the other".to_owned()),
        ..unit("part", Some("MIT"))
    };
    let inventory = with("MIT", vec![(Relation::Needed, part)]);
    is(
        &by(&inventory, PERMISSIVE),
        Verdict::Clean,
        &[(I120, Warning)],
    );
    let strict = "sandbox = 'full'\ndeprecated = 'deny'\n".to_owned() + PERMISSIVE;
    is(
        &by(&inventory, &strict),
        Verdict::Denied,
        &[(I110, Denied), (I120, Denied)],
    );
    let enough = "sandbox = 'no-proc'\ndeprecated = 'allow'\n".to_owned() + PERMISSIVE;
    is(&by(&inventory, &enough), Verdict::Clean, &[]);

    let unrecorded = Unit {
        sandboxes: Vec::new(),
        ..unit("part", Some("MIT"))
    };
    let inventory = with("MIT", vec![(Relation::Needed, unrecorded)]);
    is(
        &by(&inventory, &enough),
        Verdict::Undecided,
        &[(I110, Undecided)],
    );
}

#[test]
fn a_policy_that_does_not_say_what_is_allowed_goes_before_the_built_in_one() {
    let under = |license| with("MIT", vec![(Relation::Needed, unit("part", Some(license)))]);
    let denies = "[licenses]\ndeny = ['category:copyleft', 'BSD-*']\n";
    is(&by(&under("Zlib"), denies), Verdict::Clean, &[]);
    is(
        &by(&under("BSD-3-Clause"), denies),
        Verdict::Denied,
        &[(L110, Denied)],
    );
    // Its own rule is the first that fits; what it does not speak of is as in the built-in policy.
    let rule =
        "[[licenses.rule]]\nlicense = 'LGPL-*'\nrelation = 'static'\nthen = 'allow'\n".to_owned();
    let linked = |license| with("MIT", vec![(Relation::Static, unit("part", Some(license)))]);
    let audit = by(&linked("LGPL-2.1-only"), &rule);
    assert!(!has(&audit, L120), "{audit:?}");
    let audit = by(&linked("GPL-3.0-only"), &rule);
    assert!(has(&audit, L120), "{audit:?}");
    // A list, be it empty, is all that is allowed.
    let nothing = "[licenses]\nallow = []\n";
    let audit = by(&under("Zlib"), nothing);
    assert!(has(&audit, L111), "{audit:?}");
}

fn has(audit: &Audit, code: Code) -> bool {
    audit.diagnostics.iter().any(|one| one.code == code)
}

#[test]
fn facts_that_are_missing_are_what_the_policy_says() {
    let part = Unit {
        findings: None,
        ..unit("part", Some("MIT"))
    };
    let inventory = with("MIT", vec![(Relation::Needed, part)]);
    let with_word = |word: &str| format!("missing-facts = '{word}'\n{PERMISSIVE}");
    for (policy, verdict, found) in [
        (
            PERMISSIVE.to_owned(),
            Verdict::Undecided,
            &[(L104, Undecided)][..],
        ),
        (
            with_word("undecided"),
            Verdict::Undecided,
            &[(L104, Undecided)],
        ),
        (with_word("warn"), Verdict::Clean, &[(L104, Warning)]),
        (with_word("allow"), Verdict::Clean, &[]),
    ] {
        is(&by(&inventory, &policy), verdict, found);
    }
    let bill = Inventory {
        is_bill: true,
        ..inventory
    };
    is(&by(&bill, PERMISSIVE), Verdict::Clean, &[]);
}

#[test]
fn bytes_that_nothing_describes_leave_the_answer_open() {
    let layer = Undescribed {
        place: "sha256:ab".to_owned(),
        size_bytes: 17,
        made_by: None,
        foreign: None,
    };
    let inventory = Inventory {
        undescribed: vec![layer],
        is_bill: true,
        ..Inventory::default()
    };
    let audit = built_in(&inventory);
    is(&audit, Verdict::Undecided, &[(B120, Undecided)]);
    assert_eq!(
        audit.diagnostics.first().map(|one| one.message.as_str()),
        Some("17 bytes from `sha256:ab` are not described")
    );
}

#[test]
fn licenses_in_the_names_of_debian_are_judged_as_they_were_read() {
    let debian = |license: &str| {
        let part = Unit {
            recipe: None,
            license_evidence: Some("usr/share/doc/libfoo/copyright".to_owned()),
            ..unit("libfoo", Some(license))
        };
        with("MIT", vec![(Relation::Needed, part)])
    };
    is(
        &built_in(&debian(
            "LGPL-2.1-or-later AND (GPL-2.0-or-later OR Artistic-1.0-Perl)",
        )),
        Verdict::Clean,
        &[],
    );
    is(
        &built_in(&debian("MIT AND LicenseRef-Debian-Odd-thing")),
        Verdict::Denied,
        &[(L112, Denied)],
    );
    let prose = Unit {
        recipe: None,
        purl: Some("pkg:deb/debian/libc6@2.36".to_owned()),
        ..unit("libc6", None)
    };
    let set = Unit {
        kind: UnitKind::Set,
        ..unit("set", None)
    };
    let parts = vec![(Relation::Reference, prose), (Relation::Reference, set)];
    is(
        &built_in(&with("MIT", parts)),
        Verdict::Undecided,
        &[(L106, Undecided)],
    );
}

#[test]
fn what_this_project_has_read_counts_until_a_policy_says_otherwise() {
    // The copyright file of libcrypt1 in Debian 12.
    let notice = "8252791ab56bf657d83e093a047570f1417cf5237298987c2a331b51ce574d42";
    let library = |name: &str| Unit {
        recipe: None,
        purl: Some(format!(
            "pkg:deb/debian/{name}@1%3A4.4.33-2?upstream=libxcrypt"
        )),
        findings: Some(vec![Finding {
            notice: notice.to_owned(),
            class: Class::Clue,
            matcher: Matcher::Unknown,
            expression: None,
            ..exact(&format!("usr/share/doc/{name}/copyright"), "MIT")
        }]),
        ..unit(name, None)
    };
    let effective = |audit: &Audit, name: &str| {
        let found = audit.components.iter().find(|one| one.name == name);
        found.and_then(|one| one.effective.as_ref().map(ToString::to_string))
    };
    let inventory = with("MIT", vec![(Relation::Reference, library("libcrypt1"))]);
    let audit = built_in(&inventory);
    is(&audit, Verdict::Clean, &[]);
    let license = effective(&audit, "libcrypt1").unwrap_or_default();
    assert!(license.starts_with("LGPL-2.1-or-later AND "), "{license}");

    let said = format!(
        "{}\n[[clarify]]\nnotice = 'sha256:{notice}'\nexpression = 'ISC'\nreason = 'r'\nowner = 'o'\n",
        Policy::default_text()
    );
    let audit = by(&inventory, &said);
    assert_eq!(effective(&audit, "libcrypt1").as_deref(), Some("ISC"));

    // The same words about a package of which nobody has read them.
    let other = with("MIT", vec![(Relation::Reference, library("libother"))]);
    is(&built_in(&other), Verdict::Undecided, &[(L106, Undecided)]);
}

#[test]
fn the_order_of_what_is_judged_does_not_change_what_is_said() {
    let audit = built_in(&pair(
        "MIT",
        Relation::Static,
        Some("GPL-2.0-only AND LGPL-2.1-only AND SSPL-1.0"),
    ));
    assert!(audit.diagnostics.is_sorted_by(|a, b| a.order(b).is_le()));
    assert_eq!(audit.verdict, Verdict::Denied);
}

#[test]
fn three_hundred_components_are_judged_at_once() {
    let parts = (0..299).map(|number| {
        let license = ["MIT OR Apache-2.0", "BSD-3-Clause", "LGPL-2.1-or-later"][number % 3];
        (
            Relation::Needed,
            unit(&format!("part-{number:03}"), Some(license)),
        )
    });
    let mut inventory = with("MIT", parts.collect());
    // As many ways as a closure of that size has.
    for from in 1..299 {
        inventory.edges.extend([1, 7, 31].map(|step| Edge {
            from,
            to: (from + step).min(299),
            relation: Relation::Reference,
            evidence: String::new(),
        }));
    }
    let audit = built_in(&inventory);
    is(&audit, Verdict::Clean, &[]);
    assert_eq!(audit.components.len(), 300);
}
