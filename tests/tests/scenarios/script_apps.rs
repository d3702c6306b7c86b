//! Apps in languages that are not compiled: from a directory to an image that runs, with no hand-editing.

use std::fs;

use tests::{Finished, TestEnv, is_full};

/// Replaces the one `from` in a file of the project by `to`.
fn edit(env: &TestEnv, file: &str, from: &str, to: &str) {
    let path = env.path("project").join(file);
    let text = fs::read_to_string(&path).expect("the fixture has it");
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
    fs::write(path, text.replace(from, to)).expect("the place is ours");
}

/// What `init` writes for the app `name`, and what it says of it.
fn init(env: &TestEnv) -> (String, String) {
    let finished = env.pith(&["init"]).expect_success();
    assert_eq!(finished.stdout, "pith.star\n");
    let text = fs::read_to_string(env.path("project/pith.star")).expect("it was written");
    (text, finished.stderr)
}

#[test]
fn init_writes_what_a_node_app_says_of_itself() {
    let env = TestEnv::new();
    env.copy_app("node");
    let (text, said) = init(&env);
    assert_eq!(
        text,
        r#"# Recognised by package.json and package-lock.json.
load("//lib/node.star", "node_app")

app = node_app(
    name = "notes",
    src = source(".", exclude = ["*.tar", "node_modules"]),
    license = "MIT",
    main = "server.js",
)

image(
    name = "notes", packages = [app], entrypoint = ["/bin/notes"], ports = [8080],
    workdir = app.out + "/lib/notes",
)
"#
    );
    assert_eq!(
        said,
        "a node app, by package.json and package-lock.json\n\
         program `notes`: server.js, by Dockerfile\n\
         license MIT, by package.json\n\
         ports 8080, by Dockerfile\n"
    );
    let again = env.pith(&["init"]).expect_status(1);
    assert_eq!(
        again.stderr,
        "error: `pith.star` is there already\nhint: `pith pack .` packs what it declares\n"
    );
}

#[test]
fn init_writes_what_a_python_app_says_of_itself() {
    let env = TestEnv::new();
    env.copy_app("python");
    let (text, _) = init(&env);
    assert_eq!(
        text,
        r#"# Recognised by pyproject.toml and poetry.lock.
load("//lib/python.star", "python_app")

app = python_app(
    name = "means",
    src = source(".", exclude = ["*.tar", ".venv", "__pycache__"]),
    license = "MIT",
    lock = "poetry.lock",
    entry = "means.cli:main",
)

image(
    name = "means", packages = [app], entrypoint = ["/bin/means"], ports = [8080],
)
"#
    );
}

#[test]
fn what_is_recognised_is_listed() {
    let env = TestEnv::new();
    let listed = env.pith(&["init", "--list"]).expect_success().stdout;
    assert_eq!(listed.lines().count(), 7, "{listed}");
    let report = env.pith(&["init", "--list", "--json"]).expect_success();
    assert_eq!(report.json()["kinds"][2]["kind"], "node");
}

#[test]
fn a_bad_lock_file_is_one_error_with_file_and_line() {
    for (app, file, from, to, expected) in [
        (
            "node",
            "package-lock.json",
            "\"lockfileVersion\": 3",
            "\"lockfileVersion\": 1",
            "package-lock.json:4: this is version 1 of the lock file's format; known are 2 and 3",
        ),
        (
            "node",
            "package-lock.json",
            "      \"integrity\": \"sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA==\",\n",
            "",
            "`left-pad 1.3.0` has no integrity, so nothing would tell whether the right bytes come",
        ),
        (
            "node",
            "package-lock.json",
            "\"integrity\": \"sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA==\",",
            "\"resolved\": \"git+ssh://git@host.example/left-pad.git#0123\",",
            "`left-pad 1.3.0` comes from `git+ssh://git@host.example/left-pad.git#0123`, of which the lock file has no digest",
        ),
        (
            "python",
            "poetry.lock",
            "lock-version = \"2.1\"",
            "lock-version = \"9.0\"",
            ": this is version 9.0 of the lock file's format; known are 2.1",
        ),
        (
            "python",
            "poetry.lock",
            "flask-3.1.0-py3-none-any.whl",
            "flask-3.1.0-py2-none-any.whl",
            "`flask 3.1.0` has no wheel for Python 3.11 on x86_64",
        ),
    ] {
        let env = TestEnv::new();
        env.copy_app(app);
        init(&env);
        edit(&env, file, from, to);
        let failed = env.pith(&["pack", "."]).expect_status(1);
        let first = failed.stderr.lines().next().unwrap_or_default();
        let place = format!("{file}:");
        assert!(
            first.starts_with("error: ") && first.contains(&place) && first.contains(expected),
            "{}",
            failed.stderr
        );
        assert_eq!(failed.stdout, "");
    }
}

