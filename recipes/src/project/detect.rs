//! Which kind of app lies in a directory, and the text for it.

use super::compiled;
use super::container::Container;
use super::facts::{Facts, PROGRAM, Program};
use super::kind::Kind;
use super::license::{self, Found};
use super::names::{is_program_name, plain_name, quoted};
use super::write::{App, write};
use super::{ProjectError, ProjectFiles, node, python};

/// A kind of app that lies in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The kind.
    pub kind: Kind,
    /// The files that say so, the most telling first.
    pub evidence: Vec<&'static str>,
}

/// What the user has decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The kind of app, where there are several.
    pub kind: Option<Kind>,
    /// The program that the image runs, where there are several.
    pub program: Option<String>,
}

/// An app that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// The kind.
    pub kind: Kind,
    /// The name of the package and of the image.
    pub name: String,
    /// What was recognised and why, a sentence each.
    pub notes: Vec<String>,
    /// The `pith.star`; at most 15 lines.
    pub text: String,
}

/// Returns every kind of app that lies in a directory, in the order of [`Kind::ALL`].
///
/// A Makefile counts only where there is nothing else: beside another build system it calls that one.
pub(super) fn candidates(files: &dyn ProjectFiles) -> Result<Vec<Candidate>, ProjectError> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        if kind == Kind::Make && !found.is_empty() {
            continue;
        }
        let candidate = candidate(files, kind)?;
        found.extend((!candidate.evidence.is_empty()).then_some(candidate));
    }
    Ok(found)
}

fn candidate(files: &dyn ProjectFiles, kind: Kind) -> Result<Candidate, ProjectError> {
    let names = files.names("")?;
    let there = |file: &&&'static str| names.iter().any(|name| name == **file);
    let mut evidence: Vec<_> = kind.markers().iter().filter(there).copied().collect();
    if !evidence.is_empty() {
        let lock = kind.locks().iter().find(there).copied();
        evidence.extend(lock.filter(|lock| !evidence.contains(lock)));
    }
    Ok(Candidate { kind, evidence })
}

/// One indented line for each candidate.
pub(super) fn lines(candidates: &[Candidate]) -> String {
    let line = |candidate: &Candidate| {
        let files = candidate.evidence.join(", ");
        format!("\n  {:7} {files}", candidate.kind.to_string())
    };
    candidates.iter().map(line).collect()
}

/// Recognises the app in a directory that is called `directory_name`.
pub fn recognise(
    files: &dyn ProjectFiles,
    directory_name: &str,
    wishes: &Wishes,
) -> Result<Recognised, ProjectError> {
    let candidate = choose(files, wishes)?;
    let kind = candidate.kind;
    let container = Container::load(files)?;
    let mut facts = match kind {
        Kind::Rust => compiled::rust(files)?,
        Kind::Go => compiled::go(files)?,
        Kind::Cmake => compiled::cmake(files)?,
        Kind::Meson => compiled::meson(files)?,
        Kind::Make => compiled::make(files, candidate.evidence[0])?,
        Kind::Node => node::node(files, &container)?,
        Kind::Python => python::python(files, &container)?,
    };
    mark_started(&mut facts, &container);
    let manifest = candidate.evidence[0];
    let evidence = candidate.evidence.join(" and ");
    let mut notes = vec![format!("a {kind} app, by {evidence}")];
    notes.extend(facts.notes.iter().cloned());
    let name = [facts.name.as_deref(), Some(directory_name)]
        .into_iter()
        .flatten()
        .find_map(plain_name)
        .unwrap_or_else(|| "app".to_owned());
    let program = choose_program(&facts, &name, manifest, wishes)?;
    notes.push(format!("program `{}`: {}", program.name, program.reason));
    let license = choose_license(files, &facts, &mut notes)?;
    notes.extend(container_notes(&container, &program));
    let in_directory = container.has_directory || facts.in_directory;
    let directory = match kind {
        Kind::Python if in_directory => Some("/lib/app".to_owned()),
        Kind::Node if in_directory => Some(format!("/lib/{name}")),
        _ => None,
    };
    // What the app's function calls the program without being told.
    let is_usual = |argument: &(&str, String)| *argument == (PROGRAM, quoted(&name));
    let arguments: Vec<_> = facts
        .arguments
        .iter()
        .chain(&program.arguments)
        .filter(|argument| !is_usual(argument))
        .cloned()
        .collect();
    let text = write(&App {
        kind,
        evidence: &evidence,
        name: &name,
        program: &program.name,
        license: license.as_deref(),
        arguments: &arguments,
        ports: &container.ports,
        command: program.command.as_deref().unwrap_or_default(),
        env: &container.env,
        directory: directory.as_deref(),
    });
    Ok(Recognised {
        kind,
        name,
        notes,
        text,
    })
}

