//! `poetry.lock`, version 2.1, as Poetry 2 writes it: each package says in which groups and by which markers it is wanted.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::Target;
use super::choose::{File, Located, Release, holds, normal_name, parse};
use crate::lang::locks::{LockProblem, line_at};

#[derive(Deserialize)]
struct RawLock {
    #[serde(default)]
    package: Vec<RawPackage>,
    metadata: Option<RawMetadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawMetadata {
    lock_version: Option<Spanned<String>>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: Spanned<String>,
    version: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    groups: Vec<String>,
    markers: Option<Markers>,
    #[serde(default)]
    files: Vec<File>,
    source: Option<RawSource>,
}

/// One marker for all groups, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    Each(BTreeMap<String, String>),
}

#[derive(Deserialize)]
struct RawSource {
    r#type: String,
    #[serde(default)]
    url: String,
}

/// The group that an app needs to run.
const GROUP: &str = "main";

pub(super) fn releases(text: &str, target: &Target) -> Located<Vec<Release>> {
    let raw: RawLock = parse(text)?;
    let version = raw.metadata.and_then(|metadata| metadata.lock_version);
    if version.as_ref().map(|version| version.as_ref().as_str()) != Some("2.1") {
        let line = version.as_ref().map_or(0, |version| version.span().start);
        let found = version.map_or_else(|| "unnamed".to_owned(), Spanned::into_inner);
        let known = "2.1";
        return Err((line_at(text, line), LockProblem::Version { found, known }));
    }
    let mut releases = Vec::new();
    for package in raw.package {
        let line = line_at(text, package.name.span().start);
        let marker = match &package.markers {
            None => None,
            Some(Markers::All(marker)) => Some(marker),
            Some(Markers::Each(markers)) => markers.get(GROUP),
        };
        let wanted = package.groups.iter().any(|group| group == GROUP) && !package.optional;
        let fits = match marker {
            Some(marker) => holds(marker, target, line)?,
            None => true,
        };
        if !wanted || !fits {
            continue;
        }
        let name = normal_name(package.name.as_ref());
        if let Some(source) = package.source {
            let label = format!("{name} {}", package.version);
            return Err((line, from_elsewhere(label, source)));
        }
        releases.push(Release {
            name,
            version: package.version,
            files: package.files,
            line,
        });
    }
    Ok(releases)
}

fn from_elsewhere(package: String, source: RawSource) -> LockProblem {
    let url = source.url;
    match source.r#type.as_str() {
        "directory" | "file" => LockProblem::Local { package },
        "legacy" => LockProblem::Registry { package, url },
        _ => LockProblem::VersionControl { package, url },
    }
}
