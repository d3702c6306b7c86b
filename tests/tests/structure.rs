//! The shape of the workspace: what every file of it must look like.

use std::fs;
use std::path::{Path, PathBuf};

/// A file longer than this, tests apart, holds more than one idea.
const MAX_LINES: usize = 600;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .into()
}

/// Every `.rs` file below `directory`, build results and fuzz corpora left out; sorted.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("the source tree is readable") {
            let path = entry.expect("the source tree is readable").path();
            let name = path
                .file_name()
                .expect("the source tree is readable")
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    pending.push(path);
                }
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether a file is a test of its own rather than code with tests in it.
fn is_test(path: &Path) -> bool {
    let path = path.strip_prefix(workspace()).expect("it lies below");
    path.components().any(|part| part.as_os_str() == "tests")
}

/// The lines of a file before its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("the source tree is readable");
    text.split("\n#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn no_file_holds_more_than_one_idea() {
    let long: Vec<_> = sources(&workspace())
        .into_iter()
        .filter(|path| !is_test(path))
        .map(|path| (code(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn a_mod_file_is_a_door_without_bodies() {
    for path in sources(&workspace()) {
        if is_test(&path) || path.file_name().is_none_or(|name| name != "mod.rs") {
            continue;
        }
        let text = code(&path);
        let body = text.lines().find(|line| {
            ["fn ", "pub fn ", "pub(crate) fn "]
                .iter()
                .any(|start| line.starts_with(start))
        });
        assert_eq!(body, None, "{} has a function", path.display());
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    let allowed = workspace().join("recipes/sandbox/src/sys.rs");
    // The apps that tests build are nobody's code here.
    let fixtures = workspace().join("tests/fixtures");
    for path in sources(&workspace()) {
        if path.starts_with(&fixtures) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("the source tree is readable");
        let has_block = text.lines().any(|line| {
            line.trim_start()
                .split("//")
                .next()
                .is_some_and(|code| code.contains("unsafe {"))
        });
        let is_this_file = path.ends_with("tests/tests/structure.rs");
        assert!(
            !has_block || path == allowed || is_this_file,
            "{} has unsafe code",
            path.display()
        );
    }
}

#[test]
fn dependencies_point_one_way() {
    let manifest = |name: &str| {
        fs::read_to_string(workspace().join(name).join("Cargo.toml"))
            .expect("the source tree is readable")
    };
    let forbidden = [
        (
            "store",
            ["pack.", "recipes.", "sandbox.", "cli."].as_slice(),
        ),
        ("recipes/sandbox", &["store.", "pack.", "recipes.", "cli."]),
        ("recipes", &["pack.", "cli."]),
        ("pack", &["recipes.", "sandbox.", "cli."]),
    ];
    for (member, names) in forbidden {
        let text = manifest(member);
        for name in names {
            let found = text.lines().find(|line| line.starts_with(name));
            assert_eq!(found, None, "{member} depends the wrong way");
        }
    }
}
