//! What tells an author that a recipe is not good yet: smoke commands, the lint, and overrides that reach everything.

use tests::{TestEnv, is_full};

/// A package whose program is bash of the collection, under the name `tool`.
fn recipe(arguments: &str) -> String {
    format!(
        "load(\"//seed/recipe.star\", \"base\")\n\
         tool = derivation(\n    name = \"tool\", version = \"1\", seed = base,\n    \
         builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/bin; ln -s $bash/bin/bash $out/bin/tool\"],\n    \
         env = {{\"bash\": package(\"bash\")}},\n    {arguments}\n)\n"
    )
}

#[test]
fn a_smoke_command_fails_the_build_and_is_run_again_by_lint() {
    let env = TestEnv::with_shared_store();
    let unique = env.path("").display().to_string();
    // Something that no other scenario builds, so that it is built here.
    let write = |smoke: &str| {
        let arguments = format!(
            "license = \"MIT\", homepage = \"https://example.org\", description = \"{unique}\",\n    {smoke}"
        );
        let text = recipe(&arguments).replace(
            "\"bash\": ",
            &format!("\"unique\": \"{unique}\", \"bash\": "),
        );
        env.write("project/pith.star", &text);
    };
    write("smoke = {(\"bin/tool\", \"-c\", \"echo 6 * 7\"): \"42\"},");
    let failed = env.pith(&["build", "tool", "-q"]).expect_status(100);
    assert_eq!(
        failed.stderr,
        "error: cannot build `tool-1`\n  caused by: the smoke command `bin/tool -c 'echo 6 * 7'` did not say `42`; it said:\n    6 bin 7\n"
    );
    write("smoke = {(\"bin/tool\", \"-c\", \"echo $((6 * 7))\"): \"42\"},");
    env.pith(&["build", "tool", "-q"]).expect_success();
    env.pith(&["lint", "tool"]).expect_success();
    write("smoke = [\"bin/tool -c nothing\"],");
    env.pith(&["build", "tool", "-q"]).expect_success();
    let found = env
        .pith(&["lint", "tool", "--json"])
        .expect_status(3)
        .json();
    assert_eq!(found["errors"], 1);
    assert_eq!(found["findings"][0]["code"], "smoke-failed");
    let message = found["findings"][0]["message"].as_str().expect("a text");
    assert!(message.contains("exited with status 127"), "{message}");
}

