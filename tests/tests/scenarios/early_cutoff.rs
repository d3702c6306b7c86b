//! A change that changes no bits stops at the package that was changed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::TestEnv;

fn built(report: &Value) -> Vec<&str> {
    report["built"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| name.as_str().expect("a name"))
        .collect()
}

#[test]
fn a_comment_in_zlibs_build_script_rebuilds_zlib_alone() {
    let env = TestEnv::with_shared_store();
    let collection = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/collection/.");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(collection)
        .arg(env.path("collection"))
        .status();
    assert!(copied.expect("cp is installed").success());
    let checkout = env.path("collection");
    let checkout = checkout.to_str().expect("temporary paths are UTF-8");
    let build = || {
        let arguments = ["build", "sqlite", "--json", "--collection", checkout];
        env.pith(&arguments).expect_success().json()
    };
    let before = build();
    assert_eq!(built(&build()), [""; 0], "a second build has nothing to do");

    let recipe = env.path("collection/zlib/recipe.star");
    let text = fs::read_to_string(&recipe).expect("zlib has a recipe");
    // Unique, so that the store that is shared with earlier runs does not know it yet.
    let comment = format!("# {:?}", std::time::SystemTime::now());
    let changed = text.replacen("./configure", &format!("{comment}\\n./configure"), 1);
    assert_ne!(text, changed, "zlib's recipe has a configure command");
    fs::write(&recipe, changed).expect("the checkout is ours");

    let after = build();
    assert_eq!(built(&after).len(), 1, "{after}");
    assert!(built(&after)[0].starts_with("zlib-"), "{after}");
    assert_eq!(before["outputs"], after["outputs"]);
}

#[test]
fn what_a_recipe_says_of_its_license_is_known_though_nothing_is_built() {
    let env = TestEnv::with_shared_store();
    let unique = format!("{:?}", std::time::SystemTime::now());
    let build = |license: &str| {
        env.write(
            "project/pith.star",
            &format!(
                "load(\"//seed/recipe.star\", \"base\")\n\
                 app = derivation(name = \"app\", license = {license:?}, seed = base, env = {{\"unique\": {unique:?}}},\n\
                 \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"echo $unique > $out\"])\n"
            ),
        );
        let report = env
            .pith(&["build", "app", "--json"])
            .expect_success()
            .json();
        let path = report["outputs"][0]["path"].as_str().expect("a path");
        let known = env
            .pith(&["store", "path-info", "--json", path])
            .expect_success()
            .json();
        let built = built(&report).len();
        (built, known["paths"][0]["component"]["license"].clone())
    };
    assert_eq!(build("MIT"), (1, "MIT".into()));
    assert_eq!(build("Zlib"), (0, "Zlib".into()));
    assert_eq!(build("Zlib"), (0, "Zlib".into()));
}
