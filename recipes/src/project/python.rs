//! Python apps: what `pyproject.toml`, the lock file and the files beside them say.

use super::container::Container;
use super::facts::{Facts, Program};
use super::names::{is_plain_path, parse_toml, quoted, string_at, table_at};
use super::{Kind, ProjectError, ProjectFiles};

const MANIFEST: &str = "pyproject.toml";
/// What users call the file that is run.
const MAINS: [&str; 4] = ["main.py", "app.py", "server.py", "__main__.py"];

/// Programs are those of `[project.scripts]`; without any, the one file that a Dockerfile or a usual name tells.
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
    match lock(files)? {
        Some(lock) => facts.arguments.push(("lock", quoted(lock))),
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
    if facts.programs.is_empty() {
        let main = match container
            .script(&["python", "python3"])
            .filter(|main| is_plain_path(main))
        {
            Some(main) => Some((main.to_owned(), container.file)),
            None => usual_main(files)?,
        };
        let Some((main, reason)) = main else {
            return Err(ProjectError::NoProgram {
                manifest: MANIFEST.to_owned(),
                reason: "there is no [project.scripts], and no main.py, app.py, server.py or __main__.py",
            });
        };
        let stem = main.rsplit('/').next().unwrap_or_default();
        let stem = stem.strip_suffix(".py").unwrap_or(stem).trim_matches('_');
        let name = facts.name.clone().unwrap_or_else(|| stem.to_owned());
        let program = Program::new(name, format!("{main}, by {reason}"));
        facts.programs = vec![program.with("main", quoted(&main))];
    }
    Ok(facts)
}

/// The file that pins the dependencies.
fn lock(files: &dyn ProjectFiles) -> Result<Option<&'static str>, ProjectError> {
    for lock in Kind::Python.locks() {
        if files.text(lock)?.is_some() {
            return Ok(Some(lock));
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
            Some(Program::new(name, reason).with("entry", quoted(target)))
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
