//! `override`, `extend`, `rewrite` and a project's `overrides`: one package is made otherwise, and everything above follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{TestResult, World, assert_reads};
use recipes::lang::{Collection, Evaluator, Project};
use recipes::model::{Builder, Derivation};
use snapbox::str;

const HELPER: &str = r#"
def build(name, version = "1", deps = [], patches = [], flags = {}, outputs = ["out"]):
    return derivation(
        name = name, version = version, builder = ["/bin/sh"], outputs = outputs,
        env = {"deps": deps, "patches": patches, "flags": str(sorted(flags.items()))},
    )
"#;

/// A collection in which `top` needs `left` and `right`, which both need `base^lib`.
fn world(project: &str) -> Result<World, Box<dyn std::error::Error>> {
    let recipe = |text: &str| format!("load(\"//lib/build.star\", \"build\")\n{text}\n");
    World::new(&[
        ("collection/lib/build.star", HELPER),
        (
            "collection/base/recipe.star",
            &recipe(
                r#"base = build(name = "base", patches = ["first"], outputs = ["out", "lib"])"#,
            ),
        ),
        (
            "collection/left/recipe.star",
            &recipe(r#"left = build("left", deps = [package("base").lib])"#),
        ),
        (
            "collection/right/recipe.star",
            "right = derivation(\"right\", builder = [package(\"base\").lib + \"/x\"])",
        ),
        (
            "collection/top/recipe.star",
            &recipe(r#"top = build("top", deps = [package("left"), package("right")])"#),
        ),
        ("project/pith.star", project),
    ])
}

fn evaluator(world: &World) -> Evaluator {
    Evaluator::new(
        Collection::directory(&world.collection()),
        Some(&world.project()),
    )
}

fn project(text: &str) -> Result<Project, Box<dyn std::error::Error>> {
    let world = world(text)?;
    Ok(evaluator(&world).evaluate_project(&world.project())?)
}

fn find<'a>(project: &'a Project, name: &str) -> &'a Arc<Derivation> {
    let package = project.packages.iter().find(|package| package.name == name);
    &package.unwrap_or_else(|| panic!("no `{name}`")).derivation
}

/// The store names and patches of everything that a derivation is made from, itself included.
fn below(derivation: &Arc<Derivation>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![Arc::clone(derivation)];
    while let Some(derivation) = pending.pop() {
        if let Builder::Program(program) = derivation.builder() {
            let patches = program.env.get("patches").map(ToString::to_string);
            found.insert(format!(
                "{} {}",
                derivation.name(),
                patches.unwrap_or_default()
            ));
        }
        pending.extend(
            derivation
                .dependencies()
                .map(|input| Arc::clone(input.derivation())),
        );
    }
    found
}

fn texts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn error(text: &str) -> Result<String, Box<dyn std::error::Error>> {
    let world = world(text)?;
    match evaluator(&world).evaluate_project(&world.project()) {
        Ok(project) => Err(format!("{} has no error", project.label).into()),
        Err(error) => Ok(world.show(&error)),
    }
}

#[test]
fn override_replaces_arguments_of_the_recipes_own_call() -> TestResult {
    let project = project(
        r#"mine = package("base").override(version = "2", patches = ["a", "b"])
above = package("base").override(patches = ["first"])  # `base` is `mine` from here on
twice = package("base").override(version = "3").override(patches = [])
direct = package("right").override(version = "4", name = "direct")
"#,
    )?;
    let versions: Vec<String> = project
        .packages
        .iter()
        .flat_map(|package| below(&package.derivation))
        .collect();
    assert_eq!(
        versions,
        [
            "base-2 first",
            "base-2 a b",
            "base-3 ",
            "base-1 first",
            "direct-4 "
        ]
    );
    Ok(())
}

#[test]
fn extend_adds_to_lists_and_dicts() -> TestResult {
    let project = project(
        r#"mine = package("base").extend(patches = ["second"], flags = {"x": 1})
more = mine.extend(patches = ["third"]).override(version = "2")
"#,
    )?;
    let found: Vec<String> = project
        .packages
        .iter()
        .flat_map(|package| below(&package.derivation))
        .collect();
    assert_eq!(found, ["base-1 first second", "base-2 first second third"]);
    Ok(())
}

