//! What the three digests of a derivation depend on, and what they do not.

use std::error::Error;
use std::sync::Arc;

use crate::support::{TestResult, World};
use recipes::model::{Derivation, LocalSource, OutputRef, ResolveError, ResolvedDerivation};
use store::{ObjectId, PlanDigest, StorePath};

const ZLIB: &str = r#"
src = fetch(urls = ["https://example.org/zlib-1.tar.gz"], sha256 = "SHA256")
zlib = derivation(
    name = "zlib",
    version = "1",
    builder = ["/bin/sh", "-c", "build"],
    env = {"SRC": src},
    outputs = ["out", "dev"],
    license = "Zlib",
    timeout = 60,
)
"#;

const APP: &str = r#"
zlib = package("zlib")
app = derivation(name = "app", builder = ["/bin/sh", "-c", "cc -I %s/include" % zlib.dev], env = {"ZLIB": zlib})
"#;

/// Returns package `app` where zlib's recipe is `zlib`.
fn app(zlib: &str) -> Result<Arc<Derivation>, Box<dyn Error>> {
    let world = World::new(&[
        ("collection/zlib/recipe.star", zlib),
        ("collection/app/recipe.star", APP),
    ])?;
    Ok(world
        .evaluator()
        .evaluate_package("app")
        .map_err(|error| world.show(&error))?
        .derivation)
}

fn plan(derivation: &Derivation) -> PlanDigest {
    derivation
        .plan_digest(&|_: &LocalSource| None)
        .expect("no local files")
}

/// Returns what an output is realised as, when its content is named `content`.
fn object(output: &OutputRef, content: &str) -> (StorePath, ObjectId) {
    let id = ObjectId::from_bytes(*blake3::hash(content.as_bytes()).as_bytes());
    (
        StorePath::new(id.path_digest(), output.store_name().clone()),
        id,
    )
}

/// Resolves with every input's content being its output's name.
fn resolve(derivation: &Derivation) -> Result<ResolvedDerivation, ResolveError> {
    derivation.resolve(&|output| Some(object(output, output.output())))
}

#[test]
fn metadata_limits_and_comments_are_in_no_digest() -> TestResult {
    let reference = app(ZLIB)?;
    for (from, to) in [
        ("\"Zlib\"", "\"MIT\""),
        ("timeout = 60", "timeout = 61"),
        (
            "license = \"Zlib\",",
            "description = \"x\", homepage = \"https://x\", maintainers = [\"a\"], deprecated = \"y\", unshipped = {\"a\": \"b\"},",
        ),
        ("zlib = derivation(", "# a comment\n\n\nzlib = derivation("),
    ] {
        let changed = app(&ZLIB.replacen(from, to, 1))?;
        assert_eq!(changed.id(), reference.id(), "{to}");
        assert_eq!(plan(&changed), plan(&reference), "{to}");
    }
    Ok(())
}

#[test]
fn url_changes_the_id_but_neither_plan_nor_resolved_digest() -> TestResult {
    let reference = app(ZLIB)?;
    let changed = app(&ZLIB.replace("https://example.org", "https://mirror.example.net/old"))?;
    assert_ne!(changed.id(), reference.id());
    assert_eq!(plan(&changed), plan(&reference));
    assert_eq!(resolve(&changed)?, resolve(&reference)?);
    Ok(())
}

#[test]
fn everything_a_build_sees_changes_id_and_plan() -> TestResult {
    let reference = app(ZLIB)?;
    for (from, to) in [
        ("\"build\"", "\"build2\""),
        ("\"SRC\"", "\"SOURCE\""),
        ("version = \"1\"", "version = \"2\""),
        ("[\"out\", \"dev\"]", "[\"out\", \"dev\", \"doc\"]"),
        ("[\"out\", \"dev\"]", "[\"dev\", \"out\"]"),
        ("sha256 = \"SHA256\"", "blake3 = \"SHA256\""),
        (
            "sha256 = \"SHA256\"",
            "sha256 = \"SHA256\", executable = True",
        ),
        (
            "sha256 = \"SHA256\"",
            "sha256 = \"SHA256\", name = \"other\"",
        ),
        ("license", "platform = \"aarch64-linux\", license"),
        (
            "license",
            "inputs = [derivation(name = \"y\", builder = [\"z\"])], license",
        ),
        ("license", "forbid = [src], license"),
        ("license", "extra_references = [src], license"),
        ("license", "seed = src, license"),
    ] {
        let changed = app(&ZLIB.replacen(from, to, 1))?;
        assert_ne!(changed.id(), reference.id(), "{to}");
        assert_ne!(plan(&changed), plan(&reference), "{to}");
    }
    Ok(())
}

