//! Recipes that try to exhaust or crash the evaluator, with the bounds that users have.

use crate::support::{TestResult, World};
use proptest::prelude::*;
use recipes::lang::{Collection, Evaluator, Problem};

/// Returns how the evaluation of `text` ended: `None` if it has a value.
fn outcome(text: &str) -> Result<Option<String>, Box<dyn std::error::Error>> {
    let world = World::new(&[("project/pith.star", text)])?;
    let evaluator = Evaluator::new(Collection::directory(&world.collection()), None);
    Ok(evaluator
        .evaluate_project(&world.project())
        .err()
        .map(|error| error.to_string()))
}

#[test]
fn deeply_nested_value_does_not_exhaust_the_stack() -> TestResult {
    // As deep as the bound on steps allows, where a call is a step of its own.
    for (wrap, depth) in [
        ("[x]", 390_000),
        ("(x,)", 390_000),
        ("{\"a\": x}", 390_000),
        ("struct(a = x)", 195_000),
        ("partial(map, x)", 195_000),
    ] {
        let text = format!("x = None\nfor i in range({depth}):\n    x = {wrap}\n");
        assert_eq!(outcome(&text)?, None, "{wrap}");
    }
    Ok(())
}

#[test]
fn operations_on_a_deeply_nested_value_end() -> TestResult {
    for operation in [
        "str(x)",
        "repr(x)",
        "json.encode(x)",
        "x == y",
        "x < y",
        "hash(str(x))",
        "{x: 1}",
        "dir(x)",
    ] {
        let text = format!(
            "x = ()\ny = ()\nfor i in range(190000):\n    x = (x,)\n    y = (y,)\nz = {operation}\n"
        );
        outcome(&text)?;
    }
    Ok(())
}

#[test]
fn value_that_holds_itself_ends() -> TestResult {
    for operation in [
        "str(x)",
        "json.encode(x)",
        "x == x",
        "x == y",
        "sorted(x)",
        "derivation(name = \"a\", builder = x)",
    ] {
        let text = format!("x = []\nx.append(x)\ny = []\ny.append(y)\nz = {operation}\n");
        outcome(&text)?;
    }
    Ok(())
}

#[test]
fn huge_numbers_end() -> TestResult {
    for text in [
        "x = 1 << 1000000000",
        "x = 9 * 9 << 99999",
        "x = int(\"9\" * 100000)",
        "x = 10000000000000000000 // 3",
    ] {
        outcome(&format!("{text}\n"))?;
    }
    Ok(())
}

#[test]
fn endless_recursion_through_sorting_ends() -> TestResult {
    let error = outcome("def f(x):\n    return sorted([1, 2], key = f)\n\nf(1)\n")?;
    assert!(error.is_some_and(|error| error.contains("more than 100 deep")));
    Ok(())
}

/// What recipes are made of.
const TOKENS: &[&str] = &[
    "x",
    "y",
    " = ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\n",
    "\n    ",
    "\"a\"",
    "\"x\"",
    "1",
    "-",
    "999999999",
    "None",
    "True",
    " + ",
    " * ",
    " // ",
    " % ",
    " << ",
    " == ",
    " < ",
    "def f(x):\n    return ",
    "for i in range(3):\n    ",
    "if x:\n    ",
    "else:\n    ",
    "lambda x: ",
    "derivation(",
    "fetch(",
    "source(",
    "debs(",
    "package(",
    "image(",
    "platform()",
    "struct(",
    "json.encode(",
    "json.decode(",
    "load(",
    "str(",
    "repr(",
    "list(",
    "dict(",
    "set(",
    "sorted(",
    "map(",
    "partial(",
    "range(",
    "fail(",
    "print(",
    "name = ",
    "builder = ",
    "urls = ",
    "sha256 = ",
    "outputs = ",
    "env = ",
    ".out",
    ".name",
    ".format(",
    ".join(",
    ".append(",
    "**",
    "*",
    "f\"{x}\"",
    "//lib/a.star",
    ":a.star",
    "\"\\x00\"",
    "#",
    "é",
];

proptest! {
    #[test]
    fn any_tokens_are_a_recipe_or_an_error(tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..40)) {
        let text = tokens.concat();
        let world = World::new(&[("project/pith.star", &text)]).map_err(|error| TestCaseError::fail(error.to_string()))?;
        if let Err(error) = world.evaluator().evaluate_project(&world.project()) {
            prop_assert!(!matches!(error.problem(), Problem::Internal { .. }), "{text}\n{error}");
            prop_assert!(!error.to_string().chars().any(|c| c.is_control() && c != '\n'), "{error}");
        }
    }
}
