//! Apps that are compiled: Rust, Go, CMake, Meson and Makefiles.

use super::deps::{self, Style};
use super::facts::{Facts, Program};
use super::names::{parse_toml, quoted, string_at, table_at};
use super::{Kind, ProjectError, ProjectFiles};

const CARGO: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";

/// Cargo: programs are `[[bin]]`, `src/main.rs` and `src/bin/*` of the package, or of the members of a workspace.
pub(super) fn rust(files: &dyn ProjectFiles) -> Result<Facts, ProjectError> {
    let text = files.text(CARGO)?.unwrap_or_default();
    let manifest = parse_toml(CARGO, &text)?;
    let Some(lock) = files.text(LOCK)? else {
        return Err(ProjectError::NoLock {
            kind: Kind::Rust,
            manifest: CARGO,
            locks: Kind::Rust.locks(),
        });
    };
    let license = string_at(&manifest, &["package", "license"])
        .or_else(|| string_at(&manifest, &["workspace", "package", "license"]));
    let mut programs = cargo_programs(files, "", &manifest)?;
    for member in members(files, &manifest)? {
        let file = format!("{member}/{CARGO}");
        if let Some(text) = files.text(&file)? {
            programs.extend(cargo_programs(files, &member, &parse_toml(&file, &text)?)?);
        }
    }
    programs.sort();
    programs.dedup();
    if programs.is_empty() {
        return Err(ProjectError::NoProgram {
            manifest: CARGO.to_owned(),
            reason: "there is no src/main.rs, no src/bin and no [[bin]]",
        });
    }
    let mut facts = Facts {
        name: string_at(&manifest, &["package", "name"]).map(str::to_owned),
        programs,
        license: license.map(|license| (license.to_owned(), CARGO)),
        ..Facts::default()
    };
    deps::add_crates(&mut facts, LOCK, &parse_toml(LOCK, &lock)?);
    Ok(facts)
}

/// The members of a workspace, with `dir/*` expanded.
fn members(files: &dyn ProjectFiles, manifest: &toml::Table) -> Result<Vec<String>, ProjectError> {
    let listed = table_at(manifest, &["workspace"]).and_then(|table| table.get("members"));
    let patterns = listed.and_then(toml::Value::as_array);
    let mut members = Vec::new();
    for pattern in patterns
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
    {
        match pattern.strip_suffix("/*") {
            None => members.push(pattern.to_owned()),
            Some(directory) => {
                let names = files.names(directory)?.into_iter();
                members.extend(names.map(|name| format!("{directory}/{name}")));
            }
        }
    }
    Ok(members)
}

fn cargo_programs(
    files: &dyn ProjectFiles,
    directory: &str,
    manifest: &toml::Table,
) -> Result<Vec<Program>, ProjectError> {
    let Some(package) = string_at(manifest, &["package", "name"]) else {
        return Ok(Vec::new());
    };
    let below = |path: &str| match directory {
        "" => path.to_owned(),
        _ => format!("{directory}/{path}"),
    };
    let mut programs = Vec::new();
    let mut named_main = false;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    for bin in bins.into_iter().flatten().filter_map(toml::Value::as_table) {
        let Some(name) = string_at(bin, &["name"]) else {
            continue;
        };
        named_main |= string_at(bin, &["path"]).is_none_or(|path| path == "src/main.rs")
            && name == package
            || string_at(bin, &["path"]) == Some("src/main.rs");
        programs.push(Program::new(name, format!("a [[bin]] of {}", below(CARGO))));
    }
    let main = below("src/main.rs");
    if !named_main && files.text(&main)?.is_some() {
        programs.push(Program::new(package, format!("{main} is there")));
    }
    for name in files.names(&below("src/bin"))? {
        let path = below(&format!("src/bin/{name}"));
        let name = name.strip_suffix(".rs").unwrap_or(&name).to_owned();
        if programs.iter().all(|known| known.name != name) {
            programs.push(Program::new(name, format!("{path} is there")));
        }
    }
    Ok(programs)
}

