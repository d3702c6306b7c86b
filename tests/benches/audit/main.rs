//! How long an audit of a large closure takes.
//!
//! `cargo bench -p tests --bench audit` makes the components of 300 and of 5 000 store paths with findings, texts and links, judges them by the built-in policy
//! and writes the answer in every format. It protects the claim that the first takes less than 200 milliseconds, and the second less than 2 seconds: where it
//! does not, it fails. The larger is also not to take more than three times as long for each component as the smaller. In full runs the image of jq is audited, and
//! ScanCode reads the same files.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use pack::audit::{
    Audit, Gathered, Part, Verdict,
    inventory::Inventory,
    judge,
    policy::{Day, Policy},
    report::{to_html, to_junit, to_sarif, to_text},
};
use store::{
    Component, PathInfo,
    facts::{
        Class, Facts, FileFacts, Finding, LinkFacts, LinkInput, LinkKind, Linked, Matcher,
        SourceFacts, SourceRole, TextFacts, TextKind,
    },
};
use tests::{
    TestEnv, is_full, large_closure,
    measure::{report, time},
};

/// Licenses of which every fifth has a finding: what is permissive, an alternative, and the LGPL, which rules are about.
const LICENSES: [&str; 5] = [
    "MIT",
    "MIT OR Apache-2.0",
    "BSD-3-Clause",
    "LGPL-2.1-or-later",
    "GPL-3.0-or-later WITH GCC-exception-3.1",
];
/// How much longer a component of many may take than one of few.
const MAX_RATIO: f64 = 3.0;

fn main() {
    // As a test, without optimisation, a tenth is enough to see that it works.
    let (is_bench, part) = match std::env::args().any(|argument| argument == "--bench") {
        true => (true, 1),
        false => (false, 10),
    };
    let sizes = [
        (300 / part, Duration::from_millis(200)),
        (5000 / part, Duration::from_secs(2)),
    ];
    let mut each = Vec::new();
    for (count, limit) in sizes {
        let gathered = gathered(count);
        // The tables of licenses are read once in a process.
        let warm = audit(&gathered);
        assert_eq!(warm.1.verdict, Verdict::Clean, "{:#?}", warm.1.diagnostics);
        let start = Instant::now();
        let (inventory, audit) = audit(&gathered);
        let judged = start.elapsed();
        let bytes = to_text(&audit).len()
            + to_html(&audit, &inventory, "large").len()
            + to_sarif(&audit).to_string().len()
            + to_junit(&audit).len();
        let took = start.elapsed();
        println!(
            "{count} components: {:.1} ms to judge, {:.1} ms with the answer in four formats ({} kB)",
            judged.as_secs_f64() * 1e3,
            took.as_secs_f64() * 1e3,
            bytes / 1000
        );
        assert!(
            !is_bench || took < limit,
            "{count} components take too long"
        );
        each.push(judged.as_secs_f64() / f64::from(u32::try_from(count).unwrap()));
    }
    let ratio = each[1] / each[0];
    println!("each of many takes {ratio:.2} times as long as each of few");
    assert!(!is_bench || ratio < MAX_RATIO, "the time is not linear");
    if is_bench && is_full() {
        beside_scancode();
    }
}

/// From the image to the answer, and from its files to what ScanCode says of their licenses.
fn beside_scancode() {
    let scancode = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/scancode/bin/scancode");
    let scancode = scancode.display().to_string();
    let env = TestEnv::with_shared_store();
    let image = env.path("jq.tar").display().to_string();
    let root = env.path("root").display().to_string();
    for (format, place) in [("archive", &image), ("dir", &root)] {
        env.pith(&["pack", "jq", "-q", "-f", format, "-o", place])
            .expect_success();
    }
    let audit = ["audit", &image, "--date=2026-11-22", "-q"];
    let ours = time(|| {
        env.pith(&audit).expect_success();
    });
    let answer = env.path("scancode.json").display().to_string();
    let scan = [
        "-q", "-c", "-l", "-p", "-i", "-n", "2", "--json", &answer, &root,
    ];
    let theirs = time(|| {
        env.tool(&scancode, &scan).expect_success();
    });
    report(
        "the image of jq is audited (goal 0.01 x)",
        ours,
        "ScanCode",
        Some(theirs),
    );
}

fn audit(gathered: &Gathered) -> (Inventory, Audit) {
    let root = gathered.parts.last().unwrap().info.path.clone();
    let inventory = Inventory::of_closure(gathered, &[root]);
    let policy = Policy::built_in().unwrap();
    let audit = judge(&inventory, &policy, Day::new(2026, 11, 22).unwrap());
    (inventory, audit)
}

/// A large closure with facts.
fn gathered(count: usize) -> Gathered {
    let infos = large_closure(count, |number| Component {
        name: format!("software-{number}"),
        version: Some("1.2.3".to_owned()),
        license: Some(LICENSES[number % LICENSES.len()].to_owned()),
        recipe: Some(format!("//software-{number}/recipe.star:3")),
        ..Component::default()
    });
    let parts = infos.into_iter().enumerate().map(|(number, info)| Part {
        facts: Some(facts(number, &info)),
        info,
    });
    Gathered {
        parts: parts.collect(),
        ..Gathered::default()
    }
}

fn facts(number: usize, info: &PathInfo) -> Facts {
    let license = LICENSES[number % LICENSES.len()];
    let notice = |at: usize| format!("{:064x}", number * 1000 + at);
    let needed = info.references.iter().map(|reference| LinkInput {
        kind: LinkKind::Needed,
        object: Some(reference.path.to_string()),
        component: None,
        file: "lib/library.so".to_owned(),
        members: Vec::new(),
    });
    Facts {
        sources: vec![SourceFacts {
            name: "source.tar.gz".to_owned(),
            role: SourceRole::Main,
            urls: vec!["https://software.example/source.tar.gz".to_owned()],
            size: 1,
            sha256: Some(notice(0)),
            sha512: None,
            object: "object".to_owned(),
            purl: None,
            license: None,
            files: 100,
            unread: None,
            stated: None,
        }],
        texts: vec![TextFacts {
            sha256: notice(0),
            normal: notice(0),
            kind: TextKind::License,
            source: 0,
            path: "COPYING".to_owned(),
            size: 1,
        }],
        findings: (0..20)
            .map(|at| Finding {
                source: 0,
                path: format!("src/file-{at}.c"),
                files: 3,
                notice: notice(at),
                matcher: Matcher::Header,
                class: Class::Exact,
                expression: Some(license.to_owned()),
            })
            .collect(),
        links: vec![LinkFacts {
            file: "lib/library.so".to_owned(),
            linked: Linked::Recorded,
            inputs: needed.collect(),
        }],
        files: (0..10)
            .map(|at| FileFacts {
                path: format!("share/file-{at}"),
                size: 1000,
                executable: false,
                sha256: notice(at),
                sha1: String::new(),
                sha512: String::new(),
            })
            .collect(),
        ..Facts::default()
    }
}
