//! What a recipe may read of its project, and what a user reads when that cannot be used: exact texts.

use std::os::unix::fs::symlink;

use crate::support::{TestResult, World, assert_reads};
use snapbox::str;

/// Returns what a user reads when this `pith.star`, beside these files, cannot be evaluated.
fn error_of(text: &str, files: &[(&str, &str)]) -> Result<String, Box<dyn std::error::Error>> {
    let world = World::new(files)?;
    world.write("project/pith.star", text)?;
    match world.evaluator().evaluate_project(&world.project()) {
        Ok(_) => Err("there is no error".into()),
        Err(error) => Ok(world.show(&error)),
    }
}

/// Evaluates this `pith.star`, which compares by itself and fails if something is different.
fn evaluate(text: &str, files: &[(&str, &str)]) -> TestResult {
    let world = World::new(files)?;
    world.write("project/pith.star", text)?;
    match world.evaluator().evaluate_project(&world.project()) {
        Ok(_) => Ok(()),
        Err(error) => Err(world.show(&error).into()),
    }
}

#[test]
fn files_of_a_source_are_read_and_decoded() -> TestResult {
    evaluate(
        r#"
src = source("app")
[fail("text") for t in [read(src, "sub/a.txt")] if t != "text\n"]
[fail("absent") for t in [read(src, "b.txt", optional = True)] if t != None]
package = toml.decode(read(src, "Cargo.toml"))["package"]
[fail(v) for v in [package["version"]] if v != "1.0"]
[fail("json") for v in [json.decode(read(src, "a.json"), name = "a.json")["a"]] if v != [1]]
"#,
        &[
            ("project/app/sub/a.txt", "text\n"),
            (
                "project/app/Cargo.toml",
                "[package]\nversion = \"1.0\"\nday = 2020-01-01\nx = 1.5\n",
            ),
            ("project/app/a.json", "{\"a\": [1]}"),
        ],
    )
}

#[test]
fn crates_of_a_lock_file_have_digests_and_lines() -> TestResult {
    evaluate(
        r#"
found = [(c.name, c.version, c.sha256, c.line) for c in lock.cargo(source("."), "Cargo.lock")]
[fail(found) for f in [found] if f != [("app", "0.1.0", None, 3), ("a", "1.0.0", "SHA256", 6)]]
"#,
        &[(
            "project/Cargo.lock",
            "version = 4\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
             source = \"registry+https://example.org/rust-lang/crates.io-index\"\nchecksum = \"SHA256\"\n",
        )],
    )
}

#[test]
fn a_crate_without_checksum_is_named_with_its_line() -> TestResult {
    let error = error_of(
        "crates = lock.cargo(source(\".\"), \"Cargo.lock\")\n",
        &[(
            "project/Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://example.org/rust-lang/crates.io-index\"\n",
        )],
    )?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:10: /project/Cargo.lock:4: `a 1.0.0` has no checksum, so nothing would tell whether the right bytes come
  1 | crates = lock.cargo(source("."), "Cargo.lock")
    |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: let the package manager write the lock file anew; it adds what is missing

"#]],
    );
    Ok(())
}

#[test]
fn a_path_that_leads_out_of_the_source_is_refused() -> TestResult {
    let error = error_of("text = read(source(\".\"), \"../secret\")\n", &[])?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:8: `path` of `read` is `../secret`, which is no plain path below the source
  1 | text = read(source("."), "../secret")
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn a_symlink_out_of_the_project_is_not_followed() -> TestResult {
    let world = World::new(&[
        ("secret", "x"),
        (
            "project/pith.star",
            "text = read(source(\".\"), \"link\")\n",
        ),
    ])?;
    symlink(
        world.project().with_file_name("secret"),
        world.project().join("link"),
    )?;
    let Err(error) = world.evaluator().evaluate_project(&world.project()) else {
        return Err("it was read".into());
    };
    assert_reads(
        world.show(&error),
        str![[r#"
error: /project/pith.star:1:8: `/project/link` is a symbolic link out of `/project`
  1 | text = read(source("."), "link")
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_named() -> TestResult {
    let error = error_of("text = read(source(\".\"), \"Cargo.lock\")\n", &[])?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:8: `path` of `read` is `/project/Cargo.lock`, but there is no such file
  1 | text = read(source("."), "Cargo.lock")
    |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn only_sources_are_read() -> TestResult {
    let error = error_of("text = read(\".\", \"Cargo.lock\")\n", &[])?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:8: `src` of `read` must be what `source(…)` returns, not a string
  1 | text = read(".", "Cargo.lock")
    |        ^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn what_is_no_toml_is_shown_with_file_and_line() -> TestResult {
    let error = error_of(
        "value = toml.decode(\"a = 1\\nb =\\n\", name = \"Cargo.toml\")\n",
        &[],
    )?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:9: Cargo.toml:2: this is no TOML: string values must be quoted, expected literal string
  1 | value = toml.decode("a = 1\nb =\n", name = "Cargo.toml")
    |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn an_integrity_by_sha1_alone_is_refused() -> TestResult {
    let error = error_of(
        "a = fetch([\"https://example.org/a\"], integrity = \"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=\")\n",
        &[],
    )?;
    assert_reads(
        error,
        str![[r#"
error: /project/pith.star:1:38: `integrity` is `sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=`: by SHA-1 alone, a file cannot be told from one that was made to look like it
  1 | a = fetch(["https://example.org/a"], integrity = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
    |                                      ^^^^^^^^^

"#]],
    );
    Ok(())
}
