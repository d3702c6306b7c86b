//! A wrong recipe is one error with its place, and a hint where one can be given.

use tests::TestEnv;

/// Evaluates `recipe` as a project and returns the error.
#[track_caller]
fn error_of(recipe: &str) -> String {
    let env = TestEnv::new();
    env.write("project/pith.star", recipe);
    let finished = env.pith(&["build", "app", "-q"]).expect_status(1);
    assert_eq!(finished.stdout, "");
    finished.stderr
}

#[test]
fn a_syntax_error_has_its_place() {
    let error = error_of("app = derivation(\n    name = \"app\",,\n)\n");
    assert!(error.contains("pith.star:2:18"), "{error}");
}

#[test]
fn an_endless_loop_ends_at_the_limit() {
    let error = error_of(
        "def spin():\n    for a in range(1000000):\n        for b in range(1000000):\n            pass\nspin()\n",
    );
    assert!(error.contains("pith.star:"), "{error}");
    assert!(error.contains("steps"), "{error}");
}

#[test]
fn endless_recursion_ends_at_the_limit() {
    let error = error_of("def down(n):\n    return down(n + 1)\ndown(0)\n");
    assert!(error.contains("pith.star:"), "{error}");
}

#[test]
fn endless_memory_ends_at_the_limit() {
    let error = error_of(
        "def grow():\n    x = [0]\n    for _ in range(60):\n        x = x + x\n    return x\ngrow()\n",
    );
    assert!(error.contains("pith.star:"), "{error}");
}

#[test]
fn a_load_cycle_is_shown_as_a_chain() {
    let env = TestEnv::new();
    env.write("project/pith.star", "load(\":a.star\", \"a\")\napp = a\n");
    env.write("project/a.star", "load(\":b.star\", \"b\")\na = b\n");
    env.write("project/b.star", "load(\":a.star\", \"a\")\nb = a\n");
    let error = env.pith(&["build", "app", "-q"]).expect_status(1).stderr;
    assert!(
        error.contains("a.star") && error.contains("b.star") && error.contains("needs itself"),
        "{error}"
    );
}

#[test]
fn an_unknown_field_gets_a_hint() {
    let error =
        error_of("app = derivation(name = \"app\", builder = [\"x\"], licence = \"MIT\")\n");
    assert!(error.contains("pith.star:1:"), "{error}");
    assert!(
        error.contains("`derivation` has no field `licence`"),
        "{error}"
    );
    assert!(error.contains("did you mean `license`?"), "{error}");
}

#[test]
fn an_undeclared_input_is_named() {
    let path = format!("/pith/store/{}-zlib-1.3", "7".repeat(40));
    let error = error_of(&format!(
        "app = derivation(name = \"app\", builder = [\"{path}/bin/x\"])\n"
    ));
    assert!(
        error.contains("pith.star:1:") && error.contains(&path),
        "{error}"
    );
}

#[test]
fn an_unknown_package_gets_near_names() {
    let env = TestEnv::new();
    let error = env.pith(&["build", "helo"]).expect_status(1).stderr;
    assert!(
        error.contains("`helo`") && error.contains("did you mean `hello`?"),
        "{error}"
    );
}

#[test]
fn a_file_outside_the_project_cannot_be_loaded() {
    let error = error_of("load(\":../../etc/passwd\", \"x\")\napp = x\n");
    assert!(error.contains("pith.star:1:"), "{error}");
}
