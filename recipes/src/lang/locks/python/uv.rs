//! `uv.lock`, version 1: one graph for every platform, of which the part is taken that the project itself leads to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::Target;
use super::choose::{File, Located, Release, holds, normal_name, parse};
use crate::lang::locks::{LockProblem, line_at};

#[derive(Deserialize)]
struct RawLock {
    version: Spanned<i64>,
    #[serde(default)]
    package: Vec<RawPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawPackage {
    name: Spanned<String>,
    version: Option<String>,
    #[serde(default)]
    source: RawSource,
    #[serde(default)]
    dependencies: Vec<RawDependency>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<RawDependency>>,
    #[serde(default)]
    wheels: Vec<File>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawSource {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    #[serde(rename = "virtual")]
    is_virtual: Option<String>,
    editable: Option<String>,
    directory: Option<String>,
}

#[derive(Deserialize)]
struct RawDependency {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
}

impl RawSource {
    fn is_project(&self) -> bool {
        [&self.is_virtual, &self.editable, &self.directory]
            .into_iter()
            .flatten()
            .any(|path| path == ".")
    }

    /// Why the package cannot be fetched from where it is.
    fn problem(&self, package: String) -> Option<LockProblem> {
        if let Some(url) = self.git.as_ref().or(self.url.as_ref()) {
            let url = url.clone();
            return Some(LockProblem::VersionControl { package, url });
        }
        self.registry
            .is_none()
            .then_some(LockProblem::Local { package })
    }
}

pub(super) fn releases(text: &str, target: &Target) -> Located<Vec<Release>> {
    let raw: RawLock = parse(text)?;
    if *raw.version.as_ref() != 1 {
        let found = raw.version.as_ref().to_string();
        let line = line_at(text, raw.version.span().start);
        return Err((line, LockProblem::Version { found, known: "1" }));
    }
    let packages = &raw.package;
    let line = |index: usize| {
        let name = packages.get(index).map(|package| package.name.span().start);
        line_at(text, name.unwrap_or_default())
    };
    let root = packages
        .iter()
        .position(|package| package.source.is_project());
    let Some(root) = root else {
        let message = "no package is the project itself (`source = { virtual = \".\" }`)";
        let message = message.to_owned();
        return Err((1, LockProblem::Syntax { message }));
    };
    let mut seen = BTreeSet::new();
    let mut pending: Vec<(usize, Option<String>)> = vec![(root, None)];
    while let Some((index, extra)) = pending.pop() {
        if !seen.insert((index, extra.clone())) {
            continue;
        }
        let Some(package) = packages.get(index) else {
            continue;
        };
        let none = Vec::new();
        let dependencies = match &extra {
            None => &package.dependencies,
            Some(extra) => package.optional_dependencies.get(extra).unwrap_or(&none),
        };
        for dependency in dependencies {
            if let Some(marker) = &dependency.marker
                && !holds(marker, target, line(index))?
            {
                continue;
            }
            let Some(found) = find(packages, dependency) else {
                let problem = LockProblem::Missing {
                    package: dependency.name.clone(),
                    wanted_by: package.name.as_ref().clone(),
                };
                return Err((line(index), problem));
            };
            pending.push((found, None));
            pending.extend(
                dependency
                    .extra
                    .iter()
                    .map(|extra| (found, Some(extra.clone()))),
            );
        }
    }
    let mut releases = Vec::new();
    let reached: BTreeSet<usize> = seen.into_iter().map(|(index, _)| index).collect();
    for (index, package) in raw.package.into_iter().enumerate() {
        if index == root || !reached.contains(&index) {
            continue;
        }
        let line = line_at(text, package.name.span().start);
        let name = normal_name(package.name.as_ref());
        if let Some(problem) = package.source.problem(name.clone()) {
            return Err((line, problem));
        }
        releases.push(Release {
            name,
            version: package.version.unwrap_or_default(),
            files: package.wheels,
            line,
        });
    }
    Ok(releases)
}

fn find(packages: &[RawPackage], dependency: &RawDependency) -> Option<usize> {
    packages.iter().position(|package| {
        package.name.as_ref() == &dependency.name
            && (dependency.version.is_none() || package.version == dependency.version)
    })
}
