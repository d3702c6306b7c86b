//! How an image is divided into layers, and how images share them.

use serde_json::Value;
use tests::TestEnv;

/// Packs with `flags`, and returns the report.
fn pack(env: &TestEnv, target: &str, flags: &[&str]) -> Value {
    let archive = env.path("image.tar");
    let archive = archive.to_str().expect("temporary paths are UTF-8");
    let pack = ["pack", target, "-q", "--json", "-o", archive];
    env.pith(&[&pack[..], flags].concat())
        .expect_success()
        .json()
}

/// The blobs of the layers with store paths in them, and why they are what they are.
fn layers(report: &Value) -> Vec<(String, String)> {
    let layers = report["image"]["layers"].as_array().expect("a list").iter();
    let planned = layers.filter(|layer| !layer["reason"].is_null());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    planned
        .map(|layer| (text(&layer["digest"]), text(&layer["reason"])))
        .collect()
}

#[test]
fn an_image_is_the_same_again_with_the_plan_file_that_it_was_put_into() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "jq", "-q"]).expect_success();
    let plan = env.path("plan.json");
    let plan = plan.to_str().expect("temporary paths are UTF-8");
    let first = pack(&env, "jq", &["--write-plan", plan]);
    let second = pack(&env, "jq", &["--plan", plan, "--write-plan", plan]);
    assert_eq!(first["manifest"], second["manifest"]);
    assert!(
        (layers(&second).iter()).all(|(_, reason)| reason == "published before"),
        "{second:#}"
    );
    let text = std::fs::read_to_string(plan).expect("it was written");
    assert!(text.contains("library/jq"), "{text}");
}

#[test]
fn modes_and_numbers_of_layers_are_as_asked_for() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "jq", "-q"]).expect_success();
    let single = pack(&env, "jq", &["--layers", "single"]);
    assert_eq!(layers(&single).len(), 1);
    let paths = |report: &Value| {
        let layers = report["image"]["layers"].as_array().expect("a list").iter();
        let lengths = layers.map(|layer| layer["paths"].as_array().map_or(0, Vec::len));
        lengths.collect::<Vec<_>>()
    };
    let all = paths(&single).iter().sum::<usize>();
    let each = pack(&env, "jq", &["--layers", "per-path"]);
    let each = paths(&each);
    assert_eq!(each.iter().filter(|count| **count == 1).count(), all);
    let few = pack(&env, "jq", &["--max-layers", "2"]);
    assert_eq!(paths(&few), [all, 0]);
    let wrong = env
        .pith(&["pack", "jq", "--layers", "many"])
        .expect_status(2);
    assert!(
        wrong.stderr.contains("it must be auto, single or per-path"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_bad_plan_file_is_one_error_with_its_line() {
    let env = TestEnv::with_shared_store();
    env.write("plan.json", "{\"version\": 1,\n \"rates\": {}\n}\n");
    let bad = env.path("plan.json");
    let bad = bad.to_str().expect("temporary paths are UTF-8");
    for flag in ["--plan", "--write-plan"] {
        let refused = env.pith(&["pack", "jq", flag, bad]).expect_status(2);
        for part in ["plan.json`", "line 2, column", "unknown field `rates`"] {
            assert!(refused.stderr.contains(part), "{}", refused.stderr);
        }
    }
    let absent = env
        .pith(&["pack", "jq", "--plan", "absent.json"])
        .expect_status(2);
    assert!(
        absent.stderr.contains("cannot read the plan file"),
        "{}",
        absent.stderr
    );
}

#[test]
fn an_image_with_stable_paths_starts_and_every_object_in_it_is_what_its_path_says() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "jq", "-q"]).expect_success();
    let report = pack(&env, "jq", &["--stable-paths"]);
    let stable = &report["image"]["stable_paths"];
    assert_eq!(stable["kept"].as_array().map(Vec::len), Some(0), "{stable}");
    assert_eq!(stable["replaced"], 3);
    let archive = env.path("image.tar");
    let archive = archive.to_str().expect("temporary paths are UTF-8");
    env.pith(&["image", "verify", archive]).expect_success();
    let directory = env.path("directory");
    let directory = directory.to_str().expect("temporary paths are UTF-8");
    let refused = ["pack", "jq", "--stable-paths", "-f", "dir", "-o", directory];
    let refused = env.pith(&refused).expect_status(1);
    assert!(
        refused.stderr.contains("cannot be written as dir"),
        "{}",
        refused.stderr
    );
}
