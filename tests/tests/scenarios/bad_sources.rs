//! Sources that are not there or not what the recipe says.

use tests::{FileServer, TestEnv};

/// SHA-256 of `hello\n`.
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
/// SHA-256 of `other\n`.
const OTHER: &str = "5f4e4b8ae7ed5dd9a4a2d2a7ba39c8fb0b8e2ed7ad3c5cd5ad1fbb1cb8d2d9e8";

fn project(env: &TestEnv, urls: &[String], sha256: &str) {
    env.write(
        "project/pith.star",
        &format!("file = fetch(name = \"file\", urls = {urls:?}, sha256 = \"{sha256}\")\n"),
    );
}

#[test]
fn a_wrong_digest_shows_both_the_url_and_the_recipe_line() {
    let env = TestEnv::new();
    let server = FileServer::start(&[("/file", b"hello\n")]);
    project(&env, &[server.url("/file")], OTHER);
    let finished = env.pith(&["build", "file"]).expect_status(102);
    for part in [HELLO, OTHER, &server.url("/file"), "pith.star:1"] {
        assert!(
            finished.stderr.contains(part),
            "`{part}` is not in\n{}",
            finished.stderr
        );
    }
    assert_eq!(finished.stdout, "");
    let objects = env
        .pith(&["store", "info", "--json"])
        .expect_success()
        .json();
    assert_eq!(objects["objects"], 0, "the wrong file was kept");
}

#[test]
fn every_mirror_that_failed_is_named_with_its_reason() {
    let env = TestEnv::new();
    let server = FileServer::start(&[]);
    project(&env, &[server.url("/first"), server.url("/second")], HELLO);
    let error = env.pith(&["build", "file"]).expect_status(1).stderr;
    for part in [&server.url("/first"), &server.url("/second"), "404"] {
        assert!(error.contains(part), "`{part}` is not in\n{error}");
    }
}

#[test]
fn the_next_mirror_is_asked_when_one_fails_or_lies() {
    let env = TestEnv::new();
    let server = FileServer::start(&[("/lie", b"something else\n"), ("/truth", b"hello\n")]);
    project(
        &env,
        &[
            server.url("/none"),
            server.url("/lie"),
            server.url("/truth"),
        ],
        HELLO,
    );
    env.pith(&["build", "file"]).expect_success();
    drop(server);
    env.pith(&["build", "file", "--offline"]).expect_success();
}

#[test]
fn a_mirror_name_comes_from_the_configuration() {
    let env = TestEnv::new();
    let server = FileServer::start(&[("/pool/file", b"hello\n")]);
    project(&env, &["mirror://inhouse/pool/file".into()], HELLO);
    let error = env.pith(&["build", "file"]).expect_status(1).stderr;
    assert!(error.contains("inhouse"), "{error}");
    env.write(
        "project/pith.toml",
        &format!("[mirrors]\ninhouse = [\"{}\"]\n", server.url("")),
    );
    env.pith(&["build", "file"]).expect_success();
}

#[test]
fn offline_names_what_is_missing() {
    let env = TestEnv::new();
    project(&env, &["https://example.invalid/file".into()], HELLO);
    let error = env
        .pith(&["build", "file", "--offline"])
        .expect_status(1)
        .stderr;
    assert!(
        error.contains("`file`") && error.contains("offline"),
        "{error}"
    );
}
