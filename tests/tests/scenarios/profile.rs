//! Installed programs: used from anywhere, upgraded, rolled back.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::SystemTime;

use serde_json::Value;
use tests::{Finished, TestEnv, follow, run};

/// A place with a profile of its own: the store is shared with other scenarios.
struct Installed {
    env: TestEnv,
    profile: String,
}

impl Installed {
    fn new() -> Self {
        let env = TestEnv::with_shared_store();
        let profile = env.path("profile").to_str().expect("UTF-8").to_owned();
        Self { env, profile }
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["profile", "--profile", &self.profile];
        all.extend(arguments);
        all
    }

    fn profile(&self, arguments: &[&str]) -> Finished {
        self.env.pith(&self.arguments(arguments))
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.env
            .command(&self.arguments(arguments))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts")
    }

    /// The launcher of a program.
    fn launcher(&self, program: &str) -> PathBuf {
        self.env.path("profile/bin").join(program)
    }

    /// Runs an installed program.
    fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Finished {
        run(self.env.program(&self.launcher(program)).args(arguments))
    }

    /// The names of the installed packages.
    fn names(&self) -> Vec<String> {
        let list = self.profile(&["list", "--json"]).expect_success().json();
        let packages = list["packages"].as_array().expect("a list");
        packages
            .iter()
            .map(|package| package["name"].as_str().expect("a name").to_owned())
            .collect()
    }

    /// A project that defines packages: name, version, file and what is in it. What is built is new, so that no other scenario has it.
    fn project(&self, directory: &str, packages: &[(&str, &str, &str, &str)]) {
        let mut text = "load(\"//seed/recipe.star\", \"base\")\n".to_owned();
        for (name, version, file, content) in packages {
            let script = format!("mkdir -p $out/share; echo {content} > $out/share/{file}");
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{name} = derivation(name = {name:?}, version = {version:?}, seed = base,\n\
                 \x20   builder = [\"/usr/bin/bash\", \"-ec\", {script:?}])"
            );
        }
        self.env.write(&format!("{directory}/pith.star"), &text);
    }
}

/// How often a change is killed.
const ROUNDS: usize = 60;

/// A text that no earlier run has used.
fn unique() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("u{}", now.expect("after 1970").as_nanos())
}