/// Packs the project, loads the image into podman and runs it with `arguments`.
fn pack_and_run(env: &TestEnv, name: &str, arguments: &[&str]) -> Finished {
    env.pack_and_load(&["."]);
    let options = ["--network=none", "--read-only", name];
    let finished = env.podman_run(&[&options, arguments].concat());
    env.remove_image(name);
    finished
}

#[test]
fn a_node_app_is_packed_as_it_lies_there() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.copy_app("node");
    init(&env);
    let said = pack_and_run(&env, "notes", &["--once"]).expect_success();
    assert_eq!(said.stdout, "notes 1\n  1 hello\n");
    edit(&env, "server.js", "notes 1", "notes 2");
    let said = pack_and_run(&env, "notes", &["--once"]).expect_success();
    assert_eq!(said.stdout, "notes 2\n  1 hello\n");
    env.pith(&["audit", ".", "--date", "2026-11-22"])
        .expect_success();
}

#[test]
fn a_python_app_with_compiled_wheels_is_packed_as_it_lies_there() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.copy_app("python");
    init(&env);
    let said = pack_and_run(&env, "means", &["--once"]).expect_success();
    assert_eq!(said.stdout, "mean 3.0 of 5691368f\n2.2.1\n");

    // One wheel has the licenses of all that is in it in one file, which somebody has to read.
    let audit = ["audit", ".", "--date", "2026-11-22", "-q"];
    let said = env.pith(&audit).expect_status(5).stdout;
    let open = said.lines().filter(|line| line.starts_with("undecided["));
    let open: Vec<&str> = open.collect();
    assert!(
        open.len() == 1 && open[0].starts_with("undecided[L106]: `numpy-2.2.1`"),
        "{open:?}"
    );
    let read = "[[audit.clarify]]\ncomponent = 'numpy'\nexpression = 'BSD-3-Clause AND Zlib AND GPL-3.0-or-later WITH GCC-exception-3.1'\n\
        reason = 'its file of licenses'\nowner = 'o'\n";
    env.write("project/pith.toml", read);
    env.pith(&audit).expect_success();
}

/// Compiles another Python, which takes minutes: only in full runs.
#[test]
fn a_python_app_that_wants_a_newer_python_is_run_by_one() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.copy_app("python");
    edit(
        &env,
        "pyproject.toml",
        "requires-python = \">=3.11,<3.13\"",
        "requires-python = \">=3.12\"",
    );
    // An image of its own: other scenarios load theirs.
    edit(
        &env,
        "pyproject.toml",
        "name = \"means\"",
        "name = \"newer-means\"",
    );
    edit(
        &env,
        "means/cli.py",
        "print(numpy.__version__)",
        "import sys; print(sys.version_info[:2], numpy.__version__)",
    );
    init(&env);
    let said = pack_and_run(&env, "newer-means", &["--once"]).expect_success();
    assert_eq!(said.stdout, "mean 3.0 of 5691368f\n(3, 13) 2.2.1\n");
}

#[test]
fn an_app_is_started_as_its_dockerfile_says() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    env.copy_app("python");
    // An image of its own: the other scenario loads `means`.
    edit(
        &env,
        "pyproject.toml",
        "name = \"means\"",
        "name = \"greeter\"",
    );
    let project = env.path("project");
    fs::write(
        project.join("Dockerfile"),
        "FROM python:3.11\nWORKDIR /app\nENV GREETING=\"hello there\"\nCMD exec python -u -m flask --app 'web:app' greet\n",
    )
    .expect("the place is ours");
    fs::write(project.join("words.txt"), "general\n").expect("the place is ours");
    fs::write(
        project.join("web.py"),
        "import os\nfrom flask import Flask\napp = Flask(__name__)\n@app.cli.command()\ndef greet():\n    print(os.environ['GREETING'], open('words.txt').read(), end='')\n",
    )
    .expect("the place is ours");
    init(&env);
    let said = pack_and_run(&env, "greeter", &[]).expect_success();
    assert_eq!(said.stdout, "hello there general\n");
}

#[test]
fn a_program_of_a_wheel_is_packed_by_its_name() {
    if !is_full() {
        return;
    }
    for (name, start) in [
        ("in-toto", "usage: in-toto-run <named arguments>"),
        ("tern", "usage: Tern "),
    ] {
        let env = TestEnv::with_shared_store();
        env.copy_app(name);
        let said = pack_and_run(&env, name, &["--help"]).expect_success();
        assert!(said.stdout.starts_with(start), "{}", said.stdout);
    }
}
