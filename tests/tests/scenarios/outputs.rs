//! Where images go and what they are called: standard output, names with slashes, files with several tags, numbers and patterns that make no sense.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use tests::{Finished, TestEnv, run};

/// Runs `pith pack` with standard output in a file of the scenario.
fn pack_into(env: &TestEnv, file: &str, arguments: &[&str]) -> Finished {
    let out = File::create(env.path(file)).expect("the place is ours");
    let mut command = env.command(&[&["pack", "-o", "-"], arguments].concat());
    let child = command.stdout(out).stderr(Stdio::piped()).spawn();
    let output = child.expect("pith starts").wait_with_output();
    let output = output.expect("it ends");
    Finished {
        status: output.status.code().expect("it ended by itself"),
        stdout: String::new(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn standard_output_gets_the_bytes_of_the_file() {
    let env = TestEnv::with_shared_store();
    for (format, file) in [
        ("archive", "hello.tar"),
        ("tar", "hello.tar"),
        ("initramfs", "hello.cpio"),
    ] {
        env.pith(&["pack", "hello", "-q", "-f", format, "-o", file])
            .expect_success();
        pack_into(&env, "streamed", &["hello", "-f", format]).expect_success();
        let read = |name: &str| fs::read(env.path(name)).expect("it was written");
        assert!(
            read("streamed") == read(&format!("project/{file}")),
            "{format}"
        );
    }
    assert!(!env.path("project/-").exists());
}

#[test]
fn what_standard_output_cannot_take_is_refused_before_anything_is_built() {
    let env = TestEnv::new();
    for (arguments, reason) in [
        (
            &["-f", "oci"][..],
            "`oci` cannot be handed on as it is made",
        ),
        (
            &["-f", "squashfs"],
            "`squashfs` cannot be handed on as it is made",
        ),
        (&["-f", "run"], "`run` cannot be handed on as it is made"),
        (
            &["--json"],
            "standard output gets the image, and what `--json` prints too",
        ),
        (
            &["--explain"],
            "standard output gets the image, and what `--explain` prints too",
        ),
    ] {
        let refused = pack_into(&env, "streamed", &[&["hello"], arguments].concat());
        let said = refused.expect_status(2).stderr;
        assert!(said.contains(reason), "{said}");
        let written = fs::metadata(env.path("streamed")).expect("it is there");
        assert_eq!(written.len(), 0, "{arguments:?}");
    }
    let pack = env.command(&["pack", "hello", "-o", "-"]);
    let words: Vec<String> = [pack.get_program()]
        .into_iter()
        .chain(pack.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut terminal = env.program(Path::new("script"));
    terminal.args(["-qec", &words.join(" "), "/dev/null"]);
    let said = run(&mut terminal).expect_status(2).stdout;
    assert!(said.contains("standard output is a terminal"), "{said}");
    assert!(!env.store().exists());
}

#[test]
fn a_number_of_layers_that_no_image_has_is_a_mistake_of_usage() {
    let env = TestEnv::new();
    for number in ["0", "101", "many"] {
        let refused = env.pith(&["pack", "hello", "--max-layers", number]);
        let said = refused.expect_status(2).stderr;
        assert!(said.contains("--max-layers <N>"), "{said}");
    }
    assert!(!env.store().exists());
}

#[test]
fn a_pattern_that_means_nothing_is_said_with_what_may_be_meant() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"image(name = "web", packages = [package("hello")], layers = {"libc": ["glibcc*", "glibc*"]})"#,
    );
    let packed = env.pith(&["pack", "web"]).expect_success();
    let warning = "warning: the pattern `glibcc*` of the layer `libc` means nothing that is in the image; did you mean `glibc`?\n";
    assert!(packed.stderr.contains(warning), "{}", packed.stderr);
    assert_eq!(packed.stderr.matches("warning").count(), 1);
}

#[test]
fn an_image_whose_name_has_a_slash_is_packed_by_it() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/pith.star",
        r#"image(name = "team/web", packages = [package("hello")])"#,
    );
    let packed = env.pith(&["pack", "team/web", "-q"]).expect_success();
    let file = env.path("project/web.tar");
    assert_eq!(packed.line(), file.display().to_string());
    let listed = env.pith(&["image", "ls", "web.tar", "--json"]);
    assert_eq!(listed.expect_success().json()["tags"][0], "latest");
    let inspected = env.tool(
        "skopeo",
        &["inspect", &format!("docker-archive:{}", file.display())],
    );
    inspected.expect_success();
    // A directory of that name is one.
    env.write("project/team/web/pith.star", "");
    env.pith(&["pack", "team/web", "-q"]).expect_status(1);
}

#[test]
fn an_image_of_several_names_is_listed_by_each_and_verified_once() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q"]).expect_success();
    let place = |name: &str| env.path(&format!("project/{name}")).display().to_string();
    let to = format!("docker-archive:{}:docker.io/library/a:1", place("two.tar"));
    let from = format!("docker-archive:{}", place("hello.tar"));
    let copy = [
        "copy",
        "-q",
        "--additional-tag=docker.io/library/b:2",
        &from,
        &to,
    ];
    env.tool("skopeo", &copy).expect_success();
    let listed = env.pith(&["image", "ls", "two.tar"]).expect_success();
    assert_eq!(listed.stdout, "1\n2\n");
    let verify = |file: &str| {
        let verified = env.pith(&["image", "verify", file, "--json"]);
        let verified = verified.expect_success().json();
        let manifests = verified["manifests"].as_array().map(Vec::len);
        (manifests, verified["layers"].as_u64())
    };
    let (one, two) = (verify("hello.tar"), verify("two.tar"));
    assert_eq!(one, two);
    assert_eq!(one.0, Some(1));
    let absent = env.pith(&["image", "ls", "absent.tar"]).expect_status(1);
    assert!(absent.stderr.contains("absent.tar"), "{}", absent.stderr);
}

#[test]
fn a_self_extracting_file_repairs_what_somebody_has_deleted() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-f", "run"])
        .expect_success();
    let file = env.path("project/hello.run");
    let start = || run(env.program(&file).env_remove("PITH_ROOT"));
    start().expect_success();
    let cache = env.path("home/.cache/pith-run").display().to_string();
    let count = format!("find {cache}/[0-9a-f]*/ | wc -l");
    let before = env.tool("sh", &["-c", &count]).stdout;
    let delete = format!("rm -r {cache}/[0-9a-f]*/pith/store/*-glibc*/lib && test -d {cache}");
    env.tool("sh", &["-c", &delete]).expect_success();
    let said = start().expect_success();
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("Hello, world!\n", "")
    );
    assert_eq!(env.tool("sh", &["-c", &count]).stdout, before);
    let rest = env.tool("sh", &["-c", &format!("ls -A {cache}")]).stdout;
    assert!(!rest.contains(".new"), "{rest}");
}

#[test]
fn a_self_extracting_file_for_another_processor_says_so() {
    let env = TestEnv::with_shared_store();
    env.pith(&["pack", "hello", "-q", "-f", "run"])
        .expect_success();
    env.write(
        "bin/uname",
        "#!/bin/sh\n[ \"$1\" = -m ] && echo riscv64 || echo Linux\n",
    );
    let program = env.path("bin/uname").display().to_string();
    env.tool("chmod", &["+x", &program]).expect_success();
    let mut command = env.program(&env.path("project/hello.run"));
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    let refused = run(command.env("PATH", path)).expect_status(126);
    assert_eq!(
        refused.stderr,
        "hello: this file is for linux/amd64, and this machine is Linux/riscv64\n"
    );
    assert!(!env.path("home/.cache/pith-run").exists());
}
