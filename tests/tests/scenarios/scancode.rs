//! What ScanCode, which compares every file with thousands of texts, says of licenses. Full runs alone: it takes minutes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{TestEnv, is_full};

/// From which likeness on ScanCode's answer counts, of 100: a text in which the owner's name differs has 98.9, one with half of the words 52.
const MIN_SCORE: f64 = 98.0;
const LICENSES: &str = include_str!("../../fixtures/licenses.tsv");
const PACKAGES: &str = include_str!("../../fixtures/scancode.tsv");

/// Has ScanCode read a directory, and returns its report.
fn scan(env: &TestEnv, directory: &str) -> Value {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/scancode/bin/scancode");
    let report = env.path("scancode.json").display().to_string();
    let arguments = ["-q", "-l", "-n", "2", "--json", &report, directory];
    env.tool(&program.display().to_string(), &arguments)
        .expect_success();
    let text = fs::read_to_string(report).expect("it was written");
    serde_json::from_str(&text).expect("JSON")
}

/// Unpacks some files of a source archive that is in the store.
fn unpack(env: &TestEnv, archive: &str, files: &str, to: &str) {
    let objects = fs::read_dir(env.store().join("store")).expect("a store can be listed");
    let names = objects.map(|entry| entry.expect("a store can be listed").path());
    let is_archive = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.split_once('-'))
            .is_some_and(|(_, name)| name == archive)
    };
    let found = names.into_iter().find(is_archive);
    let found = found.unwrap_or_else(|| panic!("{archive} was built from before"));
    let wanted: Vec<String> = files.split(' ').map(|file| format!("*/{file}")).collect();
    let (found, to) = (found.display().to_string(), env.path(to));
    fs::create_dir_all(&to).expect("the place is ours");
    let to = to.display().to_string();
    let flags = [
        "-xf",
        &found,
        "-C",
        &to,
        "--strip-components=1",
        "--wildcards",
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    env.tool("tar", &[&flags[..], &wanted].concat())
        .expect_success();
}

/// The names of licenses and exceptions in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split([' ', '(', ')']);
    let operators = ["", "AND", "OR", "WITH"];
    words
        .filter(|word| !operators.contains(word))
        .map(str::to_owned)
        .collect()
}

/// What ScanCode finds in the files below `directory` nearly word for word, and SPDX has a name for.
fn exact(report: &Value, directory: &str) -> BTreeSet<String> {
    let files = report["files"].as_array().expect("a list").iter();
    let of_package = files.filter(|file| {
        let path = file["path"].as_str().expect("a path");
        Path::new(path).starts_with(Path::new("sources").join(directory))
    });
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    of_package
        .flat_map(|file| list(&file["license_detections"]))
        .flat_map(|detection| list(&detection["matches"]))
        .filter(|one| {
            one["score"]
                .as_f64()
                .is_some_and(|score| score >= MIN_SCORE)
        })
        .filter_map(|one| Some(names(one["license_expression_spdx"].as_str()?)))
        .flatten()
        .filter(|name| !name.starts_with("LicenseRef-scancode"))
        .collect()
}

#[test]
fn scancode_reads_the_licenses_that_people_have_read() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let packages: Vec<Vec<&str>> = PACKAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(packages.len(), 10);
    for package in &packages {
        unpack(
            &env,
            package[1],
            package[2],
            &format!("sources/{}", package[0]),
        );
    }
    let report = scan(&env, "sources");
    for package in &packages {
        let name = package[0];
        let row = LICENSES
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        let license = row.and_then(|row| row.split('\t').next());
        let mut expected = names(license.expect("it is in the table"));
        for difference in package[3].split(' ').filter(|word| *word != "=") {
            assert!(!package[4].is_empty(), "{name} has a reason");
            match difference.split_at(1) {
                ("+", more) => assert!(expected.insert(more.to_owned()), "{name}: {more}"),
                (_, less) => assert!(expected.remove(less), "{name}: {less}"),
            }
        }
        assert_eq!(exact(&report, name), expected, "{name}");
    }
}
