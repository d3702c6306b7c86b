//! `Cargo.lock`, versions 3 and 4, and the unnamed version 2 (The Cargo Book, "Cargo.toml vs Cargo.lock"; cargo's
//! `core/resolver/encode.rs` is the definition).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{LockError, LockProblem, line_at};
use crate::model::ContentDigest;

/// What a `Cargo.lock` pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct CargoLock {
    /// In the file's order.
    pub(in crate::lang) crates: Vec<CargoCrate>,
}

/// One crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct CargoCrate {
    pub(in crate::lang) name: String,
    pub(in crate::lang) version: String,
    pub(in crate::lang) source: CargoSource,
    /// The line of its name.
    pub(in crate::lang) line: usize,
}

/// Where a crate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lang) enum CargoSource {
    /// The project itself: a member of the workspace, or a path.
    Project,
    /// The public registry, with the digest of the crate's archive.
    Registry(ContentDigest),
}

#[derive(Deserialize)]
struct RawLock {
    version: Option<Spanned<i64>>,
    #[serde(default)]
    package: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: Spanned<String>,
    version: Spanned<String>,
    source: Option<Spanned<String>>,
    checksum: Option<Spanned<String>>,
}

/// How cargo calls the public registry, whatever protocol it uses to reach it.
const PUBLIC_REGISTRY: &str = "/rust-lang/crates.io-index";

/// Reads the text of a `Cargo.lock`, which messages call `file`.
pub(in crate::lang) fn cargo_lock(file: &str, text: &str) -> Result<CargoLock, LockError> {
    let at = |offset: usize, problem| LockError {
        file: file.to_owned(),
        line: line_at(text, offset),
        problem,
    };
    let raw: RawLock = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = error.message().to_owned();
        at(offset, LockProblem::Syntax { message })
    })?;
    if let Some(version) = &raw.version
        && !matches!(version.as_ref(), 3 | 4)
    {
        let found = version.as_ref().to_string();
        let known = "3, 4 and the unnamed one of cargo 1.41 to 1.52";
        return Err(at(
            version.span().start,
            LockProblem::Version { found, known },
        ));
    }
    let mut lines = BTreeMap::new();
    let mut crates = Vec::with_capacity(raw.package.len());
    for package in raw.package {
        let start = package.name.span().start;
        let line = line_at(text, start);
        check_name(package.name.as_ref()).map_err(|problem| at(start, problem))?;
        check_version(package.version.as_ref())
            .map_err(|problem| at(package.version.span().start, problem))?;
        let (name, version) = (
            package.name.into_inner(),
            package.version.as_ref().to_owned(),
        );
        let source = match (&package.source, &package.checksum) {
            (None, _) => CargoSource::Project,
            (Some(source), checksum) => {
                let label = format!("{name} {version}");
                source_of(label, source, checksum.as_ref(), start)
                    .map_err(|(offset, problem)| at(offset, problem))?
            }
        };
        let key = (name.clone(), version.clone(), package.source.is_some());
        if let Some(first) = lines.insert(key, line) {
            let package = format!("{name} {version}");
            return Err(at(start, LockProblem::Duplicate { package, first }));
        }
        crates.push(CargoCrate {
            name,
            version,
            source,
            line,
        });
    }
    Ok(CargoLock { crates })
}

/// Returns where a crate comes from, or what is wrong with that and at which byte.
fn source_of(
    package: String,
    source: &Spanned<String>,
    checksum: Option<&Spanned<String>>,
    start: usize,
) -> Result<CargoSource, (usize, LockProblem)> {
    let url = source.as_ref();
    let place = source.span().start;
    let registry = url
        .strip_prefix("registry+")
        .or_else(|| url.strip_prefix("sparse+"));
    let Some(registry) = registry else {
        let url = url.strip_prefix("git+").unwrap_or(url).to_owned();
        return Err((place, LockProblem::VersionControl { package, url }));
    };
    if !registry.ends_with(PUBLIC_REGISTRY) {
        let url = registry.to_owned();
        return Err((place, LockProblem::Registry { package, url }));
    }
    let Some(checksum) = checksum else {
        let field = "checksum";
        return Err((start, LockProblem::NoDigest { package, field }));
    };
    ContentDigest::sha256_from_hex(checksum.as_ref())
        .map(CargoSource::Registry)
        .map_err(|source| {
            (
                checksum.span().start,
                LockProblem::Digest { package, source },
            )
        })
}

