//! The lint on recipes: the collection keeps every rule, and each rule is broken by something.

use std::collections::BTreeSet;

use crate::support::{TestResult, World};
use recipes::lang::{Collection, Evaluator, Package, Problem};
use recipes::lint::{Finding, RecipeText, Severity, check_recipe};

/// What is wrong with a package that its recipe does not accept.
fn lint(evaluator: &Evaluator, package: &Package) -> Vec<Finding> {
    let derivation = &package.derivation;
    let origin = derivation.origin();
    let text = evaluator.text_of(&origin.file).unwrap_or_default();
    let found = check_recipe(package, RecipeText(&text));
    let accepted = &derivation.metadata().accepted;
    Finding::accept(found, &package.name, origin, accepted, false)
}

#[test]
fn every_recipe_of_the_collection_passes() -> TestResult {
    let evaluator = Evaluator::new(Collection::embedded(), None);
    let mut errors = Vec::new();
    for (_, package) in evaluator.evaluate_collection()? {
        let package = match package {
            Ok(package) => package,
            Err(error) if matches!(error.problem(), Problem::PackageNotDefined { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let found = lint(&evaluator, &package).into_iter();
        errors.extend(found.filter(Finding::is_error).map(|finding| {
            let code = finding.rule.code();
            format!(
                "{}: {} {} [{code}]",
                finding.place, finding.package, finding.message
            )
        }));
    }
    assert_eq!(errors, [""; 0]);
    Ok(())
}

#[test]
fn each_rule_is_broken_by_what_it_is_against() -> TestResult {
    let world = World::new(&[
        (
            "collection/x/recipe.star",
            r#"_bad = [
    fetch(urls = ["http://a.org/x/archive/master.tar.gz", "https://b.org/x"], sha256 = "SHA256", name = "s"),
    fetch(urls = ["https://a.org/x"], sha256 = "SHA256", name = "t"),
]
x = derivation(
    name = "x",
    builder = _bad,
    env = {"phases": "build"},
    sources = _bad,
)
"#,
        ),
        (
            "collection/y/recipe.star",
            r#"y = derivation(
    name = "y",
    builder = ["x"],
    description = "y",
    license = "MIT or so",
    cpe = "vendor:y",
    accept = {"license-invalid": "a reason", "homepage-missing": "another", "none-such": ""},
)
"#,
        ),
    ])?;
    let evaluator = world.evaluator();
    let codes = |name: &str| -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let package = evaluator.evaluate_package(name)?;
        let found = lint(&evaluator, &package).into_iter();
        let shown = found.map(|one| format!("{} {}", one.place.line, one.rule.code()));
        Ok(shown.collect::<BTreeSet<_>>().into_iter().collect())
    };
    assert_eq!(
        codes("x")?,
        [
            "2 source-insecure",
            "2 source-unpinned",
            "3 source-single",
            "5 cpe-missing",
            "5 description-missing",
            "5 homepage-missing",
            "5 license-missing",
            "5 test-missing",
        ]
    );
    assert_eq!(codes("y")?, ["1 accept-unknown", "6 cpe-invalid"]);
    Ok(())
}

#[test]
fn what_is_accepted_for_nothing_is_found_where_all_was_looked_at() -> TestResult {
    let world = World::new(&[(
        "collection/x/recipe.star",
        "x = derivation(\"x\", builder = [\"x\"], accept = {\"docs-in-out\": \"\", \"license-missing\": \"\"})\n",
    )])?;
    let evaluator = world.evaluator();
    let package = evaluator.evaluate_package("x")?;
    let derivation = &package.derivation;
    let found = check_recipe(&package, RecipeText(""));
    let accepted = &derivation.metadata().accepted;
    let kept = Finding::accept(found, "x", derivation.origin(), accepted, true);
    let warnings = kept
        .iter()
        .filter(|one| one.rule.severity() == Severity::Warning);
    let messages: Vec<&str> = warnings.map(|one| one.message.as_str()).collect();
    assert_eq!(messages, ["accepts `docs-in-out`, which it keeps"]);
    Ok(())
}
