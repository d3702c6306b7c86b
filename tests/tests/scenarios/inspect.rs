//! What is in a closure, what it costs, what needs it, and what has changed.

use tests::TestEnv;

#[test]
fn size_says_what_each_object_adds_and_a_budget_fails() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "curl", "jq", "-q"]).expect_success();
    let size = env
        .pith(&["size", "curl", "--json"])
        .expect_success()
        .json();
    let objects = size["objects"].as_array().expect("a list");
    let total = size["size_bytes"].as_u64().expect("a number");
    let find = |name: &str| {
        let is_it =
            |one: &&serde_json::Value| one["path"].as_str().is_some_and(|p| p.contains(name));
        let found = objects
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("no {name}"));
        let number = |key: &str| found[key].as_u64().expect("a number");
        (number("size_bytes"), number("adds_bytes"))
    };
    assert_eq!(find("-curl-").1, total, "without curl nothing is needed");
    let (openssl, adds) = find("-openssl-");
    assert!(openssl <= adds && adds < total);
    let both = env
        .pith(&["size", "curl", "jq", "--json"])
        .expect_success()
        .json();
    assert!(both["size_bytes"].as_u64() > Some(total));
    env.pith(&["size", "curl", "--budget", "1GB"])
        .expect_success();
    let over = env
        .pith(&["size", "curl", "--budget", "5MB"])
        .expect_status(3);
    assert!(over.stdout.contains("-curl-"), "{}", over.stdout);
    let largest = over
        .stderr
        .lines()
        .position(|line| line.ends_with("-openssl-3.0.22-lib"));
    assert!(
        over.stderr.contains("is more than the budget of 5.0 MB") && largest.is_some(),
        "{}",
        over.stderr
    );
}

#[test]
fn why_finds_whichever_output_is_needed() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "curl", "-q"]).expect_success();
    let why = env
        .pith(&["why", "curl", "openssl", "--json"])
        .expect_success()
        .json();
    let last = why["chain"]
        .as_array()
        .and_then(|chain| chain.last())
        .expect("a chain");
    let reference = last["reference"].as_str().expect("a path");
    assert!(reference.ends_with("-lib"), "{reference}");
    assert!(last["offset"].is_u64() && last["file"].as_str() != Some(""));
    let no = env.pith(&["why", "jq", "curl"]).expect_status(3);
    assert!(no.stderr.contains("does not need") && no.stderr.contains("hint: `pith tree jq`"));
}

#[test]
fn diff_names_versions_sizes_and_files() {
    let env = TestEnv::with_seed();
    let recipe = |version: &str, script: &str| {
        env.write(
            "project/pith.star",
            &format!(
                "load(\"//seed/recipe.star\", \"base\")\n\
                 data = derivation(name = \"data\", version = \"{version}\", seed = base,\n\
                 \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir $out; cd $out; {script}\"])\n"
            ),
        );
        let built = env.pith(&["build", "data", "-q"]).expect_success();
        built.line().to_owned()
    };
    let old = recipe("1", "echo a > same; echo b > changed; echo c > removed");
    let new = recipe("2", "echo a > same; echo B > changed; echo longer > added");
    let same = env.pith(&["diff", &old, &old]).expect_success();
    assert_eq!(
        (same.stdout.as_str(), same.stderr.as_str()),
        ("", "both are the same\n")
    );
    let text = env.pith(&["diff", &old, "data"]).expect_success().stdout;
    assert_eq!(
        text,
        "~ data: 1 → 2, 6 B → 11 B (+5 B)\n    added added\n    changed changed\n    removed removed\n6 B → 11 B (+5 B)\n"
    );
    let json = env
        .pith(&["diff", &old, &new, "--json"])
        .expect_success()
        .json();
    assert_eq!(json["same"], false);
    let change = &json["changes"][0];
    assert_eq!(change["old"]["version"], "1");
    assert_eq!(change["files"].as_array().map(Vec::len), Some(3));
}

#[test]
fn completions_are_scripts_that_name_the_commands() {
    let env = TestEnv::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = env.pith(&["completions", shell]).expect_success().stdout;
        assert!(
            script.contains("profile") && script.contains("lint"),
            "{shell}"
        );
    }
    let script = env.path("completions");
    std::fs::write(
        &script,
        env.pith(&["completions", "bash"]).expect_success().stdout,
    )
    .expect("the place is ours");
    let script = script.to_str().expect("a text");
    env.tool("bash", &["-nu", script]).expect_success();
    env.pith(&["completions", "tcsh"]).expect_status(2);
}
