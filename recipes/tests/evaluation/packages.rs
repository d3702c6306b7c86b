//! Files, packages and projects: what is found, what is not, and what a user reads then.

use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use crate::support::{TestResult, World, assert_reads, error_with};
use recipes::lang::{Collection, Evaluator, Event};
use recipes::model::{Builder, Platform, Port, Protocol, Source};
use snapbox::str;

/// A recipe of a package with one output.
fn recipe(name: &str, before: &str) -> String {
    format!("{before}{name} = derivation(name = \"{name}\", builder = [\"/bin/sh\"])\n")
}

#[test]
fn unknown_package_names_the_nearest() -> TestResult {
    let error = error_with(&[
        ("collection/zlib/recipe.star", &recipe("zlib", "")),
        ("collection/x/recipe.star", "y = package(\"zlip\")\n"),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: there is no package `zlip`
  1 | y = package("zlip")
    |     ^^^^^^^^^^^^^^^
hint: did you mean `zlib`?

"#]],
    );
    Ok(())
}

#[test]
fn unknown_package_far_from_any_has_no_hint() -> TestResult {
    let error = error_with(&[("collection/zlib/recipe.star", "")])?;
    assert_reads(
        error,
        str![[r#"
error: there is no package `x`

"#]],
    );
    Ok(())
}

#[test]
fn package_name_that_escapes_is_unknown() -> TestResult {
    for name in ["../x", "a/b", "", ".", "..", "/etc", "x\0"] {
        let world = World::new(&[("collection/zlib/recipe.star", "")])?;
        let error = world.evaluator().evaluate_package(name).expect_err(name);
        assert_eq!(
            error.to_string(),
            format!("there is no package `{}`", name.escape_debug())
        );
    }
    Ok(())
}

#[test]
fn recipe_without_the_package_lists_what_it_defines() -> TestResult {
    let error = error_with(&[("collection/x/recipe.star", &recipe("other", ""))])?;
    assert_reads(
        error,
        str![[r#"
error: `//x/recipe.star` defines no package named `x`
hint: it defines `other`

"#]],
    );
    Ok(())
}

#[test]
fn two_packages_of_one_name_are_ambiguous() -> TestResult {
    let error = error_with(&[(
        "collection/x/recipe.star",
        "a = derivation(name = \"x\", builder = [\"1\"])\nb = derivation(name = \"x\", builder = [\"2\"])\n",
    )])?;
    assert_reads(
        error,
        str![[r#"
error: `//x/recipe.star` defines two different packages named `x`
hint: give one of them another name, or keep it private with a leading `_`

"#]],
    );
    Ok(())
}

#[test]
fn load_of_an_unknown_file_names_the_nearest() -> TestResult {
    let error = error_with(&[
        ("collection/lib/autotools.star", ""),
        (
            "collection/x/recipe.star",
            "load(\"//lib/autotool.star\", \"autotools\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:6: there is no file `//lib/autotool.star`
  1 | load("//lib/autotool.star", "autotools")
    |      ^^^^^^^^^^^^^^^^^^^^^
hint: did you mean `//lib/autotools.star`?

"#]],
    );
    Ok(())
}

#[test]
fn load_of_an_unknown_name_names_the_nearest() -> TestResult {
    let error = error_with(&[
        ("collection/lib/a.star", "autotools = 1\n"),
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"autotool\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:22: the file defines nothing named `autotool`
  1 | load("//lib/a.star", "autotool")
    |                      ^^^^^^^^^^
hint: did you mean `autotools`?

"#]],
    );
    Ok(())
}

#[test]
fn load_of_a_private_name_is_refused() -> TestResult {
    let error = error_with(&[
        ("collection/lib/a.star", "_a = 1\n"),
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"_a\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:22: `_a` is private to its file, as every name with a leading `_`
  1 | load("//lib/a.star", "_a")
    |                      ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn load_does_not_hand_on_what_was_loaded() -> TestResult {
    let error = error_with(&[
        ("collection/lib/a.star", "a = 1\n"),
        ("collection/lib/b.star", "load(\"//lib/a.star\", \"a\")\n"),
        (
            "collection/x/recipe.star",
            "load(\"//lib/b.star\", \"a\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:22: the file loads `a` from another one and does not hand it on
  1 | load("//lib/b.star", "a")
    |                      ^^^

"#]],
    );
    Ok(())
}

#[test]
fn load_cycle_is_shown_as_a_chain() -> TestResult {
    let error = error_with(&[
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"a\")\n",
        ),
        ("collection/lib/a.star", "load(\":b.star\", \"b\")\na = b\n"),
        (
            "collection/lib/b.star",
            "load(\"//lib/a.star\", \"a\")\nb = a\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //lib/b.star:1:6: //lib/a.star needs itself: //lib/a.star → //lib/b.star → //lib/a.star
  1 | load("//lib/a.star", "a")
    |      ^^^^^^^^^^^^^^
  called from //lib/a.star:1:6
  called from //x/recipe.star:1:6

"#]],
    );
    Ok(())
}

#[test]
fn package_cycle_is_shown_as_a_chain() -> TestResult {
    let error = error_with(&[
        ("collection/x/recipe.star", "a = package(\"a\")\n"),
        ("collection/a/recipe.star", "b = package(\"b\")\n"),
        ("collection/b/recipe.star", "x = package(\"x\")\n"),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //b/recipe.star:1:5: //x/recipe.star needs itself: //x/recipe.star → //a/recipe.star → //b/recipe.star → //x/recipe.star
  1 | x = package("x")
    |     ^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn chain_of_files_is_bounded() -> TestResult {
    let world = World::new(&[])?;
    let name = |n: usize| {
        if n == 0 {
            "x".to_owned()
        } else {
            format!("x{n}")
        }
    };
    for n in 0..40 {
        let text = format!("y = package(\"{}\")\n", name(n + 1));
        world.write(&format!("collection/{}/recipe.star", name(n)), &text)?;
    }
    world.write("collection/x40/recipe.star", &recipe("x40", ""))?;
    let error = world
        .evaluator()
        .evaluate_package("x")
        .expect_err("too deep");
    assert!(
        error
            .to_string()
            .contains("more than 20 files need each other in a chain"),
        "{error}"
    );
    Ok(())
}

#[test]
fn error_in_a_loaded_file_says_who_loaded_it() -> TestResult {
    let error = error_with(&[
        ("collection/lib/a.star", "a = 1 + None\n"),
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"a\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //lib/a.star:1:5: operation `+` not supported for types `int` and `NoneType`
  1 | a = 1 + None
    |     ^^^^^^^^
  called from //x/recipe.star:1:6

"#]],
    );
    Ok(())
}

#[test]
fn error_in_another_package_says_who_needs_it() -> TestResult {
    let error = error_with(&[
        ("collection/y/recipe.star", "y = derivation(name = \"y\")\n"),
        ("collection/x/recipe.star", "x = package(\"y\")\n"),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //y/recipe.star:1:5: `derivation` needs the field `builder`
  1 | y = derivation(name = "y")
    |     ^^^^^^^^^^^^^^^^^^^^^^
  called from //x/recipe.star:1:5

"#]],
    );
    Ok(())
}

/// A shared function that hands on what it is given.
const LIB: (&str, &str) = (
    "collection/lib/make.star",
    "def make(name, version, make_flags = [], **rest):\n    return derivation(name = name, version = version, builder = [\"/bin/sh\"], **rest)\n",
);

#[test]
fn unknown_field_handed_on_points_at_the_recipe_that_wrote_it() -> TestResult {
    let error = error_with(&[
        LIB,
        (
            "collection/x/recipe.star",
            "load(\"//lib/make.star\", \"make\")\n\nx = make(\n    name = \"x\",\n    version = \"1\",\n    licence = \"MIT\",\n)\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:6:5: `make` has no field `licence`
  6 |     licence = "MIT",
    |     ^^^^^^^
hint: did you mean `license`?

"#]],
    );
    Ok(())
}

#[test]
fn unknown_field_handed_on_may_mean_one_of_the_shared_function() -> TestResult {
    let error = error_with(&[
        LIB,
        (
            "collection/x/recipe.star",
            "load(\"//lib/make.star\", \"make\")\n\nx = make(name = \"x\", version = \"1\", make_flag = [])\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:37: `make` has no field `make_flag`
  3 | x = make(name = "x", version = "1", make_flag = [])
    |                                     ^^^^^^^^^
hint: did you mean `make_flags`?

"#]],
    );
    Ok(())
}

#[test]
fn unknown_field_of_a_shared_function_has_a_hint() -> TestResult {
    let error = error_with(&[
        (
            "collection/lib/make.star",
            "def make(name, version, flags = []):\n    pass\n",
        ),
        (
            "collection/x/recipe.star",
            "load(\"//lib/make.star\", \"make\")\n\nx = make(\n    name = \"x\",\n    version = \"1\",\n    flag = [],\n)\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:6:5: `make` has no field `flag`
  6 |     flag = [],
    |     ^^^^
hint: did you mean `flags`?

"#]],
    );
    Ok(())
}

#[test]
fn missing_field_of_a_shared_function() -> TestResult {
    let error = error_with(&[
        LIB,
        (
            "collection/x/recipe.star",
            "load(\"//lib/make.star\", \"make\")\n\nx = make(name = \"x\")\n",
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:5: `make` needs the field `version`
  3 | x = make(name = "x")
    |     ^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn label_that_escapes_is_refused() -> TestResult {
    for label in [
        "//../x.star",
        ":../x.star",
        "//a/../b.star",
        "//a//b.star",
        "///etc/x.star",
        ":/etc/x.star",
        "//./a.star",
    ] {
        let recipe = format!("load(\"{label}\", \"a\")\n");
        let error = error_with(&[("collection/x/recipe.star", &recipe)])?;
        let expected = format!(
            "`{label}` leads out of its directory: no part of a label may be empty, `.` or `..`"
        );
        assert!(error.contains(&expected), "{error}");
    }
    Ok(())
}

#[test]
fn label_of_another_form_is_explained() -> TestResult {
    let error = error_with(&[("collection/x/recipe.star", "load(\"lib/a.star\", \"a\")\n")])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:6: `lib/a.star` is no label; write `//dir/file.star` for the collection or `:file.star` beside this file
  1 | load("lib/a.star", "a")
    |      ^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn symbolic_link_out_of_the_collection_is_refused() -> TestResult {
    let world = World::new(&[
        ("outside.star", "a = 1\n"),
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"a\")\n",
        ),
        ("collection/lib/b.star", ""),
    ])?;
    symlink("../../outside.star", world.collection().join("lib/a.star"))?;
    let error = world
        .evaluator()
        .evaluate_package("x")
        .expect_err("a way out");
    assert_reads(
        world.show(&error),
        str![[r#"
error: //x/recipe.star:1:6: `/collection/lib/a.star` is a symbolic link out of `/collection`
  1 | load("//lib/a.star", "a")
    |      ^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn source_that_escapes_is_refused() -> TestResult {
    for path in ["../y/recipe.star", "/etc/passwd", "a/../../b", "a//b"] {
        let recipe = format!("s = source(\"{path}\")\n");
        let error = error_with(&[("collection/x/recipe.star", &recipe)])?;
        assert!(
            error.contains("which leads out of the directory of `//x/recipe.star`"),
            "{path}: {error}"
        );
    }
    Ok(())
}

#[test]
fn absent_source_is_named() -> TestResult {
    let error = error_with(&[("collection/x/recipe.star", "s = source(\"fix.patch\")\n")])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: `path` of `source` is `fix.patch`, but nothing of that name lies beside `//x/recipe.star`
  1 | s = source("fix.patch")
    |     ^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn huge_recipe_is_refused() -> TestResult {
    let text = "# comment\n".repeat(200_000);
    let error = error_with(&[("collection/x/recipe.star", &text)])?;
    assert_reads(
        error,
        str![[r#"
error: `x/recipe.star` has 2000000 bytes; it may have 1048576

"#]],
    );
    Ok(())
}

#[test]
fn recipe_that_is_no_text_is_refused() -> TestResult {
    let world = World::new(&[("collection/x/recipe.star", "")])?;
    std::fs::write(world.collection().join("x/recipe.star"), [0xff, 0xfe])?;
    let error = world
        .evaluator()
        .evaluate_package("x")
        .expect_err("no text");
    assert_reads(
        world.show(&error),
        str![[r#"
error: `x/recipe.star` is not UTF-8

"#]],
    );
    Ok(())
}

#[test]
fn file_is_evaluated_once_and_only_when_needed() -> TestResult {
    let world = World::new(&[
        ("collection/lib/a.star", "print(\"lib\")\na = 1\n"),
        (
            "collection/x/recipe.star",
            &recipe(
                "x",
                "load(\"//lib/a.star\", \"a\")\nprint(\"x\", a)\ny = package(\"y\")\n",
            ),
        ),
        (
            "collection/y/recipe.star",
            &recipe("y", "load(\"//lib/a.star\", \"a\")\nprint(\"y\")\n"),
        ),
        ("collection/z/recipe.star", "fail(\"nobody needs this\")\n"),
    ])?;
    let printed = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&printed);
    let evaluator = world.evaluator().with_events(move |event| {
        let Event::Printed { file, text } = event;
        sink.lock()
            .expect("not poisoned")
            .push(format!("{file}: {text}"));
    });
    let first = evaluator.evaluate_package("x")?;
    let second = evaluator.evaluate_package("x")?;
    assert!(Arc::ptr_eq(&first.derivation, &second.derivation));
    evaluator.evaluate_package("y")?;
    let expected = [
        "//lib/a.star: lib",
        "//x/recipe.star: x 1",
        "//y/recipe.star: y",
    ];
    assert_eq!(*printed.lock().expect("not poisoned"), expected);
    Ok(())
}

#[test]
fn values_show_themselves() -> TestResult {
    let world = World::new(&[(
        "collection/x/recipe.star",
        r#"
x = derivation(name = "x", version = "1", builder = ["/bin/sh"], outputs = ["out", "dev"], license = "MIT")
checks = [
    str(x) == x.out,
    "{}/bin".format(x) == x.out + "/bin",
    "%s" % x == x.out,
    x.dev.endswith("-x-1-dev"),
    x.out.endswith("-x-1"),
    repr(x) == x.out,
    x.name == "x",
    x.version == "1",
    x.license == "MIT",
    x.homepage == None,
    x.outputs == ["out", "dev"],
    dir(x) == ["description", "dev", "extend", "homepage", "license", "name", "out", "outputs", "override", "rewrite", "version"],
    hasattr(x, "dev") and not hasattr(x, "lib"),
    type(x) == "package",
    {x: 1}[x] == 1,
    platform().system == "x86_64-linux",
    platform().arch == "amd64",
    struct(a = 1).a == 1,
    json.decode(json.encode({"a": [1]})) == {"a": [1]},
    3 * 4 == 12,
    "ab" * 2 == "abab",
    2 * [1] == [1, 1],
    list(range(3)) == [0, 1, 2] and list(range(1, 7, 2)) == [1, 3, 5] and list(range(3, 0, -1)) == [3, 2, 1],
]
bad = [n for n, ok in enumerate(checks) if not ok]
if bad:
    fail("wrong:", bad)
"#,
    )])?;
    let package = world
        .evaluator()
        .evaluate_package("x")
        .map_err(|error| world.show(&error))?;
    assert_eq!(
        package.derivation.origin().to_string(),
        "//x/recipe.star:2:5"
    );
    Ok(())
}

#[test]
fn inputs_are_what_texts_name() -> TestResult {
    let world = World::new(&[(
        "collection/x/recipe.star",
        r#"
a = derivation(name = "a", builder = ["/bin/sh"], outputs = ["out", "dev"])
b = derivation(name = "b", builder = ["/bin/sh"])
src = fetch(urls = ["https://example.org/b-1.tar.gz"], sha256 = "SHA256")
x = derivation(
    name = "x",
    builder = [b, "-c", "cat %s" % src],
    env = {"CFLAGS": ["-I", a.dev], "JOBS": 4, "NONE": None},
    inputs = [a.out, b],
)
"#,
    )])?;
    let package = world.evaluator().evaluate_package("x")?;
    let mut inputs: Vec<String> = package
        .derivation
        .inputs()
        .iter()
        .map(|input| format!("{input:?}"))
        .collect();
    inputs.sort();
    assert_eq!(inputs, ["a^dev", "a^out", "b-1.tar.gz^out", "b^out"]);
    let Builder::Program(program) = package.derivation.builder() else {
        return Err("not a program".into());
    };
    let names: Vec<&str> = program.env.keys().map(String::as_str).collect();
    assert_eq!(names, ["CFLAGS", "JOBS"]);
    assert!(
        program.env["CFLAGS"]
            .to_string()
            .starts_with("-I /pith/store/")
    );
    let sources: Vec<String> = package
        .derivation
        .sources()
        .into_iter()
        .map(|source| format!("{source:?}"))
        .collect();
    assert_eq!(sources, ["b-1.tar.gz^out"]);
    Ok(())
}

#[test]
fn source_of_the_collection_is_embedded() -> TestResult {
    let world = World::new(&[
        (
            "collection/x/recipe.star",
            "load(\"//lib/a.star\", \"script\")\none = source(\"fix.patch\")\nmany = source(\"patches\")\n\
             x = derivation(name = \"x\", builder = [script(), one, many])\n",
        ),
        ("collection/x/fix.patch", "-a\n"),
        ("collection/x/patches/1.patch", "1"),
        ("collection/x/patches/sub/2.patch", "2"),
        (
            "collection/lib/a.star",
            "def script():\n    return source(\"a.sh\")\n",
        ),
        ("collection/lib/a.sh", "#!/bin/sh\n"),
    ])?;
    let package = world
        .evaluator()
        .evaluate_package("x")
        .map_err(|error| world.show(&error))?;
    let mut found = Vec::new();
    for input in package.derivation.inputs() {
        let Builder::Source(Source::Embedded(source)) = input.derivation().builder() else {
            continue;
        };
        let paths: Vec<&str> = source
            .files()
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        found.push(format!("{} {paths:?}", input.store_name()));
    }
    found.sort();
    assert_eq!(
        found,
        [
            "a.sh [\"\"]",
            "fix.patch [\"\"]",
            "patches [\"1.patch\", \"sub/2.patch\"]"
        ]
    );
    Ok(())
}

/// A project that uses the collection, replaces one of its packages, and declares an image.
fn project() -> Result<World, Box<dyn std::error::Error>> {
    World::new(&[
        ("collection/x/recipe.star", &recipe("x", "")),
        ("collection/zlib/recipe.star", &recipe("zlib", "")),
        (
            "collection/y/recipe.star",
            "y = derivation(name = \"y\", builder = [package(\"zlib\")])\n",
        ),
        (
            "project/pith.star",
            r#"
load(":parts/more.star", "more")

zlib = derivation(name = "zlib", version = "mine", builder = ["/bin/sh"])
app = derivation(name = "app", builder = [package("zlib"), package("x"), source("src", exclude = ["target"])])
_hidden = derivation(name = "hidden", builder = ["/bin/sh"])
image(
    name = "app",
    packages = [app, more],
    entrypoint = [app.out + "/bin/app"],
    env = {"ZLIB": zlib},
    workdir = app.out + "/share",
    ports = [8080, "53/udp"],
    user = 1000,
    files = {"/etc/app.conf": "a = 1\n"},
    volumes = ["/data"],
    stop_signal = "SIGINT",
    base = "registry.example/debian:13",
    annotations = {"org.example.team": "web"},
    executables = {"/start": app.out},
    health_check = {"command": [app.out + "/bin/app", "--ping"], "interval": 10, "retries": 2},
    layers = {"second": ["zlib*", "libfoo"], "base": ("glibc",)},
)
"#,
        ),
        (
            "project/parts/more.star",
            "more = derivation(name = \"more\", builder = [\"/bin/sh\"])\n",
        ),
        ("project/src/main.c", ""),
    ])
}

#[test]
fn project_comes_before_the_collection() -> TestResult {
    let world = project()?;
    let evaluator = Evaluator::new(
        Collection::directory(&world.collection()),
        Some(&world.project()),
    );
    let app = evaluator
        .evaluate_package("app")
        .map_err(|error| world.show(&error))?;
    let mut inputs: Vec<String> = app
        .derivation
        .inputs()
        .iter()
        .map(|input| format!("{input:?}"))
        .collect();
    inputs.sort();
    assert_eq!(inputs, ["src^out", "x^out", "zlib-mine^out"]);
    assert_eq!(app.images.len(), 1);
    assert_eq!(
        evaluator
            .evaluate_package("zlib")?
            .derivation
            .name()
            .as_str(),
        "zlib-mine"
    );
    assert_eq!(evaluator.evaluate_package("x")?.label, "//x/recipe.star");
    let y = evaluator.evaluate_package("y")?;
    assert_eq!(
        format!("{:?}", y.derivation.inputs()),
        "[zlib^out]",
        "recipes of the collection keep their own"
    );
    let project = evaluator.evaluate_project(&world.project())?;
    let names: Vec<&str> = project
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(names, ["app", "zlib"]);
    let image = project.images.first().ok_or("no image")?;
    let ports = [
        Port {
            number: 8080,
            protocol: Protocol::Tcp,
        },
        Port {
            number: 53,
            protocol: Protocol::Udp,
        },
    ];
    assert_eq!(image.ports, ports);
    assert_eq!(image.user.as_deref(), Some("1000"));
    assert_eq!(
        image.workdir.as_ref().map(|text| text.pieces().len()),
        Some(2)
    );
    assert_eq!(image.links, None);
    assert_eq!(image.base.as_deref(), Some("registry.example/debian:13"));
    assert_eq!(image.annotations["org.example.team"], "web");
    assert!(image.executables.contains_key("/start"));
    let check = image.health_check.as_ref().ok_or("no health check")?;
    assert_eq!(check.command.len(), 2);
    assert_eq!((check.interval, check.retries), (Some(10), Some(2)));
    assert_eq!((check.timeout, check.start_period), (None, None));
    let layers = [("second", vec!["zlib*", "libfoo"]), ("base", vec!["glibc"])];
    let found = image.layers.iter();
    let found = found.map(|(name, patterns)| (name.as_str(), patterns.clone()));
    assert!(found.eq(layers.map(|(name, patterns)| {
        let patterns = patterns.into_iter().map(str::to_owned);
        (name, patterns.collect::<Vec<_>>())
    })));
    Ok(())
}

#[test]
fn image_with_layers_of_nothing_is_refused() -> TestResult {
    for (layers, expected) in [
        (
            "{\"base\": []}",
            "`layers` of `image` has `base` without a name",
        ),
        (
            "{\"base\": [\"\"]}",
            "`layers` of `image` has `base` without a name",
        ),
        ("[\"glibc\"]", "`layers` of `image` must be a dict"),
    ] {
        let recipe = format!("image(name = \"app\", packages = [], layers = {layers})\n");
        let error = error_with(&[("collection/x/recipe.star", &recipe)])?;
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}

#[test]
fn image_with_bad_values_is_refused() -> TestResult {
    for (field, expected) in [
        (
            "name = \"App\"",
            "`name` of `image` is `App`, which cannot name an image",
        ),
        (
            "ports = [0]",
            "`ports` of `image` has `0`, which is no port",
        ),
        (
            "ports = [70000]",
            "`ports` of `image` has `70000`, which is no port",
        ),
        (
            "ports = [\"1/sctp\"]",
            "`ports` of `image` has `1/sctp`, which is no port",
        ),
        ("user = \"a b\"", "`user` of `image` is `a b`"),
        ("user = -1", "`user` of `image` is -1"),
        (
            "workdir = \"data\"",
            "`workdir` of `image` has `data`, which is no plain absolute path",
        ),
        (
            "volumes = [\"/a/../b\"]",
            "`volumes` of `image` has `/a/../b`",
        ),
        (
            "files = {\"etc/x\": \"\"}",
            "`files` of `image` has `etc/x`",
        ),
        (
            "files = {\"/\": \"\"}",
            "`files` of `image` has `/`, which is the root itself",
        ),
        (
            "links = {\"/bin/../x\": \"y\"}",
            "`links` of `image` has `/bin/../x`",
        ),
        ("base = \"a b\"", "`base` of `image` is `a b`"),
        (
            "stop_signal = \"TERM\"",
            "`stop_signal` of `image` is `TERM`",
        ),
        (
            "health_check = []",
            "`health_check` of `image` has no command",
        ),
        (
            "health_check = {\"retries\": 1}",
            "`health_check` of `image` has no command",
        ),
        (
            "health_check = {\"command\": [\"a\"], \"retries\": 0}",
            "`health_check` of `image`",
        ),
        (
            "health_check = {\"every\": 1}",
            "`health_check` of `image` has `every`; it knows command",
        ),
        (
            "executables = {\"start\": \"\"}",
            "`executables` of `image` has `start`",
        ),
        ("entrypont = []", "`image` has no field `entrypont`"),
    ] {
        let name = if field.starts_with("name") {
            ""
        } else {
            "name = \"app\", "
        };
        let recipe = format!("image({name}packages = [], {field})\n");
        let error = error_with(&[("collection/x/recipe.star", &recipe)])?;
        assert!(error.contains(expected), "{error}");
    }
    Ok(())
}

#[test]
fn collection_in_the_program_evaluates() -> TestResult {
    for (name, package) in Evaluator::new(Collection::embedded(), None).evaluate_collection()? {
        let package = package.map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(package.name, name);
    }
    Ok(())
}

#[test]
fn a_tool_is_made_for_the_machine_that_builds_and_a_library_for_the_target() -> TestResult {
    let Some(builder) = Platform::native() else {
        return Ok(());
    };
    let target = Platform::ALL
        .into_iter()
        .find(|platform| *platform != builder)
        .ok_or("there is one platform only")?;
    let world = World::new(&[
        (
            "collection/lib/made.star",
            "system = platform().system\ndef made(name, **env):\n    return derivation(name = name, version = \"1\", builder = [\"/bin/sh\"], platform = platform().builder, env = env | {\"system\": system})\n",
        ),
        (
            "collection/tool/recipe.star",
            "load(\"//lib/made.star\", \"made\")\ntool = made(\"tool\", itself = package(\"lib\"))\n",
        ),
        (
            "collection/lib/recipe.star",
            "load(\"//lib/made.star\", \"made\")\nlib = made(\"lib\")\n",
        ),
        (
            "collection/app/recipe.star",
            "load(\"//lib/made.star\", \"made\")\napp = made(\"app\", tool = native(package(\"tool\")), lib = package(\"lib\"))\n",
        ),
    ])?;
    let evaluator = |platform| {
        Evaluator::new(Collection::directory(&world.collection()), None).with_platform(platform)
    };
    let package = |evaluator: &Evaluator, name: &str| {
        let package = evaluator.evaluate_package(name);
        package
            .map(|package| package.derivation.id())
            .map_err(|error| world.show(&error))
    };
    let (own, cross) = (evaluator(builder), evaluator(target));
    let app = cross
        .evaluate_package("app")
        .map_err(|error| world.show(&error))?;
    let inputs: Vec<_> = (app.derivation.dependencies())
        .map(|input| input.derivation().id())
        .collect();
    assert!(inputs.contains(&package(&own, "tool")?));
    assert!(inputs.contains(&package(&cross, "lib")?));
    assert_ne!(package(&own, "lib")?, package(&cross, "lib")?);
    // For the machine itself, nothing depends on which way it was asked for.
    let app = own
        .evaluate_package("app")
        .map_err(|error| world.show(&error))?;
    let inputs: Vec<_> = (app.derivation.dependencies())
        .map(|input| input.derivation().id())
        .collect();
    assert!(inputs.contains(&package(&own, "tool")?) && inputs.contains(&package(&own, "lib")?));
    Ok(())
}
