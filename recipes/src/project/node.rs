//! Node apps: what `package.json` and the files beside it say.

use serde_json::Value;

use super::container::{Container, Started};
use super::facts::{Facts, Program};
use super::names::{is_plain_path, quoted};
use super::scripts::{Call, Scripts};
use super::{Kind, ProjectError, ProjectFiles};

const MANIFEST: &str = "package.json";
/// What Node itself runs in a directory, and what its users call a server.
const MAINS: [&str; 4] = ["server.js", "index.js", "app.js", "main.js"];

/// What the names of scripts begin with that make nothing.
const CHECKS: [&str; 2] = ["test", "lint"];

/// npm: programs are those of `bin`; without any, the one file that a Dockerfile, `start`, `main` or a usual name tells.
pub(super) fn node(files: &dyn ProjectFiles, container: &Container) -> Result<Facts, ProjectError> {
    let text = files.text(MANIFEST)?.unwrap_or_default();
    let manifest: Value = serde_json::from_str(&text).map_err(|error| ProjectError::Manifest {
        file: MANIFEST.to_owned(),
        line: error.line(),
        reason: "it is no valid JSON".to_owned(),
    })?;
    if files.text("package-lock.json")?.is_none() {
        return Err(ProjectError::NoLock {
            kind: Kind::Node,
            manifest: MANIFEST,
            locks: Kind::Node.locks(),
        });
    }
    let text_at = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    // `@scope/name` is the package `name` of somebody.
    let name = text_at("/name").and_then(|name| name.rsplit('/').next());
    let name = name.unwrap_or("app").to_owned();
    let mut facts = Facts {
        name: Some(name.clone()),
        license: text_at("/license").map(|license| (license.to_owned(), MANIFEST)),
        ..Facts::default()
    };
    let scripts = Scripts::new(&manifest);
    if let Some((Started::File(main), rest)) = container.started("node")
        && let Some(main) = plain(main)
    {
        facts.programs = vec![program(&name, main, container.file).started_with(rest)];
        return with_build(files, facts, main, &scripts, container);
    }
    let by_container = scripts.called_by(&container.command);
    if let Some(script) = by_container.as_deref().or(scripts.has("start"))
        && let Some(Call { file, rest }) = scripts.node_call(script)
        && let Some(main) = plain(&file)
    {
        let reason = format!("the script `{script}` of package.json");
        let program = program(&name, main, &reason);
        facts.in_directory = true;
        let has_command = by_container.is_some() || !rest.is_empty();
        facts.programs = vec![if has_command {
            program.started_with(&rest)
        } else {
            program
        }];
        return with_build(files, facts, main, &scripts, container);
    }
    facts.programs = bins(&manifest, &name);
    if facts.programs.is_empty() {
        let main = match text_at("/main").and_then(plain) {
            Some(main) => Some((main.to_owned(), "`main` of package.json".to_owned())),
            None => usual_main(files)?,
        };
        let Some((main, reason)) = main else {
            return Err(ProjectError::NoProgram {
                manifest: MANIFEST.to_owned(),
                reason: "no `bin`, `main` or script `start`, and no server.js, index.js, app.js or main.js",
            });
        };
        facts.programs = vec![program(&name, &main, &reason)];
        return with_build(files, facts, &main, &scripts, container);
    }
    let first = facts.programs.first().map(|program| program.name.clone());
    let main = first.and_then(|name| {
        let bin = manifest.get("bin")?;
        let path = bin.as_str().or_else(|| bin.get(&name)?.as_str())?;
        plain(path).map(str::to_owned)
    });
    with_build(files, facts, &main.unwrap_or_default(), &scripts, container)
}

fn program(name: &str, main: &str, reason: &str) -> Program {
    Program::new(name, format!("{main}, by {reason}")).with("main", quoted(main))
}

/// A path as `package.json` writes them, without `./`.
fn plain(path: &str) -> Option<&str> {
    let path = path.trim();
    let path = path.strip_prefix("./").unwrap_or(path);
    is_plain_path(path).then_some(path)
}

/// The programs of `bin`: one path, or a path for each name.
fn bins(manifest: &Value, name: &str) -> Vec<Program> {
    const REASON: &str = "`bin` of package.json";
    match manifest.get("bin") {
        Some(Value::String(path)) => plain(path)
            .map(|path| program(name, path, REASON))
            .into_iter()
            .collect(),
        Some(Value::Object(paths)) => paths
            .iter()
            .filter_map(|(name, path)| Some(program(name, plain(path.as_str()?)?, REASON)))
            .collect(),
        _ => Vec::new(),
    }
}

fn usual_main(files: &dyn ProjectFiles) -> Result<Option<(String, String)>, ProjectError> {
    for main in MAINS {
        if files.text(main)?.is_some() {
            return Ok(Some((main.to_owned(), "its name".to_owned())));
        }
    }
    Ok(None)
}

/// Adds the build step: the scripts that a Dockerfile runs; else, when the file that is run does not lie there, the script `build`, which makes it.
fn with_build(
    files: &dyn ProjectFiles,
    mut facts: Facts,
    main: &str,
    scripts: &Scripts<'_>,
    container: &Container,
) -> Result<Facts, ProjectError> {
    let ran = container.runs.iter();
    let ran: Vec<String> = ran
        .filter_map(|words| scripts.called_by(words))
        .filter(|script| !CHECKS.iter().any(|check| script.starts_with(check)))
        .collect();
    let build = match (ran.as_slice(), scripts.text("build")) {
        ([], None) => return Ok(facts),
        ([], Some(build)) if files.text(main)?.is_some() => {
            facts.notes.push(format!(
                "the script `build` is not run, as {main} is there; `build = {}` runs it",
                quoted(build)
            ));
            return Ok(facts);
        }
        ([], Some(build)) => {
            facts.notes.push(format!(
                "{main} is not there, so the script `build` has to make it"
            ));
            build.to_owned()
        }
        (ran, _) => {
            facts.notes.push(match ran {
                [one] => format!("the script `{one}` builds it, by {}", container.file),
                _ => format!(
                    "the scripts `{}` build it, by {}",
                    ran.join("`, `"),
                    container.file
                ),
            });
            let commands = ran.iter().filter_map(|script| scripts.text(script));
            commands.collect::<Vec<_>>().join(" && ")
        }
    };
    facts.arguments.push(("build", quoted(&build)));
    Ok(facts)
}