#[test]
fn lint_names_rule_place_and_way_out() {
    let env = TestEnv::new();
    env.write(
        "project/pith.star",
        "_source = fetch(urls = [\"http://example.org/x/archive/main.tar.gz\"], sha256 = \"31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b\")\n\
         x = derivation(\n    name = \"x\",\n    builder = [_source],\n    license = \"GPL-2.0\",\n    homepage = \"https://example.org\",\n    accept = {\"source-single\": \"there is no other\", \"nonsense\": \"\"},\n)\n",
    );
    let found = env.pith(&["lint"]).expect_status(3);
    let file = env.path("project/pith.star");
    let file = file.display();
    let lines: Vec<&str> = found
        .stdout
        .lines()
        .filter(|line| !line.starts_with("  hint: "))
        .collect();
    let starts = [
        format!(
            "{file}:1: error: `x` has the source `http://example.org/x/archive/main.tar.gz` [source-insecure]"
        ),
        format!(
            "{file}:1: error: `x` has the source `http://example.org/x/archive/main.tar.gz`, where `main.tar.gz` is another one tomorrow [source-unpinned]"
        ),
        format!("{file}:2: error: `x` has no description [description-missing]"),
        format!("{file}:2: error: `x` accepts `nonsense`, which is no rule [accept-unknown]"),
        format!("{file}:5: error: `x` has the license `GPL-2.0`: "),
    ];
    assert_eq!(lines.len(), starts.len(), "{}", found.stdout);
    for (line, start) in lines.iter().zip(&starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
    assert_eq!(
        found.stderr,
        "1 package: 5 errors, 0 warnings; 1 not built, so its outputs were not looked at\nerror: 5 errors to put right\n"
    );
    let rules = env
        .pith(&["lint", "--rules", "--json"])
        .expect_success()
        .json();
    assert!(
        rules["rules"]
            .as_array()
            .is_some_and(|rules| rules.len() > 15)
    );
}

/// Writes a collection in which `left` and `right` need `base`, with the seed of the real one; returns its directory.
fn write_collection(env: &TestEnv) -> String {
    let write = |name: &str, script: &str, needs: &str| {
        let text = format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             {name} = derivation(name = \"{name}\", version = \"1\", seed = base,\n    \
             env = {{\"text\": \"old\", {needs}}}, builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir $out; {script}\"])\n"
        );
        env.write(&format!("collection/{name}/recipe.star"), &text);
    };
    let need = "\"need\": package(\"base\")";
    write("base", "echo $text > $out/text", "");
    write("left", "echo $need > $out/need", need);
    write("right", "ln -s $need $out/need", need);
    let real = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/collection");
    for name in ["seed", "lib"] {
        let from = real.join(name);
        let from = from.to_str().expect("a text");
        env.tool("cp", &["-r", from, &format!("collection/{name}")])
            .expect_success();
    }
    env.path("collection").to_str().expect("a text").to_owned()
}

#[test]
fn an_override_reaches_every_closure_and_leaves_nothing_of_the_old() {
    let env = TestEnv::with_seed();
    let collection = write_collection(&env);
    let closure = |target: &str| env.closure(target, &["--collection", &collection]);
    let old: Vec<String> = closure("base");
    assert!(closure("left").contains(&old[0]) && closure("right").contains(&old[0]));
    env.write(
        "project/pith.star",
        "_base = package(\"base\").extend(env = {\"text\": \"patched\"})\noverrides = {\"base\": _base}\n",
    );
    let new = closure("base");
    assert_ne!(old, new);
    for target in ["left", "right"] {
        let closure = closure(target);
        assert!(
            closure.contains(&new[0]) && !closure.contains(&old[0]),
            "{target}: {closure:?}"
        );
    }
    env.write(
        "project/pith.star",
        "overrides = {\"bsae\": package(\"base\")}\n",
    );
    let wrong = env
        .pith(&["build", "left", "--collection", &collection])
        .expect_status(1);
    assert!(
        wrong
            .stderr
            .contains("pith.star:1:1: there is no package `bsae`")
            && wrong.stderr.ends_with("hint: did you mean `base`?\n"),
        "{}",
        wrong.stderr
    );
}

/// Makes openssl tell of itself, also where it otherwise says its number alone.
const PATCH: &str = r#"--- a/VERSION.dat
+++ b/VERSION.dat
@@ -4,3 +4,3 @@
 PRE_RELEASE_TAG=
-BUILD_METADATA=
+BUILD_METADATA=patched
 RELEASE_DATE="25 Aug 2026"
--- a/crypto/cversion.c
+++ b/crypto/cversion.c
@@ -51,3 +51,3 @@
     case OPENSSL_VERSION_STRING:
-        return OPENSSL_VERSION_STR;
+        return OPENSSL_FULL_VERSION_STR;
     case OPENSSL_FULL_VERSION_STRING:
"#;

/// Takes as long as openssl, curl and nginx take to compile. What an override does to closures is tried above with packages of a line each.
#[test]
fn openssl_is_patched_under_curl_and_nginx_at_once() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    // A package without openssl stays what it is.
    let closures = || ["curl", "nginx", "jq"].map(|target| env.closure(target, &[]));
    let openssl = |closure: &[String]| -> Vec<String> {
        let found = closure.iter().filter(|path| path.contains("-openssl-"));
        found.cloned().collect()
    };
    // Both say which library they run with, one on standard output, one on standard error.
    let said = || {
        let curl = env.pith(&["run", "-q", "curl", "--", "--version"]);
        let nginx = env.pith(&["run", "-q", "nginx", "--", "-V"]);
        [curl.expect_success().stdout, nginx.expect_success().stderr]
    };
    let old = closures();
    for said in said() {
        assert!(said.contains("3.0.") && !said.contains("patched"), "{said}");
    }

    env.write("project/fix.patch", PATCH);
    env.write(
        "project/pith.star",
        "overrides = {\"openssl\": package(\"openssl\").extend(patches = [source(\"fix.patch\")])}\n",
    );
    let new = closures();
    let (before, after) = (openssl(&old[0]), openssl(&new[0]));
    assert_eq!((before.len(), after.len()), (1, 1), "{old:?}\n{new:?}");
    assert_ne!(before, after);
    assert_eq!(openssl(&old[1]), before);
    assert_eq!(openssl(&new[1]), after);
    assert_eq!(old[2], new[2]);
    for said in said() {
        assert!(said.contains("3.0.22+patched"), "{said}");
    }

    std::fs::remove_file(env.path("project/pith.star")).expect("it was written");
    assert_eq!(closures(), old);
}
