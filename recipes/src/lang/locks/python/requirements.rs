//! `requirements.txt` with hashes (pip documentation, "Requirements File Format" and "Hash-checking Mode").

use super::Target;
use super::choose::{Located, PythonPackage, check_name, check_version, holds, normal_name};
use crate::lang::locks::LockProblem;

/// Options that say where files come from or how they are checked, which is decided elsewhere.
const PASSED_OVER: [&str; 10] = [
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--require-hashes",
    "--only-binary",
    "--prefer-binary",
    "--trusted-host",
];

pub(super) fn packages(text: &str, target: &Target) -> Located<Vec<PythonPackage>> {
    let mut packages = Vec::new();
    for (line, text) in logical_lines(text) {
        let failed = |problem| (line, problem);
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let option = first.split('=').next().unwrap_or_default();
        if PASSED_OVER.contains(&option) {
            continue;
        }
        if first.starts_with('-') {
            let message = format!("the option `{option}` is not supported");
            return Err(failed(LockProblem::Syntax { message }));
        }
        let (requirement, options) = match text.find(" --") {
            Some(at) => text.split_at(at),
            None => (text.as_str(), ""),
        };
        let (requirement, marker) = match requirement.split_once(';') {
            Some((requirement, marker)) => (requirement, Some(marker.trim())),
            None => (requirement, None),
        };
        if let Some(marker) = marker
            && !holds(marker, target, line)?
        {
            continue;
        }
        let (name, version) = name_and_version(requirement.trim()).map_err(failed)?;
        let package = format!("{name} {version}");
        let mut digests = options
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("--hash="));
        let digest = match (digests.next(), digests.count()) {
            (None, _) => {
                let field = "--hash";
                return Err(failed(LockProblem::NoDigest { package, field }));
            }
            (Some(digest), 0) => digest,
            (Some(_), more) => {
                let count = more + 1;
                return Err(failed(LockProblem::NamelessFiles { package, count }));
            }
        };
        let digest = digest
            .parse()
            .map_err(|source| failed(LockProblem::Digest { package, source }))?;
        packages.push(PythonPackage {
            name,
            version,
            file: None,
            url: None,
            digest,
            line,
        });
    }
    Ok(packages)
}

/// The lines without comments, those that end in `\` joined; each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let line = match line.trim_start().starts_with('#') {
            true => "",
            false => line.split(" #").next().unwrap_or_default(),
        };
        let (line, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if continued => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push((index + 1, line.trim().to_owned())),
        }
        continued = goes_on;
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

/// The two of `Name[extra]==1.0`.
fn name_and_version(requirement: &str) -> Result<(String, String), LockProblem> {
    if let Some((name, url)) = requirement.split_once(" @ ") {
        return Err(LockProblem::VersionControl {
            package: name.trim().to_owned(),
            url: url.trim().to_owned(),
        });
    }
    if requirement.contains("://") {
        return Err(LockProblem::VersionControl {
            package: "a requirement".to_owned(),
            url: requirement.to_owned(),
        });
    }
    let Some((name, version)) = requirement.split_once("==") else {
        return Err(LockProblem::Unpinned {
            package: requirement.to_owned(),
        });
    };
    let name = name.split('[').next().unwrap_or_default().trim();
    let name = normal_name(name);
    let version = version.trim_start_matches('=').trim().to_owned();
    check_name(&name)?;
    check_version(&version)?;
    Ok((name, version))
}
