//! Node apps: what `package.json` and the files beside it say.

use serde_json::Value;

use super::container::{Container, Started};
use super::facts::{Facts, Program};
use super::names::{is_plain_path, quoted};
use super::{Kind, ProjectError, ProjectFiles};

const MANIFEST: &str = "package.json";
/// What Node itself runs in a directory, and what its users call a server.
const MAINS: [&str; 4] = ["server.js", "index.js", "app.js", "main.js"];

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
    let started = text_at("/scripts/start").and_then(|start| start.strip_prefix("node "));
    if let Some((Started::File(main), rest)) = container.started("node")
        && let Some(main) = plain(main)
    {
        facts.programs = vec![program(&name, main, container.file).started_with(rest)];
        return with_build(files, facts, main, &manifest);
    }
    if let Some(main) = started.and_then(plain) {
        let program = program(&name, main, "the script `start` of package.json");
        facts.programs = vec![match container.command.join(" ").as_str() {
            "npm start" | "npm run start" => program.started_with(&[]),
            _ => program,
        }];
        return with_build(files, facts, main, &manifest);
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
        return with_build(files, facts, &main, &manifest);
    }
    let first = facts.programs.first().map(|program| program.name.clone());
    let main = first.and_then(|name| {
        let bin = manifest.get("bin")?;
        let path = bin.as_str().or_else(|| bin.get(&name)?.as_str())?;
        plain(path).map(str::to_owned)
    });
    with_build(files, facts, &main.unwrap_or_default(), &manifest)
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

/// Adds the build step when the file that is run does not lie there: then the script `build` makes it.
fn with_build(
    files: &dyn ProjectFiles,
    mut facts: Facts,
    main: &str,
    manifest: &Value,
) -> Result<Facts, ProjectError> {
    let build = manifest.pointer("/scripts/build").and_then(Value::as_str);
    if let Some(build) = build
        && files.text(main)?.is_none()
    {
        facts.notes.push(format!(
            "{main} is not there, so the script `build` has to make it"
        ));
        facts.arguments.push(("build", quoted(build)));
    }
    Ok(facts)
}