#[test]
fn resolved_digest_depends_on_what_inputs_became_and_not_on_how() -> TestResult {
    let reference = app(ZLIB)?;
    let other_build = app(&ZLIB.replace("\"build\"", "\"build2\""))?;
    assert_ne!(plan(&other_build), plan(&reference));
    assert_eq!(
        resolve(&other_build)?.digest,
        resolve(&reference)?.digest,
        "early cutoff"
    );
    let other_bits = reference.resolve(&|output| Some(object(output, "other")))?;
    assert_ne!(other_bits.digest, resolve(&reference)?.digest);
    Ok(())
}

#[test]
fn resolved_texts_hold_the_real_paths() -> TestResult {
    let app = app(ZLIB)?;
    let resolved = resolve(&app)?;
    let zlib = app.inputs().first().ok_or("no input")?.derivation().clone();
    let path = |output: &str| -> Result<String, Box<dyn Error>> {
        Ok(object(&OutputRef::new(zlib.clone(), output)?, output)
            .0
            .to_logical())
    };
    assert_eq!(resolved.argv[2], format!("cc -I {}/include", path("dev")?));
    assert_eq!(resolved.env["ZLIB"], path("out")?);
    assert_eq!(resolved.inputs.len(), 2);
    assert!(resolved.inputs.is_sorted());
    Ok(())
}

#[test]
fn inputs_that_became_one_object_are_one_input() -> TestResult {
    let world = World::new(&[(
        "collection/x/recipe.star",
        "a = derivation(name = \"a\", builder = [\"1\"])\nb = derivation(name = \"a\", builder = [\"2\"])\n\
         x = derivation(name = \"x\", builder = [a, b])\n",
    )])?;
    let x = world.evaluator().evaluate_package("x")?.derivation;
    assert_eq!(x.inputs().len(), 2);
    assert_eq!(resolve(&x)?.inputs.len(), 1);
    Ok(())
}

#[test]
fn derivation_with_an_input_that_is_not_realised_is_not_resolved() -> TestResult {
    let app = app(ZLIB)?;
    let error = app.resolve(&|_| None).expect_err("nothing is realised");
    assert!(matches!(error, ResolveError::NotRealised { .. }), "{error}");
    Ok(())
}

#[test]
fn local_files_count_by_content_in_the_plan_and_have_no_resolved_digest() -> TestResult {
    let world = World::new(&[
        (
            "project/pith.star",
            "app = derivation(name = \"app\", builder = [source(\"src\")])\n",
        ),
        ("project/src/main.c", ""),
    ])?;
    let project = world.evaluator().evaluate_project(&world.project())?;
    let app = &project.packages.first().ok_or("no package")?.derivation;
    let source = app.inputs().first().ok_or("no input")?.derivation();
    assert_eq!(app.plan_digest(&|_| None), None);
    let some = ObjectId::from_bytes([1; 32]);
    assert!(app.plan_digest(&|_| Some(some)).is_some());
    assert!(matches!(
        resolve(source),
        Err(ResolveError::LocalSource { .. })
    ));
    Ok(())
}

#[test]
fn placeholders_differ_by_derivation_and_output() -> TestResult {
    let reference = app(ZLIB)?;
    let changed = app(&ZLIB.replace("\"build\"", "\"build2\""))?;
    let placeholders = |derivation: &Derivation| {
        let inputs = derivation.inputs().iter().map(OutputRef::placeholder);
        inputs.collect::<Vec<_>>()
    };
    let (a, b) = (placeholders(&reference), placeholders(&changed));
    assert_eq!(a.len(), 2);
    assert!(a.iter().all(|placeholder| !b.contains(placeholder)));
    assert_ne!(a[0], a[1]);
    Ok(())
}

#[test]
fn chain_of_derivations_is_bounded() -> TestResult {
    let world = World::new(&[(
        "collection/x/recipe.star",
        "x = \"start\"\nfor i in range(2000):\n    x = derivation(name = \"x\", builder = [x])\n",
    )])?;
    let error = world
        .evaluator()
        .evaluate_package("x")
        .expect_err("too deep");
    assert!(
        error
            .to_string()
            .contains("`x` stands on a chain of more than 1024 derivations"),
        "{error}"
    );
    Ok(())
}