#[test]
fn an_override_to_what_is_there_already_is_the_same_package() -> TestResult {
    let world = world("same = package(\"base\").override(patches = [\"first\"])\n")?;
    let evaluator = evaluator(&world);
    let plain = evaluator.evaluate_collection()?;
    let base = plain.into_iter().find(|(name, _)| name == "base");
    let same = evaluator.evaluate_project(&world.project())?;
    assert_eq!(base.ok_or("no base")?.1?.derivation, *find(&same, "base"));
    Ok(())
}

#[test]
fn rewrite_exchanges_a_package_everywhere_below() -> TestResult {
    let project = project(
        r#"_mine = package("base").override(patches = ["mine"])
changed = package("top").rewrite({"base": _mine})
"#,
    )?;
    let expected = ["base-1 mine", "left-1 ", "right ", "top-1 "];
    assert_eq!(below(find(&project, "top")), texts(&expected));
    Ok(())
}

#[test]
fn overrides_reach_packages_images_and_the_collection() -> TestResult {
    let world = world(
        r#"overrides = {"base": package("base").override(patches = ["mine"])}
app = derivation("app", builder = [package("left")])
image("app", packages = [app, package("right")], env = {"BASE": package("base").lib})
"#,
    )?;
    let evaluator = evaluator(&world);
    let project = evaluator.evaluate_project(&world.project())?;
    assert_eq!(
        below(find(&project, "app")),
        texts(&["app ", "base-1 mine", "left-1 "])
    );
    let image = project.images.first().ok_or("no image")?;
    let in_env = image.env.values().flat_map(recipes::model::Text::outputs);
    for output in image.packages.iter().chain(in_env) {
        let found = below(output.derivation());
        assert!(
            !found.contains("base-1 first") && found.contains("base-1 mine"),
            "{found:?}"
        );
    }
    let top = evaluator.evaluate_package("top")?.derivation;
    assert!(below(&top).contains("base-1 mine") && !below(&top).contains("base-1 first"));
    let base = evaluator.evaluate_package("base")?.derivation;
    assert_eq!(below(&base), texts(&["base-1 mine"]));
    Ok(())
}

#[test]
fn replacements_are_made_from_replacements() -> TestResult {
    let project = project(
        r#"overrides = {
    "base": package("base").override(version = "2"),
    "left": package("left").override(version = "2"),
}
top = package("top")
"#,
    )?;
    assert_eq!(
        below(find(&project, "top")),
        texts(&["base-2 first", "left-2 ", "right ", "top-1 "])
    );
    Ok(())
}

#[test]
fn what_needs_nothing_replaced_is_untouched() -> TestResult {
    let world = world("x = package(\"base\").rewrite({\"top\": package(\"left\")})\n")?;
    let evaluator = evaluator(&world);
    let project = evaluator.evaluate_project(&world.project())?;
    let plain = evaluator.evaluate_collection()?.swap_remove(0).1?;
    assert!(Arc::ptr_eq(&plain.derivation, find(&project, "base")));
    Ok(())
}

#[test]
fn openssl_is_patched_under_all_that_use_it() -> TestResult {
    let project = World::new(&[(
        "project/pith.star",
        r#"_openssl = package("openssl").extend(patches = [source("fix.patch")])
overrides = {"openssl": _openssl}
"#,
    )])?;
    project.write("project/fix.patch", "a patch")?;
    let plain = Evaluator::new(Collection::embedded(), None);
    let patched = Evaluator::new(Collection::embedded(), Some(&project.project()));
    let old = plain.evaluate_package("openssl")?.derivation.id();
    let new = patched.evaluate_package("openssl")?.derivation.id();
    assert_ne!(old, new);
    let reaches = |root: &Arc<Derivation>, id| {
        let mut pending = vec![Arc::clone(root)];
        let mut seen = BTreeSet::new();
        while let Some(one) = pending.pop() {
            if one.id() == id {
                return true;
            }
            if seen.insert(one.id()) {
                pending.extend(
                    one.dependencies()
                        .map(|input| Arc::clone(input.derivation())),
                );
            }
        }
        false
    };
    let mut users = 0;
    for (name, package) in plain.evaluate_collection()? {
        let Ok(package) = package else { continue };
        let is_user = reaches(&package.derivation, old);
        let now = patched.evaluate_package(&name)?.derivation;
        assert!(!reaches(&now, old), "{name} still needs the old one");
        assert_eq!(reaches(&now, new), is_user, "{name}");
        users += usize::from(is_user);
    }
    assert!(users >= 2, "openssl itself and curl, at least");
    Ok(())
}

