//! Sources that are not there or not what the recipe says.

use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use tests::{FileServer, TestEnv};

/// SHA-256 of nothing that a test serves.
const OTHER: &str = "5f4e4b8ae7ed5dd9a4a2d2a7ba39c8fb0b8e2ed7ad3c5cd5ad1fbb1cb8d2d9e8";

/// Bytes that no earlier run has put into the shared store, and their digest.
fn new_file() -> (Vec<u8>, String) {
    let bytes = format!("a file of {:?}\n", SystemTime::now()).into_bytes();
    let digest = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    (bytes, digest)
}

/// A project whose `app` is a copy of a file that is fetched from `urls`.
fn project(env: &TestEnv, urls: &[String], sha256: &str) {
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             file = fetch(name = \"file\", urls = {urls:?}, sha256 = \"{sha256}\")\n\
             app = derivation(name = \"app\", seed = base, env = {{\"file\": file}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-c\", \"cat $file > $out\"])\n"
        ),
    );
}

#[test]
fn a_wrong_digest_shows_both_the_url_and_the_recipe_line() {
    let env = TestEnv::with_shared_store();
    let (bytes, digest) = new_file();
    let server = FileServer::start(&[("/file", &bytes)]);
    project(&env, &[server.url("/file")], OTHER);
    let finished = env.pith(&["build", "app"]).expect_status(102);
    for part in [digest.as_str(), OTHER, &server.url("/file"), "pith.star:2"] {
        assert!(
            finished.stderr.contains(part),
            "`{part}` is not in\n{}",
            finished.stderr
        );
    }
    assert_eq!(finished.stdout, "");
    // Nor was the wrong file kept under its own digest.
    project(&env, &[server.url("/none")], &digest);
    env.pith(&["build", "app"]).expect_status(1);
}

#[test]
fn every_mirror_that_failed_is_named_with_its_reason() {
    let env = TestEnv::with_shared_store();
    let server = FileServer::start(&[]);
    project(&env, &[server.url("/first"), server.url("/second")], OTHER);
    let error = env.pith(&["build", "app"]).expect_status(1).stderr;
    for part in [&server.url("/first"), &server.url("/second"), "404"] {
        assert!(error.contains(part), "`{part}` is not in\n{error}");
    }
}

#[test]
fn the_next_mirror_is_asked_when_one_fails_or_lies() {
    let env = TestEnv::with_shared_store();
    let (bytes, digest) = new_file();
    let server = FileServer::start(&[("/lie", b"something else\n"), ("/truth", &bytes)]);
    let urls = ["/none", "/lie", "/truth"].map(|path| server.url(path));
    project(&env, &urls, &digest);
    env.pith(&["build", "app"]).expect_success();
    drop(server);
    env.pith(&["build", "app", "--offline"]).expect_success();
}

#[test]
fn a_mirror_name_comes_from_the_configuration() {
    let env = TestEnv::with_shared_store();
    let (bytes, digest) = new_file();
    let server = FileServer::start(&[("/pool/file", &bytes)]);
    project(&env, &["mirror://inhouse/pool/file".into()], &digest);
    let error = env.pith(&["build", "app"]).expect_status(1).stderr;
    let hint = "\nhint: say where the mirror is, in `pith.toml` of the project or in `~/.config/pith/config.toml`: `mirrors.inhouse = [\"https://…\"]`";
    assert!(error.contains(hint), "{error}");
    let settings = format!("[mirrors]\ninhouse = [\"{}\"]\n", server.url(""));
    env.write("project/pith.toml", &settings);
    env.pith(&["build", "app"]).expect_success();
}

#[test]
fn offline_names_what_is_missing() {
    let env = TestEnv::with_shared_store();
    project(&env, &["https://example.invalid/file".into()], OTHER);
    let error = env
        .pith(&["build", "app", "--offline"])
        .expect_status(1)
        .stderr;
    assert!(
        error.contains("`file`") && error.contains("offline"),
        "{error}"
    );
}