/// Go: programs are directories with a `package main`: the module's own, or those below `cmd`.
pub(super) fn go(files: &dyn ProjectFiles) -> Result<Facts, ProjectError> {
    let text = files.text("go.mod")?.unwrap_or_default();
    let module = text.lines().enumerate().find_map(|(index, line)| {
        let module = line.trim().strip_prefix("module ")?;
        Some((
            index,
            module
                .split("//")
                .next()?
                .trim()
                .trim_matches('"')
                .to_owned(),
        ))
    });
    let Some((_, module)) = module else {
        return Err(ProjectError::Manifest {
            file: "go.mod".to_owned(),
            line: 1,
            reason: "no line names the module".to_owned(),
        });
    };
    let requires = text.lines().any(|line| line.trim().starts_with("require"));
    let vendored = files.text("vendor/modules.txt")?.is_some();
    if requires && !vendored && files.text("go.sum")?.is_none() {
        return Err(ProjectError::NoLock {
            kind: Kind::Go,
            manifest: "go.mod",
            locks: Kind::Go.locks(),
        });
    }
    let is_version = |part: &&str| {
        let digits = part.strip_prefix('v').unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let name = module.rsplit('/').find(|part| !is_version(part));
    let name = name.unwrap_or("app").to_owned();
    let mut programs = Vec::new();
    if let Some(file) = main_package(files, "")? {
        programs.push(Program::new(&name, format!("{file} is of package main")));
    }
    for command in files.names("cmd")? {
        if let Some(file) = main_package(files, &format!("cmd/{command}"))? {
            let package = format!("[{}]", quoted(&format!("./cmd/{command}")));
            let reason = format!("{file} is of package main");
            programs.push(Program::new(&command, reason).with("programs", package));
        }
    }
    if programs.is_empty() {
        return Err(ProjectError::NoProgram {
            manifest: "go.mod".to_owned(),
            reason: "there is no `package main` here or below cmd",
        });
    }
    Ok(Facts {
        name: Some(name),
        programs,
        ..Facts::default()
    })
}

/// The first file of `directory` that is of `package main`.
fn main_package(files: &dyn ProjectFiles, directory: &str) -> Result<Option<String>, ProjectError> {
    for name in files.names(directory)? {
        if !name.ends_with(".go") || name.ends_with("_test.go") {
            continue;
        }
        let path = match directory {
            "" => name,
            _ => format!("{directory}/{name}"),
        };
        let text = files.text(&path)?.unwrap_or_default();
        if text.lines().any(|line| line.trim() == "package main") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// CMake: programs are the targets of `add_executable` with a literal name.
pub(super) fn cmake(files: &dyn ProjectFiles) -> Result<Facts, ProjectError> {
    const FILE: &str = "CMakeLists.txt";
    let text = without_comments(&files.text(FILE)?.unwrap_or_default());
    let mut programs = Vec::new();
    for name in calls(&text, "add_executable") {
        programs.push(Program::new(name, format!("an add_executable of {FILE}")));
    }
    programs.sort();
    programs.dedup();
    if programs.is_empty() {
        return Err(ProjectError::NoProgram {
            manifest: FILE.to_owned(),
            reason: "it has no add_executable with a literal name",
        });
    }
    let mut facts = Facts {
        name: calls(&text, "project").into_iter().next(),
        programs,
        ..Facts::default()
    };
    deps::add(&mut facts, FILE, &text, Style::Cmake);
    Ok(facts)
}

/// Meson: programs are the targets of `executable`.
pub(super) fn meson(files: &dyn ProjectFiles) -> Result<Facts, ProjectError> {
    const FILE: &str = "meson.build";
    let text = without_comments(&files.text(FILE)?.unwrap_or_default());
    let mut programs = Vec::new();
    for name in calls(&text, "executable") {
        programs.push(Program::new(name, format!("an executable of {FILE}")));
    }
    programs.sort();
    programs.dedup();
    if programs.is_empty() {
        return Err(ProjectError::NoProgram {
            manifest: FILE.to_owned(),
            reason: "it has no executable with a literal name",
        });
    }
    let license = text.split_once("license:").and_then(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix('\'')?;
        Some((rest.split('\'').next()?.to_owned(), FILE))
    });
    let mut facts = Facts {
        name: calls(&text, "project").into_iter().next(),
        programs,
        license,
        ..Facts::default()
    };
    deps::add(&mut facts, FILE, &text, Style::Meson);
    Ok(facts)
}

/// A Makefile: the program is what a variable such as `PROG` calls it, else each target that is linked by its own name.
pub(super) fn make(files: &dyn ProjectFiles, file: &'static str) -> Result<Facts, ProjectError> {
    const VARIABLES: [&str; 8] = [
        "PROG",
        "PROGRAM",
        "TARGET",
        "BIN",
        "BINARY",
        "EXE",
        "EXECUTABLE",
        "NAME",
    ];
    let text = without_comments(&files.text(file)?.unwrap_or_default());
    let assigned = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim_end_matches([':', '?']).trim();
        let value = value.trim();
        let plain = super::names::is_program_name(value);
        (VARIABLES.contains(&name) && plain).then(|| (name.to_owned(), value.to_owned()))
    });
    let programs = match assigned {
        Some((variable, value)) => {
            vec![Program::new(
                value,
                format!("the variable {variable} of {file}"),
            )]
        }
        None => linked_targets(&text)
            .into_iter()
            .map(|target| Program::new(target, format!("a target of {file}")))
            .collect(),
    };
    if programs.is_empty() {
        return Err(ProjectError::NoProgram {
            manifest: file.to_owned(),
            reason: "neither a variable such as PROG or TARGET nor a target that is linked with `-o` says what the program is called",
        });
    }
    let mut facts = Facts {
        name: programs.first().map(|program| program.name.clone()),
        programs,
        ..Facts::default()
    };
    deps::add(&mut facts, file, &text, Style::Makefile);
    Ok(facts)
}

/// Targets without a suffix whose commands write `-o` them; sorted.
fn linked_targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut target = None;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix('\t') {
            let words: Vec<&str> = command.split_whitespace().collect();
            let writes = |name: &str| {
                let mut pairs = words.windows(2);
                pairs.any(|pair| matches!(pair, ["-o", to] if *to == "$@" || *to == name))
            };
            found.extend(target.clone().filter(|name: &String| writes(name)));
        } else if let Some((name, _)) = line.split_once(':') {
            let name = name.trim();
            let plain = super::names::is_program_name(name) && !name.contains('.');
            target = plain.then(|| name.to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The text without what follows a `#`.
fn without_comments(text: &str) -> String {
    let code = |line: &str| line.split('#').next().unwrap_or_default().to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// The first words of calls of `function`, when they are literal names.
fn calls(text: &str, function: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices(function) {
        let before = lower.get(..at).and_then(|head| head.chars().last());
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let rest = text.get(at + function.len()..).unwrap_or_default();
        let Some(rest) = rest.trim_start().strip_prefix('(') else {
            continue;
        };
        let rest = rest.trim_start().trim_start_matches(['\'', '"']);
        let end = rest.find(|c: char| c.is_whitespace() || "'\",)".contains(c));
        let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if super::names::is_program_name(name) {
            found.push(name.to_owned());
        }
    }
    found
}
