//! Apps in compiled languages: packing gives an image that runs, and after a change of one line the app alone is compiled.

use std::fs::{self, File};

use tests::{TestEnv, is_full, run};

/// A project of `tests/fixtures/apps`.
struct App {
    fixture: &'static str,
    /// The name of its image, and of its package.
    name: &'static str,
    /// The file that says `first version`.
    file: &'static str,
    arguments: &'static [&'static str],
    input: &'static str,
    /// What it prints; `VERSION` stands for what that file says.
    output: &'static str,
    /// What is built after that was changed, without versions.
    rebuilt: &'static [&'static str],
}

/// A place with a copy of the app's sources for a project.
fn project(app: &App) -> TestEnv {
    let env = TestEnv::with_shared_store();
    env.copy_app(app.fixture);
    env
}

/// Packs the project, and returns what its program prints in podman.
fn run_image(env: &TestEnv, app: &App) -> String {
    env.pack_and_load(&[".", "-f", "docker-archive"]);
    env.write("input", app.input);
    let options = ["-i", "--network=none", app.name];
    let mut command = env.podman_run_command(&[&options, app.arguments].concat());
    command.stdin(File::open(env.path("input")).expect("it was written"));
    let said = run(&mut command).expect_success().stdout;
    env.remove_image(app.name);
    said
}

/// Digits that no other run has.
fn unique_digits() -> String {
    let now = format!("{:?}", std::time::SystemTime::now());
    now.chars().filter(char::is_ascii_digit).collect()
}

/// Packs and runs the app, changes a line, and does it again.
fn try_app(app: &App) {
    let env = project(app);
    assert_eq!(
        run_image(&env, app),
        app.output.replace("VERSION", "first version")
    );

    let file = env.path("project").join(app.file);
    let text = fs::read_to_string(&file).expect("the fixture has it");
    // Unique, so that the store that is shared with earlier runs does not know it yet.
    let version = unique_digits();
    let changed = text.replacen("first version", &version, 1);
    assert_ne!(changed, text, "{} has a version", app.file);
    fs::write(&file, changed).expect("the place is ours");

    let report = env
        .pith_with_crates(&["build", app.name, "--json"])
        .expect_success()
        .json();
    let mut built: Vec<&str> = report["built"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|name| name.as_str().expect("a name"))
        .map(|name| name.split("-0.").next().unwrap_or(name))
        .collect();
    built.sort_unstable();
    assert_eq!(built, app.rebuilt, "{report}");
    assert_eq!(
        run_image(&env, app),
        app.output.replace("VERSION", &version)
    );
    // Its crates, its modules and the standard library too: nothing of it rests on a declaration alone.
    env.pith_with_crates(&["audit", app.name, "--date", "2026-11-22"])
        .expect_success();
}

#[test]
fn a_makefile_with_a_library_of_the_collection() {
    try_app(&App {
        fixture: "make",
        name: "notes",
        file: "notes.c",
        arguments: &[],
        input: "b\na\n",
        output: "VERSION\n1 a\n2 b\n",
        rebuilt: &["notes"],
    });
}

#[test]
fn cmake_in_cxx_with_two_libraries_and_one_of_its_own() {
    try_app(&App {
        fixture: "cmake",
        name: "squeeze",
        file: "main.cpp",
        arguments: &[],
        input: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        output: "VERSION: 41 bytes become 13\n\
                 5a84b79716842f146f7533d890cc7308cad7b21abdc29c1852c6b3bb8ad66672\n",
        rebuilt: &["squeeze"],
    });
}

#[test]
fn go_with_a_vendored_module() {
    try_app(&App {
        fixture: "go",
        name: "words",
        file: "main.go",
        arguments: &[],
        input: "b a b\n",
        output: "VERSION\n     1 a\n     2 b\n",
        rebuilt: &["words", "words-imports"],
    });
}

/// Compiles two dozen crates, which takes minutes: only in full runs.
#[test]
fn rust_with_two_dozen_crates() {
    if !is_full() {
        return;
    }
    let app = App {
        fixture: "rust",
        name: "finder",
        file: "src/answer.rs",
        arguments: &["b+", "abbab"],
        input: "",
        output: "{\"greeting\":\"VERSION\",\"found\":[{\"from\":1,\"text\":\"bb\"},{\"from\":4,\"text\":\"b\"}]}\n",
        rebuilt: &["finder", "finder-manifests"],
    };
    try_app(&app);

    // Each crate that is in the program is known by name, license and digest; what only the compiler needs is not.
    let env = project(&app);
    let path = env
        .pith_with_crates(&["build", "finder", "-q"])
        .expect_success()
        .line()
        .to_owned();
    let known = env
        .pith_with_crates(&["store", "path-info", "--json", &path])
        .expect_success()
        .json();
    let contains = known["paths"][0]["component"]["contains"]
        .as_array()
        .expect("a list")
        .clone();
    let find = |name: &str| contains.iter().find(|one| one["name"] == name);
    let regex = find("regex").expect("it is compiled in");
    assert_eq!(regex["license"], "MIT OR Apache-2.0");
    assert!(
        regex["purl"]
            .as_str()
            .is_some_and(|purl| purl.starts_with("pkg:cargo/regex@1."))
    );
    assert!(
        regex["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:"))
    );
    assert!(find("rust-std").is_some());
    assert!(find("syn").is_none(), "{contains:?}");
}