/// A name becomes part of an address and of a path.
fn check_name(name: &str) -> Result<(), LockProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(plain) {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: name.escape_debug().to_string(),
        what: "name of a crate",
    })
}

fn check_version(version: &str) -> Result<(), LockProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".+-".contains(&b);
    let starts = version
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit());
    if starts && version.len() <= 64 && version.bytes().all(plain) {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: version.escape_debug().to_string(),
        what: "version of a crate",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b";

    fn read(text: &str) -> Result<CargoLock, String> {
        let index = "registry+https://example.org/rust-lang/crates.io-index";
        let text = text.replace("INDEX", index).replace("DIGEST", DIGEST);
        cargo_lock("Cargo.lock", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn crates_of_the_registry_and_of_the_project_are_told_apart() {
        let lock = read(
            "# by hand\nversion = 4\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\"a\"]\n\n\
             [[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nsource = \"INDEX\"\nchecksum = \"DIGEST\"\n",
        )
        .unwrap();
        let digest = ContentDigest::sha256_from_hex(DIGEST).unwrap();
        let entry = |name: &str, version: &str, source, line| CargoCrate {
            name: name.to_owned(),
            version: version.to_owned(),
            source,
            line,
        };
        assert_eq!(
            lock.crates,
            [
                entry("app", "0.1.0", CargoSource::Project, 5),
                entry("a", "1.0.0+x", CargoSource::Registry(digest), 10),
            ]
        );
    }

    #[test]
    fn what_cannot_be_fetched_and_checked_is_refused_with_its_line() {
        let head = "version = 3\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";
        for (text, expected) in [
            (
                "version = 5\n".to_owned(),
                "Cargo.lock:1: this is version 5 of the lock file's format; known are 3, 4 and the unnamed one of cargo 1.41 to 1.52",
            ),
            (
                format!("{head}source = \"INDEX\"\n"),
                "Cargo.lock:3: `a 1.0.0` has no checksum, so nothing would tell whether the right bytes come",
            ),
            (
                format!("{head}source = \"INDEX\"\nchecksum = \"abc\"\n"),
                "Cargo.lock:6: `a 1.0.0`: `sha256` has 3 characters instead of 64 hexadecimal digits: `abc`",
            ),
            (
                format!("{head}source = \"git+https://example.org/a?branch=main#0123\"\n"),
                "Cargo.lock:5: `a 1.0.0` comes from `https://example.org/a?branch=main#0123`, of which the lock file has no digest",
            ),
            (
                format!("{head}source = \"sparse+https://crates.example.org/\"\n"),
                "Cargo.lock:5: `a 1.0.0` comes from `https://crates.example.org/`, which is not the public registry",
            ),
            (
                "[[package]]\nname = \"../a\"\nversion = \"1.0.0\"\n".to_owned(),
                "Cargo.lock:2: `../a` is no name of a crate",
            ),
            (
                "[[package]]\nname = \"a\"\nversion = \"../1\"\n".to_owned(),
                "Cargo.lock:3: `../1` is no version of a crate",
            ),
            (
                format!("{head}{}", head.replace("version = 3\n", "")),
                "Cargo.lock:6: `a 1.0.0` stands in the file twice; first in line 3",
            ),
            (
                "version = 3\n[[package]]\nversion = \"1.0.0\"\n".to_owned(),
                "Cargo.lock:2: missing field `name`",
            ),
            (
                "version = 3\n<<<<<<< mine\n".to_owned(),
                "Cargo.lock:2: key with no value, expected `=`",
            ),
        ] {
            assert_eq!(read(&text).unwrap_err(), expected, "{text}");
        }
    }
}