/// What was taken from a Dockerfile, and what was not.
fn container_notes(container: &Container, program: &Program) -> Vec<String> {
    let file = container.file;
    let mut notes = Vec::new();
    if !container.ports.is_empty() {
        notes.push(format!("ports {}, by {file}", container.ports.join(", ")));
    }
    if !container.env.is_empty() {
        let names: Vec<&str> = container
            .env
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        notes.push(format!("environment {}, by {file}", names.join(", ")));
    }
    if !container.command.is_empty() && program.command.is_none() {
        notes.push(format!(
            "{file} starts `{}`, which is not what the image will start: change `entrypoint` and `cmd` if it should",
            container.command.join(" ")
        ));
    }
    notes
}

fn choose(files: &dyn ProjectFiles, wishes: &Wishes) -> Result<Candidate, ProjectError> {
    if let Some(kind) = wishes.kind {
        let candidate = candidate(files, kind)?;
        return match candidate.evidence.is_empty() {
            true => Err(ProjectError::NotThere { kind }),
            false => Ok(candidate),
        };
    }
    let mut found = candidates(files)?;
    match found.len() {
        0 => Err(ProjectError::Unrecognised {
            markers: Kind::ALL
                .iter()
                .flat_map(|kind| kind.markers())
                .copied()
                .collect(),
        }),
        1 => Ok(found.remove(0)),
        _ => Err(ProjectError::Several { candidates: found }),
    }
}

/// Gives the program that a Dockerfile names, by name or path, the arguments that it has there.
fn mark_started(facts: &mut Facts, container: &Container) {
    let Some((started, rest)) = container.program() else {
        return;
    };
    let name = started.rsplit('/').next().unwrap_or_default();
    for program in facts
        .programs
        .iter_mut()
        .filter(|program| program.name == name)
    {
        program.command = Some(rest.to_vec());
    }
}

fn choose_program(
    facts: &Facts,
    name: &str,
    manifest: &str,
    wishes: &Wishes,
) -> Result<Program, ProjectError> {
    let programs = || facts.programs.iter().map(|program| program.name.clone());
    if let Some(wanted) = &wishes.program {
        let found = facts
            .programs
            .iter()
            .find(|program| program.name == *wanted);
        return found.cloned().ok_or_else(|| ProjectError::UnknownProgram {
            wanted: wanted.clone(),
            programs: programs().collect(),
        });
    }
    let called_so = |program: &&Program| {
        program.name == name || plain_name(&program.name).as_deref() == Some(name)
    };
    match facts.programs.as_slice() {
        [only] => Ok(only.clone()),
        several => several
            .iter()
            .find(|program| program.command.is_some())
            .or_else(|| several.iter().find(called_so))
            .cloned()
            .ok_or_else(|| ProjectError::Programs {
                manifest: manifest.to_owned(),
                programs: programs().collect(),
            }),
    }
    .and_then(|program| match is_program_name(&program.name) {
        true => Ok(program),
        false => Err(ProjectError::NoProgram {
            manifest: manifest.to_owned(),
            reason: "its program has a name that no file in `bin` can have",
        }),
    })
}

