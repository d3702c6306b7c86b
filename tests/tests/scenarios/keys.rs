//! Keys: what is written where, and what is never shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use store::trust::{PublicKey, SecretKey};
use tests::{Finished, TestEnv, run};

/// Runs `pith key generate` in the project directory, with no mask for the modes of new files.
fn generate(env: &TestEnv, arguments: &[&str]) -> Finished {
    let without_mask = ["sh", "-c", "umask 000; exec \"$0\" \"$@\""];
    let arguments = [&["key", "generate"], arguments].concat();
    run(&mut env.command_under(&without_mask, &arguments))
}

fn read(env: &TestEnv, name: &str) -> String {
    fs::read_to_string(env.path("project").join(name)).expect("pith has written it")
}

fn list(env: &TestEnv) -> Vec<String> {
    let entries = fs::read_dir(env.path("project")).expect("it is ours");
    let mut names: Vec<_> = entries
        .map(|entry| {
            let name = entry.expect("it is ours").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_generated_key_is_a_pair_whose_secret_only_its_owner_can_read() {
    let env = TestEnv::new();
    let made = generate(&env, &["-o", "ci-1"]).expect_success();
    let secret: SecretKey = read(&env, "ci-1").trim_end().parse().expect("a key");
    let public: PublicKey = read(&env, "ci-1.pub").trim_end().parse().expect("a key");
    assert_eq!(secret.public(), public);
    assert_eq!(public.name().as_str(), "ci-1");
    assert_eq!(made.line(), public.to_string());
    assert_eq!(
        made.stderr,
        "wrote the secret key to `ci-1` and the public key to `ci-1.pub`\n"
    );
    let mode = |name| {
        let metadata = fs::metadata(env.path("project").join(name)).expect("pith has written it");
        metadata.permissions().mode() & 0o7777
    };
    assert_eq!((mode("ci-1"), mode("ci-1.pub")), (0o600, 0o644));
    assert_eq!(list(&env), ["ci-1", "ci-1.pub"]);
    assert!(!env.store().exists(), "a key needs no store");
}

#[test]
fn show_prints_the_public_key_of_either_file_and_never_the_secret() {
    let env = TestEnv::new();
    let made = generate(&env, &["-o", "key", "--name", "example.org-1"]).expect_success();
    assert!(made.stdout.starts_with("example.org-1:"), "{}", made.stdout);
    for file in ["key", "key.pub"] {
        let shown = env.pith(&["key", "show", file]).expect_success();
        assert_eq!(
            (shown.stdout, shown.stderr),
            (made.stdout.clone(), String::new())
        );
        let pem = env.pith(&["key", "show", file, "--pem"]).expect_success();
        assert!(pem.stdout.starts_with("-----BEGIN PUBLIC KEY-----\n"));
        let report = env
            .pith(&["key", "show", file, "--json"])
            .expect_success()
            .json();
        assert_eq!(
            report,
            serde_json::json!({
                "version": 1,
                "name": "example.org-1",
                "public": made.line(),
                "pem": pem.stdout,
            })
        );
    }
}

#[test]
fn two_generated_keys_differ() {
    let env = TestEnv::new();
    let keys = ["a", "b"].map(|file| {
        let made = generate(&env, &["-o", file, "--name", "same"]).expect_success();
        made.stdout
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn no_file_is_ever_replaced() {
    let env = TestEnv::new();
    for existing in ["key", "key.pub"] {
        env.write(&format!("project/{existing}"), "precious");
        let refused = generate(&env, &["-o", "key"]).expect_status(1);
        assert_eq!(refused.stderr, format!("error: `{existing}` exists\n"));
        assert_eq!(refused.stdout, "");
        assert_eq!(read(&env, existing), "precious");
        assert_eq!(list(&env), [existing]);
        fs::remove_file(env.path("project").join(existing)).expect("it is ours");
    }
    // Not even what a link points to.
    std::os::unix::fs::symlink("elsewhere", env.path("project/key")).expect("it is ours");
    generate(&env, &["-o", "key"]).expect_status(1);
    assert_eq!(list(&env), ["key"]);
}

#[test]
fn a_name_that_no_key_can_have_is_refused() {
    let env = TestEnv::new();
    for arguments in [
        &["-o", "my key"][..],
        &["-o", "key", "--name", ""],
        &["-o", "key", "--name", "a:b"],
        &["-o", ".."],
    ] {
        generate(&env, arguments).expect_status(2);
    }
    assert_eq!(list(&env), [""; 0]);
}

#[test]
fn a_damaged_key_is_refused_without_showing_it() {
    let env = TestEnv::new();
    generate(&env, &["-o", "key"]).expect_success();
    let secret = read(&env, "key");
    let digits = &secret[4..24];
    let flipped = if digits.starts_with('A') { "B" } else { "A" };
    for (text, cause) in [
        (
            format!("key:{flipped}{}", &secret[5..]),
            "the secret key `key` is damaged: its halves do not belong together",
        ),
        (
            secret[4..].to_owned(),
            "the text is no public key: `<name>:<base64>` is wanted",
        ),
        (
            secret.replace('=', ""),
            "the public key `key` is not written in base64",
        ),
        (
            format!("{secret}{secret}"),
            "the public key `key` is not written in base64",
        ),
    ] {
        env.write("project/damaged", &text);
        let refused = env.pith(&["key", "show", "damaged"]).expect_status(1);
        assert_eq!(
            refused.stderr,
            format!("error: `damaged` holds no key\n  caused by: {cause}\n")
        );
        assert!(!refused.stderr.contains(&digits[1..]), "{}", refused.stderr);
    }
    let refused = env.pith(&["key", "show", "/dev/zero"]).expect_status(1);
    assert_eq!(
        refused.stderr,
        "error: `/dev/zero` holds no key: it has more than 4096 bytes\n"
    );
}