#[test]
fn an_installed_program_works_on_files_of_the_host_as_any_other() {
    let here = Installed::new();
    let said = here.profile(&["install", "hello", "jq"]).expect_success();
    assert!(said.stdout.contains("+ hello 2.10\n"), "{}", said.stdout);
    assert!(said.stderr.contains("profile/bin"), "{}", said.stderr);
    assert_eq!(
        here.run("hello", &["--greeting=Hi"])
            .expect_success()
            .stdout,
        "Hi\n"
    );

    here.env.write("project/file.json", "{\"a\": [1, 2]}");
    let found = here.run("jq", &["-c", ".a", "file.json"]).expect_success();
    assert_eq!(found.stdout, "[1,2]\n");
    // It is the program itself: exit status, standard input, output to a file of the host.
    here.run("jq", &["-e", ".b", "file.json"]).expect_status(1);
    let mut child = here
        .env
        .program(&here.launcher("jq"))
        .arg(".x")
        .stdin(Stdio::piped())
        .stdout(fs::File::create(here.env.path("project/out")).expect("the place is ours"))
        .spawn()
        .expect("the launcher starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(b"{\"x\": 7}").expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(
        fs::read(here.env.path("project/out")).expect("it was written"),
        b"7\n"
    );

    // What a program says of itself: its name where that leads to it, else where it is.
    let called = |command: &mut std::process::Command| run(command.arg("--none")).stderr;
    let mut by_path = here.env.program(&here.launcher("hello"));
    let by_path = called(&mut by_path);
    assert!(by_path.contains("profile/bin/hello: "), "{by_path}");
    let mut by_name = here.env.program(&here.launcher("hello"));
    let by_name = called(by_name.env("PATH", here.env.path("profile/bin")));
    assert!(by_name.starts_with("hello: "), "{by_name}");

    // By a program that was itself started so.
    here.profile(&["install", "bash", "-q"]).expect_success();
    let script = format!("{} -n '1 + 1'", here.launcher("jq").display());
    assert_eq!(
        here.run("bash", &["-c", &script]).expect_success().stdout,
        "2\n"
    );
}

#[test]
fn what_is_installed_is_listed_and_can_be_removed() {
    let here = Installed::new();
    assert_eq!(here.profile(&["list"]).expect_success().stdout, "");
    here.profile(&["install", "jq", "hello", "zlib^dev", "-q"])
        .expect_success();
    let list = here.profile(&["list"]).expect_success().stdout;
    let lines: Vec<_> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(
        lines[0].starts_with("hello     2.10        /pith/store/"),
        "{list}"
    );
    assert!(
        lines[2].starts_with("zlib^dev  ") && lines[2].ends_with("-dev"),
        "{list}"
    );
    let again = here
        .profile(&["install", "hello", "--json"])
        .expect_success()
        .json();
    assert_eq!(
        (&again["changes"], &again["generation"]),
        (&serde_json::json!([]), &1.into())
    );

    let removed = here
        .profile(&["remove", "hello", "zlib^dev"])
        .expect_success();
    assert_eq!(removed.stdout, "- hello 2.10\n- zlib^dev 1.2.13\n");
    assert!(!here.launcher("hello").exists());
    assert_eq!(here.names(), ["jq"]);
    let unknown = here.profile(&["remove", "hello"]).expect_status(1);
    assert_eq!(
        unknown.stderr,
        "error: the profile has no package `hello`\nhint: it has `jq`\n"
    );
    here.env
        .pith(&["profile", "--profile", "..", "list"])
        .expect_status(2);
}

#[test]
fn two_packages_with_one_file_are_both_named_and_nothing_is_installed() {
    let here = Installed::new();
    let content = unique();
    here.project(
        "project",
        &[("one", "1", "same", "1"), ("two", "2", "same", &content)],
    );
    here.profile(&["install", "one", "-q"]).expect_success();
    let refused = here.profile(&["install", "two"]).expect_status(1).stderr;
    let lines: Vec<_> = refused
        .lines()
        .skip_while(|line| !line.starts_with("error"))
        .collect();
    assert_eq!(
        lines[0], "error: `share/same` is both in `one` and in `two`",
        "{refused}"
    );
    assert!(
        lines[1].starts_with("  /pith/store/") && lines[1].ends_with("-one-1"),
        "{refused}"
    );
    assert_eq!(
        lines[3..],
        [
            "hint: `pith profile remove one` makes room",
            "hint: with `pith profile install --priority 4 two` the files of `two` win, with `--priority 6` those of `one`",
        ]
    );
    assert_eq!(here.names(), ["one"]);
    here.profile(&["install", "two", "--priority", "6", "-q"])
        .expect_success();
    let target = fs::read_link(here.env.path("profile/current/share/same")).expect("it is a link");
    assert!(
        target.ends_with("share/same") && target.to_string_lossy().contains("-one-1/"),
        "{target:?}"
    );
}

#[test]
fn an_upgrade_looks_where_a_package_came_from_and_says_what_changed() {
    let here = Installed::new();
    let (old, new) = (unique(), unique());
    here.project("app", &[("app", "1", "app", &old)]);
    let directory = here.env.path("app");
    let target = format!("{}:app", directory.to_str().expect("UTF-8"));
    here.profile(&["install", "-q", &target, "hello"])
        .expect_success();
    let same = here.profile(&["upgrade"]).expect_success();
    assert_eq!(
        (same.stdout.as_str(), same.stderr.lines().next()),
        ("", Some("nothing to change"))
    );

    here.project("app", &[("app", "2", "app", &new)]);
    let upgraded = here.profile(&["upgrade", "hello"]).expect_success();
    assert_eq!(upgraded.stdout, "");
    let upgraded = here.profile(&["upgrade"]).expect_success();
    assert_eq!(upgraded.stdout, "~ app 1 → 2\n");

    // What cannot be built any more leaves the profile as it was.
    here.env.write("app/pith.star", "app = derivation(\n");
    here.profile(&["upgrade"]).expect_status(1);
    let history = here.profile(&["history", "--json"]).expect_success().json();
    let generations = history["generations"].as_array().expect("a list").clone();
    let numbers: Vec<_> = generations.iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(generations[1]["current"], true);
    let change = &generations[1]["changes"][0];
    assert_eq!(
        (&change["before"]["version"], &change["after"]["version"]),
        (&"1".into(), &"2".into())
    );
}

#[test]
fn every_generation_can_be_gone_back_to_until_it_is_forgotten() {
    let here = Installed::new();
    here.profile(&["rollback"]).expect_status(1);
    for target in ["hello", "jq", "lua"] {
        here.profile(&["install", "-q", target]).expect_success();
    }
    let back = here.profile(&["rollback"]).expect_success();
    assert_eq!(back.stdout, "- lua 5.4.4\n");
    assert_eq!(here.names(), ["hello", "jq"]);
    assert!(!here.launcher("lua").exists());
    here.profile(&["rollback", "--to", "3", "-q"])
        .expect_success();
    assert_eq!(here.names(), ["hello", "jq", "lua"]);
    here.profile(&["rollback", "--to", "9"]).expect_status(1);

    let history = here.profile(&["history"]).expect_success().stdout;
    let heads: Vec<_> = history
        .lines()
        .map(|line| line.split("  ").next().unwrap_or_default())
        .collect();
    assert_eq!(
        heads,
        [
            "generation 1",
            "",
            "generation 2",
            "",
            "generation 3 (current)",
            ""
        ]
    );
    assert!(history.contains("\n  + jq 1.6\n"), "{history}");

    here.profile(&["rollback", "--to", "1", "-q"])
        .expect_success();
    let forgotten = here.profile(&["history", "--keep", "1"]).expect_success();
    assert_eq!(forgotten.stdout, "- generation 2\n");
    assert_eq!(here.names(), ["hello"]);
    let none = here
        .profile(&["history", "--delete-older-than", "1"])
        .expect_success();
    assert_eq!(none.stdout, "");
    here.profile(&["rollback", "--to", "2"]).expect_status(1);
    assert_eq!(
        here.run("hello", &[""; 0]).expect_success().stdout,
        "Hello, world!\n"
    );
}

#[test]
fn two_installs_at_once_both_happen() {
    let here = Installed::new();
    // Built before, so that the two meet at the profile.
    here.env
        .pith(&["build", "-q", "hello", "jq", "lua", "zlib"])
        .expect_success();
    let children: Vec<_> = ["hello", "jq", "lua", "zlib"]
        .iter()
        .map(|target| here.spawn(&["install", target]))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(here.names(), ["hello", "jq", "lua", "zlib"]);
}

#[test]
fn a_change_that_is_killed_leaves_the_old_or_the_new_packages() {
    let here = Installed::new();
    here.profile(&["install", "-q", "hello", "jq"])
        .expect_success();
    let (with, without) = (vec!["hello", "jq"], vec!["hello"]);
    // How long a change takes, in looks at the process: it is killed further into it in each round.
    let whole = follow(&mut here.spawn(&["remove", "jq"]), usize::MAX);
    let mut killed = 0;
    for round in 0..ROUNDS {
        let arguments = if here.names() == with {
            ["remove", "jq"]
        } else {
            ["install", "jq"]
        };
        let mut child = here.spawn(&arguments);
        let limit = whole * round / ROUNDS;
        killed += usize::from(follow(&mut child, limit) == limit);
        // It may have ended by itself.
        drop(child.kill());
        child.wait().expect("it ends");
        let names = here.names();
        assert!(
            names == with || names == without,
            "round {round}: {names:?}"
        );
        assert_eq!(
            here.run("hello", &["-t"]).expect_success().stdout,
            "hello, world\n"
        );
        assert_eq!(here.launcher("jq").exists(), names == with, "round {round}");
    }
    assert!(killed > 0, "no command was killed");
    // The last one may have been killed after it made a generation and before it switched to it; what is kept is the newest and the
    // current one. A change that ends makes them the same.
    if here.names() == with {
        here.profile(&["remove", "-q", "jq"]).expect_success();
    }
    here.profile(&["install", "-q", "jq"]).expect_success();
    here.profile(&["history", "--keep", "1", "-q"])
        .expect_success();
    let history: Value = here.profile(&["history", "--json"]).expect_success().json();
    assert_eq!(history["generations"].as_array().map(Vec::len), Some(1));
    let entries = fs::read_dir(here.env.path("profile")).expect("it is readable");
    let mut entries: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("it is readable")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name.parse::<u64>().is_err())
        .collect();
    entries.sort();
    assert_eq!(entries, [".lock", "bin", "current", "pith"]);
}
