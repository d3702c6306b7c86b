//! `pylock.toml`, version 1.0 (PyPA, "pylock.toml specification").

use serde::Deserialize;
use toml::Spanned;

use super::Target;
use super::choose::{File, Located, Release, holds, normal_name, parse};
use crate::lang::locks::{LockProblem, line_at};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawLock {
    lock_version: Spanned<String>,
    #[serde(default)]
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: Spanned<String>,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    wheels: Vec<File>,
    vcs: Option<RawVcs>,
    directory: Option<toml::Table>,
    archive: Option<File>,
}

#[derive(Deserialize)]
struct RawVcs {
    #[serde(default)]
    url: String,
}

pub(super) fn releases(text: &str, target: &Target) -> Located<Vec<Release>> {
    let raw: RawLock = parse(text)?;
    if raw.lock_version.as_ref() != "1.0" {
        let line = line_at(text, raw.lock_version.span().start);
        let found = raw.lock_version.into_inner();
        let known = "1.0";
        return Err((line, LockProblem::Version { found, known }));
    }
    let mut releases = Vec::new();
    for package in raw.packages {
        let line = line_at(text, package.name.span().start);
        if let Some(marker) = &package.marker
            && !holds(marker, target, line)?
        {
            continue;
        }
        let name = normal_name(package.name.as_ref());
        let (Some(version), None, None) = (package.version, &package.vcs, &package.directory)
        else {
            let problem = match package.vcs {
                Some(vcs) => LockProblem::VersionControl {
                    package: name,
                    url: vcs.url,
                },
                None => LockProblem::Local { package: name },
            };
            return Err((line, problem));
        };
        let mut files = package.wheels;
        files.extend(package.archive);
        releases.push(Release {
            name,
            version,
            files,
            line,
        });
    }
    Ok(releases)
}
