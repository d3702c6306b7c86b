//! What cannot be packed or pushed is one error, and leaves nothing behind. A full disk is in `full_disk`, a budget in `formats`.

use std::fs;

use tests::{
    Finished, TestEnv,
    http_server::{HttpServer, Reply, Then, pass_on},
    other_servers::Registry,
};

/// What a project of packages of one script each says, by name.
fn recipes(packages: &[(&str, &str)]) -> String {
    let recipes = packages.iter().map(|(name, script)| {
        format!(
            "{name} = derivation(name = \"{name}\", version = \"1\", seed = base,\n    \
             builder = [\"/usr/bin/bash\", \"-ec\", \"mkdir -p $out/bin $out/share; {script}\"])\n"
        )
    });
    "load(\"//seed/recipe.star\", \"base\")\n".to_owned() + &recipes.collect::<String>()
}

/// The one line of an error, or with its causes.
#[track_caller]
fn fails(finished: Finished, status: i32, expected: &str) {
    let finished = finished.expect_status(status);
    let message = &finished.stderr;
    assert!(message.starts_with("error: "), "{message}");
    assert!(message.contains(expected), "{expected}: {message}");
    assert_eq!(message.matches("error: ").count(), 1, "{message}");
    assert_eq!(finished.stdout, "");
}

/// How many files there are beside the recipes.
fn left(env: &TestEnv) -> usize {
    let entries = fs::read_dir(env.path("project")).expect("it is ours");
    let names = entries.map(|entry| entry.expect("it is ours").file_name());
    names.filter(|name| name != "pith.star").count()
}

#[test]
fn files_that_cannot_lie_in_an_image_are_refused_before_anything_is_written() {
    let env = TestEnv::with_shared_store();
    let one = "echo 1 >$out/bin/tool; chmod +x $out/bin/tool";
    let two = "echo 2 >$out/bin/tool; chmod +x $out/bin/tool";
    let project = recipes(&[
        ("whiteout", "echo a >$out/share/.wh.gone"),
        ("one", one),
        ("two", two),
    ]);
    env.write(
        "project/pith.star",
        &(project + "image(name = \"both\", packages = [one, two])\n"),
    );
    for format in ["archive", "oci"] {
        let packed = env.pith(&["pack", "whiteout", "-q", "--no-check", "-f", format]);
        fails(packed, 1, "/share/.wh.gone` cannot be in a layer");
        let packed = env.pith(&["pack", "both", "-q", "--no-check", "-f", format]);
        fails(packed, 1, "`/bin/tool` of the image has two owners: `");
    }
    assert_eq!(left(&env), 0);
}

#[test]
fn names_that_are_no_text_are_packed_as_they_are() {
    let env = TestEnv::with_shared_store();
    let script =
        "echo a >$out/share/$(printf 'caf\\\\351'); echo b >$out/share/$(printf '%0255d' 0)";
    env.write("project/pith.star", &recipes(&[("odd", script)]));
    env.pith(&["pack", "odd", "-q", "--no-check", "-o", "odd.tar"])
        .expect_success();
    env.pith(&["image", "verify", "odd.tar", "-q"])
        .expect_success();
    env.pith(&["pack", "odd", "-q", "--no-check", "-f", "dir", "-o", "root"])
        .expect_success();
    let found = env.tool(
        "find",
        &["project/root", "-path", "*/share/*", "-type", "f"],
    );
    let found = found.expect_success().stdout;
    assert!(found.contains(&"0".repeat(255)), "{found}");
    assert!(found.contains("/share/caf\u{fffd}\n"), "{found}");
}

#[test]
fn a_file_that_vanished_from_the_store_is_named() {
    let env = TestEnv::with_seed();
    env.write(
        "project/pith.star",
        &recipes(&[("tool", "echo a >$out/share/a; echo b >$out/share/b")]),
    );
    let built = env.pith(&["build", "tool", "-q"]).expect_success();
    let name = built.line().strip_prefix("/pith/store/");
    let object = env.store().join("store").join(name.expect("a store path"));
    store::testing::make_writable(&object).expect("it is ours");
    fs::remove_file(object.join("share/b")).expect("it was built");
    for format in ["archive", "oci", "tar", "dir", "bundle", "squashfs"] {
        let output = env.path("output").display().to_string();
        let packed = env.pith(&[
            "pack",
            "tool",
            "-q",
            "--no-check",
            "-f",
            format,
            "-o",
            &output,
        ]);
        fails(
            packed,
            4,
            &format!("`{}` is damaged\n", name.unwrap_or_default()),
        );
        assert!(!env.path("output").exists(), "{format}");
    }
}

#[test]
fn a_reference_that_is_none_is_a_usage_error() {
    let env = TestEnv::new();
    for reference in [
        "team/UPPER",
        "x:",
        "a b",
        "host:99999/x",
        "x@sha256:12",
        "a//b",
        "",
    ] {
        env.pith(&["pack", "hello", "--push", reference])
            .expect_status(2);
    }
}

#[test]
fn a_registry_that_refuses_is_one_error_with_its_words() {
    let env = TestEnv::with_shared_store();
    for (status, tries, expected) in [
        (401, 1, "is denied: the registry wants credentials (Basic)"),
        (403, 1, "is denied: "),
        (404, 1, "is not in the registry"),
        (413, 1, "takes nothing that large (413)"),
        (429, 5, "is busy (429)"),
        (500, 5, "answered 500"),
    ] {
        let server = HttpServer::start(move |_| {
            let text = r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
            let reply = Reply::new(status, text).with("Retry-After", "0");
            Some(reply.with("WWW-Authenticate", "Basic realm=\"x\""))
        });
        let reference = format!("{}/app:1", server.address());
        fails(
            env.pith(&["pack", "hello", "-q", "--push", &reference]),
            1,
            expected,
        );
        assert!(server.asked().len() >= tries, "{status}");
    }
    assert_eq!(left(&env), 0);
}

#[test]
fn a_registry_that_hangs_up_or_lies_has_no_image() {
    let env = TestEnv::with_shared_store();
    let registry = Registry::start("").expect("Debian's registry starts");
    let push = |server: &HttpServer| {
        let reference = format!("{}/app:1", server.address());
        env.pith(&["pack", "hello", "-q", "--push", &reference])
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let address = registry.address.clone();
    let said = digest.clone();
    let lying = HttpServer::start(move |asked| {
        let mut reply = pass_on(&address, asked);
        if asked.method == "PUT" {
            reply.headers.clear();
            reply = reply.with("Docker-Content-Digest", said.clone());
        }
        Some(reply)
    });
    fails(push(&lying), 1, &digest);
    let hanging_up = HttpServer::start(|_| Some(Reply::new(200, "").claiming(9, Then::Close)));
    fails(push(&hanging_up), 1, "cannot reach the registry of `");
    assert_eq!(left(&env), 0);
}
