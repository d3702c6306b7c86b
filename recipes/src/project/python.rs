//! Python apps: what `pyproject.toml`, the lock file and the files beside them say.

use super::container::{Container, Started};
use super::facts::{Facts, PROGRAM, Program};
use super::names::{is_plain_path, is_program_name, parse_toml, quoted, string_at, table_at};
use super::{Kind, ProjectError, ProjectFiles};
use crate::lang::check_requirements;

const MANIFEST: &str = "pyproject.toml";
const REQUIREMENTS: &str = "requirements.txt";
/// What users call the file that is run.
const MAINS: [&str; 5] = ["main.py", "app.py", "server.py", "manage.py", "__main__.py"];

/// The program is what a Dockerfile starts; else those of `[project.scripts]`, or the one file that has a usual name.
pub(super) fn python(
    files: &dyn ProjectFiles,
    container: &Container,
) -> Result<Facts, ProjectError> {
    let manifest = match files.text(MANIFEST)? {
        Some(text) => parse_toml(MANIFEST, &text)?,
        None => toml::Table::new(),
    };
    let license = string_at(&manifest, &["project", "license"])
        .or_else(|| string_at(&manifest, &["project", "license", "text"]))
        .or_else(|| string_at(&manifest, &["tool", "poetry", "license"]));
    let name = string_at(&manifest, &["project", "name"])
        .or_else(|| string_at(&manifest, &["tool", "poetry", "name"]));
    let mut facts = Facts {
        name: name.map(str::to_owned),
        license: license.map(|license| (license.to_owned(), MANIFEST)),
        ..Facts::default()
    };
    let lock = lock(files)?;
    match &lock {
        Some((file, text)) => {
            // Written by hand, or with the digests of the files for every platform, it would stop the first build.
            if *file == REQUIREMENTS {
                check_requirements(file, text)?;
            }
            facts.arguments.push(("lock", quoted(file)));
        }
        None if has_dependencies(&manifest) => {
            return Err(ProjectError::NoLock {
                kind: Kind::Python,
                manifest: MANIFEST,
                locks: Kind::Python.locks(),
            });
        }
        None => facts.notes.push("no dependencies".to_owned()),
    }
    facts.programs = scripts(&manifest);
    let locked = lock.as_ref().map_or("", |(_, text)| text);
    if let Some(program) = started(locked, &facts, container) {
        facts.programs = vec![program];
    }
    if facts.programs.is_empty() {
        let Some((main, reason)) = usual_main(files)? else {
            return Err(ProjectError::NoProgram {
                manifest: MANIFEST.to_owned(),
                reason: "there is no [project.scripts], and no main.py, app.py, server.py, manage.py or __main__.py",
            });
        };
        facts.programs = vec![main_program(&facts, &main, reason)];
    }
    Ok(facts)
}

/// The program that is a file of the app.
fn main_program(facts: &Facts, main: &str, reason: &str) -> Program {
    let stem = main.rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".py").unwrap_or(stem).trim_matches('_');
    let name = facts.name.clone().unwrap_or_else(|| stem.to_owned());
    let called = quoted(&name);
    Program::new(name, format!("{main}, by {reason}"))
        .with("main", quoted(main))
        .with(PROGRAM, called)
}

/// What a Dockerfile starts: a file of the app, a module, or a program of a wheel that the lock file names. `None` for anything else, and for what
/// `[project.scripts]` has.
fn started(locked: &str, facts: &Facts, container: &Container) -> Option<Program> {
    let (started, rest) = container.started("python")?;
    let by = |what: &str| format!("{what}, by {}", container.file);
    let program = match started {
        Started::File(main) if is_plain_path(main) => main_program(facts, main, container.file),
        Started::Module(module) if is_module(module) => {
            let name = module.rsplit('.').next().unwrap_or(module);
            Program::new(name, by(&format!("module {module}"))).with("module", quoted(module))
        }
        Started::Program(name)
            if facts.programs.iter().all(|program| program.name != name)
                && is_locked(locked, name) =>
        {
            let programs = format!("[{}]", quoted(name));
            Program::new(name, by("of a wheel")).with("programs", programs)
        }
        _ => return None,
    };
    Some(program.started_with(rest))
}

fn is_module(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split('.')
        .all(|part| !part.is_empty() && part.chars().all(plain))
}

/// Whether the text of a lock file has a release that is called like the program: `gunicorn`, `flask`.
fn is_locked(text: &str, name: &str) -> bool {
    let part = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
    is_program_name(name) && text.split(part).any(|word| word.eq_ignore_ascii_case(name))
}

/// The file that pins the dependencies, and its text.
fn lock(files: &dyn ProjectFiles) -> Result<Option<(&'static str, String)>, ProjectError> {
    for lock in Kind::Python.locks() {
        if let Some(text) = files.text(lock)? {
            return Ok(Some((lock, text)));
        }
    }
    Ok(None)
}

fn has_dependencies(manifest: &toml::Table) -> bool {
    let listed = table_at(manifest, &["project"]).and_then(|project| project.get("dependencies"));
    let listed = listed
        .and_then(toml::Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let poetry = table_at(manifest, &["tool", "poetry", "dependencies"]);
    // Poetry lists the interpreter among them.
    listed || poetry.is_some_and(|table| table.keys().any(|name| name != "python"))
}

/// The programs of `[project.scripts]` or of poetry: a name for each `module:function`.
fn scripts(manifest: &toml::Table) -> Vec<Program> {
    let table = table_at(manifest, &["project", "scripts"])
        .or_else(|| table_at(manifest, &["tool", "poetry", "scripts"]));
    let mut programs: Vec<Program> = table
        .into_iter()
        .flatten()
        .filter_map(|(name, target)| {
            let target = target.as_str()?;
            let reason = format!("{target}, by the scripts of {MANIFEST}");
            let program = Program::new(name, reason).with("entry", quoted(target));
            Some(program.with(PROGRAM, quoted(name)))
        })
        .collect();
    programs.sort();
    programs
}

fn usual_main(files: &dyn ProjectFiles) -> Result<Option<(String, &'static str)>, ProjectError> {
    for main in MAINS {
        if files.text(main)?.is_some() {
            return Ok(Some((main.to_owned(), "its name")));
        }
    }
    Ok(None)
}
