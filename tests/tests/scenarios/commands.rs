//! What the commands say.

use tests::TestEnv;

#[test]
fn build_prints_one_store_path_a_line_and_nothing_else() {
    let env = TestEnv::with_shared_store();
    let finished = env.pith(&["build", "hello", "zlib^dev"]).expect_success();
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with("/pith/store/") && lines[0].ends_with("-hello-2.10"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("-dev"), "{lines:?}");
    let again = env.pith(&["build", "hello", "zlib^dev"]).expect_success();
    assert_eq!((again.stdout, again.stderr.as_str()), (finished.stdout, ""));
}

#[test]
fn run_sees_only_the_closure() {
    let env = TestEnv::with_shared_store();
    let said = env.pith(&["run", "-q", "hello"]).expect_success();
    assert_eq!(said.stdout, "Hello, world!\n");
    let said = env
        .pith(&["run", "-q", "hello", "--", "--greeting=Hi"])
        .expect_success();
    assert_eq!(said.stdout, "Hi\n");
    let listed = env
        .pith(&["run", "-q", "bash", "--", "-c", "echo /pith/store/*"])
        .expect_success();
    let closure = env
        .pith(&["size", "bash", "--json"])
        .expect_success()
        .json();
    let count = closure["objects"].as_array().expect("a list").len();
    assert_eq!(
        listed.stdout.split_whitespace().count(),
        count,
        "{}",
        listed.stdout
    );
    env.pith(&["run", "-q", "bash", "--", "-c", "exit 7"])
        .expect_status(7);
}

#[test]
fn why_names_the_file_that_holds_the_reference() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "jq", "-q"]).expect_success();
    let why = env.pith(&["why", "jq", "glibc"]).expect_success().stdout;
    assert!(why.contains("-jq-") && why.contains("-glibc-"), "{why}");
    assert!(why.contains("bin/jq") || why.contains("lib/"), "{why}");
    let no = env.pith(&["why", "hello", "jq"]).expect_status(3);
    assert_eq!(no.stdout, "");
}

#[test]
fn path_info_lists_what_a_path_needs() {
    let env = TestEnv::with_shared_store();
    let listed = env
        .pith(&["store", "path-info", "-r", "-q", "jq"])
        .expect_success();
    let json = ["store", "path-info", "-r", "-q", "--json", "jq"];
    let json = env.pith(&json).expect_success().json();
    let mut paths: Vec<_> = json["paths"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|info| info["path"].as_str().expect("a path").to_owned())
        .collect();
    paths.sort();
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "jq, oniguruma and glibc: {lines:?}");
    assert!(
        lines
            .iter()
            .zip(&paths)
            .all(|(line, path)| line.ends_with(path)),
        "{lines:?} {paths:?}"
    );
}

#[test]
fn tree_shows_the_closure_once() {
    let env = TestEnv::with_shared_store();
    env.pith(&["build", "jq", "-q"]).expect_success();
    let tree = env.pith(&["tree", "jq"]).expect_success().stdout;
    assert!(tree.starts_with("/pith/store/"), "{tree}");
    assert!(tree.contains("oniguruma"), "{tree}");
}

#[test]
fn search_and_show_tell_what_a_package_is() {
    let env = TestEnv::new();
    let all = env.pith(&["search", "", "--json"]).expect_success().json();
    let names: Vec<_> = all["packages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|package| package["name"].as_str().expect("a name"))
        .collect();
    for name in [
        "bash",
        "ca-certificates",
        "curl",
        "hello",
        "jq",
        "lua",
        "oniguruma",
        "openssl",
        "pcre2",
        "sqlite",
        "zlib",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert!(names.is_sorted());
    let found = env
        .pith(&["search", "friendly greeting"])
        .expect_success()
        .stdout;
    assert!(found.contains("hello"), "{found}");
    let shown = env
        .pith(&["show", "hello", "--json"])
        .expect_success()
        .json();
    assert_eq!(shown["version"], 1, "of the report");
    let package = &shown["package"];
    assert_eq!(package["license"], "GPL-3.0-or-later");
    assert_eq!(package["version"], "2.10");
    env.pith(&["search", "nothing is called this"])
        .expect_status(3);
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let env = TestEnv::new();
    env.pith(&["build"]).expect_status(2);
    env.pith(&["frobnicate"]).expect_status(2);
    env.pith(&["build", "zlib^"]).expect_status(2);
    env.pith(&["build", "hello", "-j", "0"]).expect_status(2);
}

#[test]
fn a_second_pack_reads_nothing_of_the_store() {
    let env = TestEnv::with_shared_store();
    let archive = env.path("jq.tar");
    let arguments = [
        "pack",
        "jq",
        "--json",
        "-o",
        archive.to_str().expect("UTF-8"),
    ];
    let first = env.pith(&arguments).expect_success().json();
    let second = env.pith(&arguments).expect_success().json();
    assert_eq!(first["manifest"], second["manifest"]);
    assert_eq!(second["bytes_read"], 0, "{second}");
}

#[test]
fn the_log_of_a_project_with_sources_is_found() {
    let env = TestEnv::with_shared_store();
    env.write("project/message", "from a file of the project\n");
    env.write(
        "project/pith.star",
        "load(\"//seed/recipe.star\", \"base\")\n\
         app = derivation(name = \"app\", seed = base, env = {\"message\": source(\"message\")},\n\
         \x20   builder = [\"/usr/bin/bash\", \"-c\", \"cat $message; echo x > $out\"])\n",
    );
    env.pith(&["build", "app", "-q", "--rounds", "2"])
        .expect_success();
    let log = env.pith(&["log", "app"]).expect_success().stdout;
    assert_eq!(log, "from a file of the project\n");
}