#[test]
fn unknown_package_in_overrides() -> TestResult {
    assert_reads(
        error("# mine\noverrides = {\"bese\": package(\"base\")}\n")?,
        str![[r#"
error: /project/pith.star:2:1: there is no package `bese`
  2 | overrides = {"bese": package("base")}
    | ^
hint: did you mean `base`?

"#]],
    );
    Ok(())
}

#[test]
fn overrides_of_the_wrong_type() -> TestResult {
    assert_reads(
        error("overrides = [package(\"base\")]\n")?,
        str![[r#"
error: /project/pith.star:1:1: `overrides` of `/project/pith.star` must be a dict from names of packages to packages, not another value
  1 | overrides = [package("base")]
    | ^

"#]],
    );
    Ok(())
}

#[test]
fn override_of_an_unknown_argument() -> TestResult {
    assert_reads(
        error("x = package(\"base\").override(patchez = [])\n")?,
        str![[r#"
error: //base/recipe.star:2:8: `build` has no field `patchez`
  2 | base = build(name = "base", patches = ["first"], outputs = ["out", "lib"])
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  called from /project/pith.star:1:5
hint: did you mean `patches`?

"#]],
    );
    Ok(())
}

#[test]
fn override_with_a_function() -> TestResult {
    assert_reads(
        error("x = package(\"base\").override(patches = lambda: [])\n")?,
        str![[r#"
error: /project/pith.star:1:30: `patches` of `override` must be made of strings, numbers, lists, dicts and packages, not a value of type `function`
  1 | x = package("base").override(patches = lambda: [])
    |                              ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn override_without_a_name() -> TestResult {
    assert_reads(
        error("x = package(\"base\").override([])\n")?,
        str![[r#"
error: /project/pith.star:1:5: at most 0 of the arguments of `override` may stand without a name, but 1 do
  1 | x = package("base").override([])
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn override_of_a_package_of_the_same_file() -> TestResult {
    let text = "a = derivation(\"a\", builder = [\"x\"])\nb = a.override(version = \"2\")\n";
    assert_reads(
        error(text)?,
        str![[r#"
error: /project/pith.star:2:5: `a` cannot be changed: `/project/pith.star` makes it itself; change the call that does
  2 | b = a.override(version = "2")
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn extend_of_what_is_no_list() -> TestResult {
    assert_reads(
        error("x = package(\"base\").extend(version = \"2\")\n")?,
        str![[r#"
error: //base/recipe.star:2:8: `version` of `extend` must be a list, or a dict, as the recipe's own value is
  2 | base = build(name = "base", patches = ["first"], outputs = ["out", "lib"])
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  called from /project/pith.star:1:5

"#]],
    );
    Ok(())
}

#[test]
fn replacement_made_from_what_it_replaces() -> TestResult {
    let text = r#"mine = derivation("mine", builder = [package("base").lib])
x = package("top").rewrite({"base": mine})
"#;
    assert_reads(
        error(text)?,
        str![[r#"
error: /project/pith.star:2:5: a replacement is made from what it replaces: base → base
  2 | x = package("top").rewrite({"base": mine})
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: `.override` changes a package without being made from it

"#]],
    );
    Ok(())
}

#[test]
fn replacements_that_need_each_other() -> TestResult {
    let text = r#"overrides = {
    "left": derivation("l", builder = [package("right")]),
    "right": derivation("r", builder = [package("left")]),
}
top = package("top")
"#;
    assert_reads(
        error(text)?,
        str![[r#"
error: /project/pith.star:1:1: a replacement is made from what it replaces: left → right → left
  1 | overrides = {
    | ^
hint: `.override` changes a package without being made from it

"#]],
    );
    Ok(())
}

#[test]
fn replacement_without_an_output_that_is_used() -> TestResult {
    let text = r#"x = package("top").rewrite({"base": package("right").override(name = "slim")})
"#;
    assert_reads(
        error(text)?,
        str![[r#"
error: /project/pith.star:1:5: a replacement is made from what it replaces: base → base
  1 | x = package("top").rewrite({"base": package("right").override(name = "slim")})
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: `.override` changes a package without being made from it

"#]],
    );
    Ok(())
}

#[test]
fn override_after_rewrite() -> TestResult {
    let text = r#"_mine = package("base").override(version = "2")
x = package("left").rewrite({"base": _mine}).override(version = "2")
"#;
    assert_reads(
        error(text)?,
        str![[r#"
error: /project/pith.star:2:5: `left` cannot be changed: it is not what `//left/recipe.star` defines; `.override` comes before `.rewrite`
  2 | x = package("left").rewrite({"base": _mine}).override(version = "2")
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}