fn choose_license(
    files: &dyn ProjectFiles,
    facts: &Facts,
    notes: &mut Vec<String>,
) -> Result<Option<String>, ProjectError> {
    if let Some((license, file)) = &facts.license
        && license::is_expression(license)
    {
        notes.push(format!("license {license}, by {file}"));
        return Ok(Some(license.clone()));
    }
    Ok(match license::find(files)? {
        Some(Found::Known(license, file)) => {
            notes.push(format!("license {license}, the text of {file}"));
            Some(license.to_owned())
        }
        Some(Found::Gnu(file, license)) => {
            notes.push(format!(
                "no license: {file} is the {license}, and does not say whether later versions may be used; write `license = \"{license}-only\"` or `\"{license}-or-later\"`"
            ));
            None
        }
        Some(Found::Unknown(file)) => {
            notes.push(format!("no license: the text of {file} is not a known one"));
            None
        }
        None => {
            notes.push(
                "no license: no manifest states one, and there is no LICENSE file".to_owned(),
            );
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Files = BTreeMap<String, String>;

    fn files(list: &[(&str, &str)]) -> Files {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        list.iter().map(owned).collect()
    }

    fn text(list: &[(&str, &str)]) -> String {
        recognise(&files(list), "The Dir", &Wishes::default())
            .unwrap()
            .text
    }

    const FLASK: &str =
        "flask==3 --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000\n";

    fn error(list: &[(&str, &str)]) -> String {
        let error = recognise(&files(list), "dir", &Wishes::default()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_rust_app_is_written_with_all_that_its_files_say() {
        let text = text(&[
            (
                "Cargo.toml",
                "[package]\nname = 'my_web'\nlicense = 'MIT OR Apache-2.0'\n",
            ),
            ("Cargo.lock", ""),
            ("src/main.rs", ""),
            ("Makefile", "all:\n"),
            ("Dockerfile", "FROM x\nEXPOSE 8080\n"),
        ]);
        assert_eq!(
            text,
            r#"# Recognised by Cargo.toml and Cargo.lock.
load("//lib/rust.star", "rust_app")

app = rust_app(
    name = "my-web",
    src = source(".", exclude = ["*.tar", "target"]),
    license = "MIT OR Apache-2.0",
)

image(
    name = "my-web", packages = [app], entrypoint = ["/bin/my_web"], ports = [8080],
)
"#
        );
    }

    #[test]
    fn every_kind_has_its_function_and_at_most_15_lines() {
        let cases: [(Kind, &[(&str, &str)]); 7] = [
            (
                Kind::Rust,
                &[
                    ("Cargo.toml", "[package]\nname='a'"),
                    ("Cargo.lock", ""),
                    ("src/main.rs", ""),
                ],
            ),
            (
                Kind::Go,
                &[
                    ("go.mod", "module x.example/a/v2\n"),
                    ("cmd/b/main.go", "package main\n"),
                ],
            ),
            (
                Kind::Node,
                &[
                    (
                        "package.json",
                        r#"{"name":"@s/a","bin":{"b":"./dist/b.js"},"scripts":{"build":"tsc -p ."}}"#,
                    ),
                    ("package-lock.json", "{}"),
                ],
            ),
            (
                Kind::Python,
                &[
                    (
                        "pyproject.toml",
                        "[project]\nname='a'\n[project.scripts]\nb='a.cli:main'",
                    ),
                    ("uv.lock", ""),
                ],
            ),
            (
                Kind::Cmake,
                &[(
                    "CMakeLists.txt",
                    "project(A C)\n# add_executable(no)\nadd_executable(b b.c)",
                )],
            ),
            (
                Kind::Meson,
                &[(
                    "meson.build",
                    "project('a', 'c', license: 'MIT')\nexecutable('b', 'b.c')",
                )],
            ),
            (
                Kind::Make,
                &[(
                    "Makefile",
                    "b: b.c\n\tcc -o $@ b.c -lz\nb.o: b.c\n\tcc -o $@ -c b.c\n",
                )],
            ),
        ];
        for (kind, list) in cases {
            let found = recognise(&files(list), "dir", &Wishes::default()).unwrap();
            assert_eq!(found.kind, kind);
            let (load, call) = (
                format!("\"//lib/{kind}.star\", \"{kind}_app\""),
                format!("app = {kind}_app("),
            );
            assert!(
                found.text.contains(&load) && found.text.contains(&call),
                "{}",
                found.text
            );
            assert!(found.text.lines().count() <= 15, "{}", found.text);
            let program = if kind == Kind::Rust { "a" } else { "b" };
            assert!(
                found.text.contains(&format!("[\"/bin/{program}\"]")),
                "{}",
                found.text
            );
        }
    }

    #[test]
    fn what_node_runs_comes_from_the_most_telling_place() {
        let manifest = r#"{"scripts":{"start":"node src/start.js"},"main":"lib.js"}"#;
        let lock = ("package-lock.json", "{}");
        for (list, main) in [
            (
                vec![
                    ("package.json", manifest),
                    lock,
                    ("Dockerfile", "CMD [\"node\", \"./d.js\"]"),
                ],
                "d.js",
            ),
            (vec![("package.json", manifest), lock], "src/start.js"),
            (
                vec![
                    (
                        "package.json",
                        r#"{"scripts":{"start":"npm run serve","serve":"node ./s.js"},"main":"lib.js"}"#,
                    ),
                    lock,
                ],
                "s.js",
            ),
            (
                vec![("package.json", r#"{"main":"./lib.js"}"#), lock],
                "lib.js",
            ),
            (
                vec![("package.json", "{}"), lock, ("index.js", "")],
                "index.js",
            ),
        ] {
            let text = text(&list);
            assert!(
                text.contains(&format!("    main = \"{main}\",\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn scripts_that_a_dockerfile_runs_make_files_and_start_the_app() {
        let scripts =
            r#"{"scripts":{"build":"vite build","start":"node s.js --quiet","test":"jest"}}"#;
        let found = |dockerfile| {
            text(&[
                ("package.json", scripts),
                ("package-lock.json", "{}"),
                ("s.js", ""),
                ("Dockerfile", dockerfile),
            ])
        };
        let whole = found(
            "FROM node AS made\nRUN --mount=type=cache,target=/root/.npm npm ci && npm run build\nRUN npm test\nFROM node\nCMD npm start\n",
        );
        for part in [
            "    build = \"vite build\",\n",
            "    main = \"s.js\",\n",
            "[\"/bin/app\"]",
            "[\"--quiet\"]",
            "workdir = app.out + \"/lib/app\"",
        ] {
            assert!(whole.contains(part), "{whole}");
        }
        let plain = found("FROM node\nRUN npm ci\nCMD [\"node\", \"s.js\"]\n");
        assert!(!plain.contains("build ="), "{plain}");
    }

    #[test]
    fn a_python_app_without_scripts_runs_its_main_file() {
        let text = text(&[("requirements.txt", FLASK), ("app.py", "")]);
        assert!(text.contains("    name = \"the-dir\",\n"), "{text}");
        assert!(
            text.contains(
                "    lock = \"requirements.txt\",\n    main = \"app.py\",\n    program = \"app\",\n"
            ),
            "{text}"
        );
        assert!(text.contains("# license = \"…\","), "{text}");
        assert!(text.contains("[\"/bin/app\"]"), "{text}");
        let django = self::text(&[("requirements.txt", FLASK), ("manage.py", "")]);
        assert!(django.contains("    main = \"manage.py\",\n"), "{django}");
    }

    #[test]
    fn a_program_that_is_not_called_like_its_app_is_named() {
        let manifest = |script: &str| {
            let manifest = format!(
                "[project]\nname = \"http-tool\"\n[project.scripts]\n{script} = \"h.cli:main\"\n"
            );
            text(&[("pyproject.toml", manifest.as_str())])
        };
        let other = manifest("http");
        let made = "    entry = \"h.cli:main\",\n    program = \"http\",\n)";
        assert!(other.contains(made), "{other}");
        assert!(other.contains("[\"/bin/http\"]"), "{other}");
        let same = manifest("http-tool");
        assert!(same.contains("    entry = \"h.cli:main\",\n)"), "{same}");
    }

    #[test]
    fn a_dockerfile_says_how_an_app_is_started() {
        let python = |dockerfile: &str| {
            let list = [
                ("requirements.txt", FLASK),
                ("app.py", ""),
                ("Dockerfile", dockerfile),
            ];
            let found = recognise(&files(&list), "dir", &Wishes::default()).unwrap();
            assert!(found.text.lines().count() <= 15, "{}", found.text);
            (found.text, found.notes)
        };
        let (text, notes) = python(
            "FROM python\nWORKDIR /srv\nENV MODE=production\nEXPOSE 80\nCMD flask run -h 0.0.0.0\n",
        );
        assert!(
            text.ends_with(
                r#"
    lock = "requirements.txt",
    programs = ["flask"],
)

image(
    name = "dir", packages = [app], entrypoint = ["/bin/flask"], ports = [80],
    cmd = ["run", "-h", "0.0.0.0"], env = {"MODE": "production"}, workdir = app.out + "/lib/app",
)
"#
            ),
            "{text}"
        );
        assert_eq!(
            notes[1..],
            [
                "program `flask`: of a wheel, by Dockerfile",
                "no license: no manifest states one, and there is no LICENSE file",
                "ports 80, by Dockerfile",
                "environment MODE, by Dockerfile",
            ]
        );
        let (text, _) = python("FROM python\nCMD [\"python3\", \"-m\", \"http.server\", \"80\"]\n");
        assert!(
            text.contains("    module = \"http.server\",\n")
                && text.contains("[\"/bin/server\"],\n    cmd = [\"80\"],\n"),
            "{text}"
        );
        // Not a release of the lock file, and a script for a shell.
        let (text, notes) = python("FROM python\nCMD ./start.sh app\n");
        assert!(text.contains("    main = \"app.py\",\n"), "{text}");
        assert_eq!(
            notes.last().unwrap(),
            "Dockerfile starts `./start.sh app`, which is not what the image will start: change `entrypoint` and `cmd` if it should"
        );
    }

    #[test]
    fn of_several_programs_the_one_that_a_dockerfile_starts_is_meant() {
        let text = text(&[
            ("Cargo.toml", "[package]\nname='a'"),
            ("Cargo.lock", ""),
            ("src/bin/x.rs", ""),
            ("src/bin/y.rs", ""),
            (
                "Dockerfile",
                "FROM a\nENTRYPOINT [\"/usr/bin/y\", \"--all\"]\n",
            ),
        ]);
        assert!(
            text.contains("[\"/bin/y\"],\n    cmd = [\"--all\"],\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_evident_is_asked_for() {
        let several = [
            ("Cargo.toml", "[package]\nname='a'"),
            ("Cargo.lock", ""),
            ("package.json", "{}"),
            ("src/bin/x.rs", ""),
            ("src/bin/y.rs", ""),
        ];
        assert_eq!(
            error(&several),
            "more than one kind of app lies here:\n  rust    Cargo.toml, Cargo.lock\n  node    package.json"
        );
        let wishes = |kind, program: Option<&str>| Wishes {
            kind,
            program: program.map(str::to_owned),
        };
        let of = |wishes: &Wishes| recognise(&files(&several), "d", wishes);
        let rust = Some(Kind::Rust);
        let all = of(&wishes(rust, None)).unwrap_err();
        assert_eq!(
            all.to_string(),
            "`Cargo.toml` has more than one program: x, y"
        );
        let one = of(&wishes(rust, Some("y"))).unwrap();
        assert!(one.text.contains("[\"/bin/y\"]"), "{}", one.text);
        let no = of(&wishes(rust, Some("z"))).unwrap_err();
        assert_eq!(no.to_string(), "there is no program `z`; there is x, y");
        let absent = of(&wishes(Some(Kind::Go), None)).unwrap_err();
        assert_eq!(absent.to_string(), "there is no go app here: no go.mod");
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        for (list, message) in [
            (
                vec![("README", "")],
                "no app is recognised: there is none of Cargo.toml, go.mod, package.json, pyproject.toml, requirements.txt, CMakeLists.txt, meson.build, GNUmakefile, makefile, Makefile",
            ),
            (
                vec![("package.json", "{}")],
                "there is no package-lock.json beside `package.json` that pins its dependencies",
            ),
            (
                vec![("package.json", "{\n  ]"), ("package-lock.json", "")],
                "package.json:2: it is no valid JSON",
            ),
            (
                vec![
                    ("pyproject.toml", "[project]\ndependencies = ['flask']\n"),
                    ("main.py", ""),
                ],
                "there is no uv.lock, poetry.lock, pylock.toml, requirements.txt beside `pyproject.toml` that pins its dependencies",
            ),
            (
                vec![("requirements.txt", "# web\nflask>=3\n"), ("app.py", "")],
                "requirements.txt:2: `flask>=3` is not pinned to one version with `==`",
            ),
            (
                vec![
                    ("Cargo.toml", "[package]\nname='a'"),
                    ("Cargo.lock", ""),
                    ("src/lib.rs", ""),
                ],
                "`Cargo.toml` is that of a library: there is no src/main.rs, no src/bin and no [[bin]]",
            ),
        ] {
            assert_eq!(error(&list), message);
        }
    }
}
