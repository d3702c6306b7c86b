//! What is reported as exact evidence of a license is what people have read in the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pack::audit::license::{Expression, Statement, covers, is_shipped};
use serde_json::Value;
use store::facts::FACTS_VERSION;
use tests::{TestEnv, is_full};

/// What the sources of the collection say, read by people.
const LICENSES: &str = include_str!("../../fixtures/licenses.tsv");
/// What else stands in files of the sources that are in nothing that is shipped.
const ELSEWHERE: &str = include_str!("../../fixtures/licenses-elsewhere.tsv");

/// What `jq` is made of.
const CLOSURE: [&str; 2] = ["jq", "oniguruma"];

/// The rows of a table of `FIELDS` columns, without its comments.
fn rows<const FIELDS: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; FIELDS]> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        fields
            .try_into()
            .unwrap_or_else(|_| panic!("{FIELDS} fields: {line}"))
    })
}

/// The package that facts in a store are of: `DIGEST-NAME-VERSION-facts` begins with its name.
fn package_of<'a>(file: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (_, name) = file.strip_suffix("-facts")?.split_once('-')?;
    let is_of = |package: &&str| {
        let rest = name.strip_prefix(*package);
        let version = rest.and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    names.filter(is_of).max_by_key(|package| package.len())
}

/// The exact findings in the main sources of a package that `license` does not cover: file and expression. None where no such source was read by this program.
fn uncovered(facts: &Path, license: &Expression) -> Option<Vec<(String, String)>> {
    let text = fs::read_to_string(facts.join("facts.json")).expect("facts are complete");
    let facts: Value = serde_json::from_str(&text).expect("facts are JSON");
    // What an older program observed stays until it is asked for again.
    if facts["version"] != FACTS_VERSION {
        return None;
    }
    let list = |name: &str| facts[name].as_array().cloned().unwrap_or_default();
    let sources = list("sources");
    if !sources.iter().any(|source| source["role"] == "main") {
        return None;
    }
    let mut found = Vec::new();
    for finding in list("findings") {
        let source = finding["source"].as_u64().unwrap_or_default();
        let source = usize::try_from(source).ok().and_then(|at| sources.get(at));
        let is_main = source.is_some_and(|source| source["role"] == "main");
        let path = finding["path"].as_str().expect("a path");
        if finding["class"] != "exact" || !is_main || !is_shipped(path) {
            continue;
        }
        let text = finding["expression"]
            .as_str()
            .expect("exact is exactly one");
        // The text of a GNU license alone does not say which versions may be used, and has the name that SPDX has given up.
        let Ok(expression) = Expression::parse(text) else {
            continue;
        };
        let statement = match finding["matcher"].as_str() {
            Some("text") => Statement::Text,
            _ => Statement::Header,
        };
        if !covers(license, &expression, statement) {
            found.push((path.to_owned(), text.to_owned()));
        }
    }
    Some(found)
}

/// Builds and audits a package, and returns what its sources are reported to say besides what it declares: the license and where it stands.
fn contradictions(env: &TestEnv, package: &str) -> Vec<(String, String)> {
    let report = env.pith(&["audit", package, "-q", "--format", "json"]);
    let report = report.expect_success().json();
    let list = |name: &str| report[name].as_array().cloned().expect("a list");
    let mut own = list("components");
    own.retain(|component| component["name"] == package);
    assert!(!own.is_empty(), "{package} is in its own closure");
    for component in &own {
        let basis = component["basis"].as_str().expect("a basis");
        let is_read = ["covered", "contradicted"].contains(&basis);
        assert!(is_read, "{package} is {basis}");
    }
    let is_own = |path: &Value| own.iter().any(|component| component["key"] == *path);
    let diagnostics = list("diagnostics").into_iter();
    let others = diagnostics.filter(|one| one["code"] == "L105" && is_own(&one["path"]));
    others
        .map(|one| {
            let license = one["license"].as_str().expect("a license").to_owned();
            (one["evidence"].to_string(), license)
        })
        .collect()
}

#[test]
fn exact_evidence_of_every_package_is_what_people_have_read() {
    let env = TestEnv::with_shared_store();
    let read: BTreeMap<&str, Expression> = rows::<3>(LICENSES)
        .map(|[name, license, _]| (name, Expression::parse(license).expect("a license")))
        .collect();
    let elsewhere: Vec<[&str; 4]> = rows(ELSEWHERE).collect();
    // Everything takes as long as it takes to compile.
    let packages: BTreeSet<&str> = match is_full() {
        true => read.keys().copied().collect(),
        false => BTreeSet::from(CLOSURE),
    };
    let mut wrong = Vec::new();
    for package in &packages {
        for (evidence, license) in contradictions(&env, package) {
            let is_known = elsewhere
                .iter()
                .any(|[of, _, is, _]| of == package && *is == license);
            if !is_known {
                wrong.push(format!("{package}\t{evidence}\t{license}"));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(env.store().join("store")).expect("a store can be listed") {
        let entry = entry.expect("a store can be listed");
        let file = entry.file_name().into_string().expect("names are ASCII");
        let Some(package) = package_of(&file, read.keys().copied()) else {
            continue;
        };
        // What else is there was built by other scenarios.
        if !packages.contains(package) {
            continue;
        }
        let Some(found) = uncovered(&entry.path(), &read[package]) else {
            continue;
        };
        seen.insert(package);
        for (path, license) in found {
            let is_known = elsewhere.iter().any(|[of, below, is, why]| {
                *of == package && path.starts_with(below) && *is == license && !why.is_empty()
            });
            if !is_known {
                wrong.push(format!("{package}\t{path}\t{license}"));
            }
        }
    }
    wrong.sort_unstable();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen, packages, "the sources of every package were read");
}