#[test]
fn go_without_its_vendor_folder_says_what_brings_it() {
    let env = TestEnv::with_shared_store();
    env.write(
        "project/go.mod",
        "module example.org/app\n\ngo 1.21\n\nrequire example.org/table v1.0.0\n",
    );
    env.write(
        "project/pith.star",
        "load(\"//lib/go.star\", \"go_app\")\napp = go_app(src = source(\".\"))\n",
    );
    let error = env.pith(&["build", "app"]).expect_status(1).stderr;
    assert!(
        error.contains("go.mod:5: `example.org/table v1.0.0` is not in `vendor`")
            && error.contains("hint: `go mod vendor` brings it there"),
        "{error}"
    );
}

/// A project whose app lists its own source; `arguments` are more arguments of `source`.
fn write_listing(env: &TestEnv, arguments: &str) {
    env.write(
        "project/pith.star",
        &format!(
            "load(\"//seed/recipe.star\", \"base\")\n\
             app = derivation(name = \"app\", seed = base, env = {{\"src\": source(\".\"{arguments})}},\n\
             \x20   builder = [\"/usr/bin/bash\", \"-ec\", \"cd $src; find * .[!.]* -type f -exec cat {{}} + -print | sort > $out\"])\n"
        ),
    );
}

/// Builds the app, and returns its store path, what it lists, and whether it was built just now.
fn build_listing(env: &TestEnv) -> (String, String, bool) {
    let report = env
        .pith(&["build", "app", "--json"])
        .expect_success()
        .json();
    let path = report["outputs"][0]["path"].as_str().expect("a path");
    let built = !report["built"].as_array().expect("a list").is_empty();
    let name = path.rsplit('/').next().unwrap_or_default();
    let listed = fs::read_to_string(env.store().join("store").join(name)).expect("a file");
    (path.to_owned(), listed, built)
}

#[test]
fn what_is_ignored_builds_nothing_and_secrets_stop_the_build() {
    let env = TestEnv::with_shared_store();
    // Unique, so that the store that is shared with earlier runs does not know it yet.
    let unique = format!("version {}", unique_digits());
    env.write("project/main.c", &format!("{unique}\n"));
    env.write("project/.env", "PASSWORD=1\n");
    write_listing(&env, "");
    let error = env.pith(&["build", "app"]).expect_status(1).stderr;
    let project = env.path("project");
    let expected = format!(
        "the source `{}` has what looks like secrets: `.env` (settings of one machine)",
        project.display()
    );
    let hint = "hint: a line `/.env` in `.pithignore` leaves it out; \
                `source(…, allow_secrets = [\".env\"])` says that it belongs there";
    assert!(error.contains(&expected) && error.contains(hint), "{error}");

    write_listing(&env, ", allow_secrets = [\".env\"]");
    assert_eq!(
        build_listing(&env).1,
        format!(".env\nPASSWORD=1\nmain.c\n{unique}\n")
    );

    write_listing(&env, "");
    env.write("project/.gitignore", "*.o\n");
    env.write("project/.pithignore", "/.gitignore\n/.env\n");
    env.write("project/main.o", "1\n");
    let (first, listed, built) = build_listing(&env);
    assert_eq!((listed, built), (format!("main.c\n{unique}\n"), true));

    // What is ignored, the ignore files, the recipe itself, and what git of this user or clone ignores change nothing.
    env.write("project/main.o", "2\n");
    env.write("project/deep/other.o", "\n");
    env.write(
        "project/.pithignore",
        "# all but main.c\n/.gitignore\n/.env\n",
    );
    env.write("project/.git/info/exclude", "main.c\n");
    write_listing(&env, ", exclude = [\"*.tar\"]");
    env.pith(&["build", "app", "-q", "-o", "result"])
        .expect_success();
    let (second, _, built) = build_listing(&env);
    assert_eq!((&second, built), (&first, false));

    env.write("project/main.c", &format!("{unique}, changed\n"));
    let (third, listed, built) = build_listing(&env);
    assert_eq!(
        (listed, built),
        (format!("main.c\n{unique}, changed\n"), true)
    );
    assert_ne!(third, first);
    env.write("project/main.c", &format!("{unique}\n"));
    let (fourth, _, built) = build_listing(&env);
    assert_eq!((fourth, built), (first, false));
}
