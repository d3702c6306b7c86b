//! `package-lock.json`, versions 2 and 3 (npm documentation, "package-lock.json").
//!
//! Both have a map `packages`, in which each key is the very path at which a package lies below the project. What a package
//! is for (`os`, `cpu`, `libc`) is compared with the platform here, so that records say only whether it fits.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{LockError, LockProblem, line_at};
use crate::model::ContentDigest;

/// What a `package-lock.json` pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct NpmLock {
    /// The version of the project itself.
    pub(in crate::lang) version: Option<String>,
    /// Sorted by path, so that each comes before those inside of it.
    pub(in crate::lang) packages: Vec<NpmPackage>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lang) struct NpmPackage {
    /// Where it lies, `node_modules/a/node_modules/@b/c`.
    pub(in crate::lang) path: String,
    /// What the registry calls it, which differs from the path's end for an alias.
    pub(in crate::lang) name: String,
    pub(in crate::lang) version: String,
    /// The address of its archive, where the file says one.
    pub(in crate::lang) url: Option<String>,
    /// The digest of its archive, as it is written.
    pub(in crate::lang) integrity: String,
    pub(in crate::lang) license: Option<String>,
    /// Only needed to build or test the project.
    pub(in crate::lang) dev: bool,
    /// The project does without it where it does not fit.
    pub(in crate::lang) optional: bool,
    /// It is for this platform.
    pub(in crate::lang) fits: bool,
    /// Programs: name and path below the package; sorted.
    pub(in crate::lang) bin: BTreeMap<String, String>,
    /// The line of its path.
    pub(in crate::lang) line: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLock<'a> {
    version: Option<String>,
    lockfile_version: Option<u64>,
    #[serde(borrow, default)]
    packages: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawPackage {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    license: Option<String>,
    link: bool,
    in_bundle: bool,
    dev: bool,
    optional: bool,
    dev_optional: bool,
    os: Vec<String>,
    cpu: Vec<String>,
    libc: Vec<String>,
    bin: BTreeMap<String, String>,
}

const DIRECTORY: &str = "node_modules/";

/// Reads the text of a `package-lock.json`, which messages call `file`, for Linux with glibc and `cpu` as Node calls it.
pub(in crate::lang) fn npm_lock(file: &str, text: &str, cpu: &str) -> Result<NpmLock, LockError> {
    let error = |line, problem| LockError {
        file: file.to_owned(),
        line,
        problem,
    };
    let syntax = |first: usize| {
        move |cause: serde_json::Error| {
            let message = cause.to_string();
            // The parser's own place counts from where it began.
            let message = message.split(" at line ").next().unwrap_or_default();
            error(
                first + cause.line().saturating_sub(1),
                LockProblem::Syntax {
                    message: message.to_owned(),
                },
            )
        }
    };
    let raw: RawLock<'_> = serde_json::from_str(text).map_err(syntax(1))?;
    if !matches!(raw.lockfile_version, Some(2 | 3)) {
        let found = raw
            .lockfile_version
            .map_or_else(|| "unnamed".to_owned(), |version| version.to_string());
        let line = text
            .find("\"lockfileVersion\"")
            .map_or(1, |offset| line_at(text, offset));
        return Err(error(
            line,
            LockProblem::Version {
                found,
                known: "2 and 3",
            },
        ));
    }
    let mut packages = Vec::with_capacity(raw.packages.len());
    for (path, value) in raw.packages {
        let offset = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let line = line_at(text, offset);
        let entry: RawPackage = serde_json::from_str(value.get()).map_err(syntax(line))?;
        // The project itself; and what lies in the archive of the package above.
        if path.is_empty() || entry.in_bundle {
            continue;
        }
        let package = package(path, entry, line, cpu).map_err(|problem| error(line, problem))?;
        packages.push(package);
    }
    Ok(NpmLock {
        version: raw.version,
        packages,
    })
}

fn package(
    path: String,
    entry: RawPackage,
    line: usize,
    cpu: &str,
) -> Result<NpmPackage, LockProblem> {
    let Some(last) = last_name(&path) else {
        return Err(LockProblem::Local { package: path });
    };
    let name = entry.name.unwrap_or_else(|| last.to_owned());
    if entry.link {
        return Err(LockProblem::Local { package: name });
    }
    check_path(&path)?;
    check_name(&name)?;
    let Some(version) = entry.version else {
        return Err(LockProblem::Local { package: name });
    };
    check_version(&version)?;
    let package = format!("{name} {version}");
    let url = match entry.resolved {
        None => None,
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => Some(url),
        Some(url) if url.starts_with("file:") => {
            return Err(LockProblem::Local { package });
        }
        Some(url) => return Err(LockProblem::VersionControl { package, url }),
    };
    let Some(integrity) = entry.integrity else {
        let field = "integrity";
        return Err(LockProblem::NoDigest { package, field });
    };
    if let Err(source) = ContentDigest::from_integrity(&integrity) {
        return Err(LockProblem::Digest { package, source });
    }
    for (program, target) in &entry.bin {
        check_path(target.trim_start_matches("./"))?;
        check_path(program)?;
    }
    Ok(NpmPackage {
        fits: fits(&entry.os, "linux") && fits(&entry.cpu, cpu) && fits(&entry.libc, "glibc"),
        path,
        name,
        version,
        url,
        integrity,
        license: entry.license,
        dev: entry.dev || entry.dev_optional,
        optional: entry.optional || entry.dev_optional,
        bin: entry.bin,
        line,
    })
}

/// The name that a path ends in, when it is one below `node_modules`.
fn last_name(path: &str) -> Option<&str> {
    path.starts_with(DIRECTORY)
        .then(|| path.rsplit(DIRECTORY).next())
        .flatten()
}

/// Whether a list such as `["!win32"]` or `["linux", "darwin"]` lets `value` in.
fn fits(list: &[String], value: &str) -> bool {
    let refused = |entry: &String| entry.strip_prefix('!') == Some(value);
    let only = || list.iter().any(|entry| !entry.starts_with('!'));
    let named = |entry: &String| entry == value || entry == "any";
    !list.iter().any(refused) && (!only() || list.iter().any(named))
}

fn is_plain(part: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-._~@".contains(&b);
    !matches!(part, "" | "." | "..") && part.bytes().all(plain)
}

fn check_path(path: &str) -> Result<(), LockProblem> {
    if path.len() <= 1000 && path.split('/').all(is_plain) {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: path.escape_debug().to_string(),
        what: "plain path below the project",
    })
}

/// A name becomes part of an address: `name` or `@scope/name`.
fn check_name(name: &str) -> Result<(), LockProblem> {
    let parts: Vec<&str> = name.split('/').collect();
    let good = match parts.as_slice() {
        [name] => is_plain(name) && !name.starts_with('@'),
        [scope, name] => {
            scope.len() > 1 && scope.starts_with('@') && is_plain(scope) && is_plain(name)
        }
        _ => false,
    };
    if good && name.len() <= 214 {
        return Ok(());
    }
    Err(LockProblem::Name {
        text: name.escape_debug().to_string(),
        what: "name of a package",
    })
}

fn check_version(version: &str) -> Result<(), LockProblem> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".+-".contains(&b);
    let starts = version.bytes().next().is_some_and(|b| b.is_ascii_digit());
    if starts && version.len() <= 256 && version.bytes().all(plain) {
        return Ok(());
    }
    // npm puts the address of what is not from a registry in the place of the version.
    if version.contains(':') {
        return Err(LockProblem::VersionControl {
            package: "a package".to_owned(),
            url: version.escape_debug().to_string(),
        });
    }
    Err(LockProblem::Name {
        text: version.escape_debug().to_string(),
        what: "version of a package",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTEGRITY: &str = "sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA==";

    fn read(packages: &str) -> Result<NpmLock, String> {
        let text = format!(
            "{{\n\"version\": \"1.2.3\",\n\"lockfileVersion\": 3,\n\"packages\": {{\n\"\": {{}},\n{}\n}}}}",
            packages.replace("DIGEST", INTEGRITY)
        );
        npm_lock("package-lock.json", &text, "x64").map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_the_path_and_says_the_name() {
        let lock = read(
            r#""node_modules/@s/a/node_modules/b": {"version": "2.0.0-rc.1", "integrity": "DIGEST", "dev": true, "bin": {"b": "./cli.js"}, "license": "MIT"},
"node_modules/alias": {"name": "real", "version": "1.0.0", "resolved": "https://r.example/x.tgz", "integrity": "DIGEST"},
"node_modules/alias/node_modules/inside": {"version": "1.0.0", "inBundle": true}"#,
        )
        .unwrap();
        assert_eq!(lock.version.as_deref(), Some("1.2.3"));
        let [b, alias] = lock.packages.as_slice() else {
            panic!("{lock:?}")
        };
        assert_eq!((b.name.as_str(), b.line, b.dev), ("b", 6, true));
        assert_eq!(b.bin["b"], "./cli.js");
        assert_eq!(b.license.as_deref(), Some("MIT"));
        assert_eq!((alias.name.as_str(), alias.line), ("real", 7));
        assert_eq!(alias.url.as_deref(), Some("https://r.example/x.tgz"));
        assert_eq!(alias.path, "node_modules/alias");
    }

    #[test]
    fn what_is_for_another_platform_does_not_fit() {
        for (fields, expected) in [
            ("", true),
            (r#", "os": ["linux", "darwin"]"#, true),
            (r#", "os": ["!linux"]"#, false),
            (r#", "os": ["!win32"]"#, true),
            (r#", "cpu": ["arm64"]"#, false),
            (r#", "libc": ["musl"]"#, false),
        ] {
            let entry = format!(
                "\"node_modules/a\": {{\"version\": \"1.0.0\", \"integrity\": \"DIGEST\"{fields}}}"
            );
            assert_eq!(read(&entry).unwrap().packages[0].fits, expected, "{fields}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_and_checked_is_refused_with_its_line() {
        for (entry, expected) in [
            (
                r#""node_modules/a": {"version": "1.0.0"}"#,
                "package-lock.json:6: `a 1.0.0` has no integrity, so nothing would tell whether the right bytes come",
            ),
            (
                r#""node_modules/a": {"version": "1.0.0", "resolved": "git+ssh://git@h.example/a.git#0123"}"#,
                "package-lock.json:6: `a 1.0.0` comes from `git+ssh://git@h.example/a.git#0123`, of which the lock file has no digest",
            ),
            (
                r#""node_modules/a": {"resolved": "packages/a", "link": true}"#,
                "package-lock.json:6: `a` is a directory or file of the project, which is not supported",
            ),
            (
                r#""packages/a": {"version": "1.0.0"}"#,
                "package-lock.json:6: `packages/a` is a directory or file of the project, which is not supported",
            ),
            (
                r#""node_modules/../a": {"version": "1.0.0", "integrity": "DIGEST"}"#,
                "package-lock.json:6: `node_modules/../a` is no plain path below the project",
            ),
            (
                "\"node_modules/a\": {\n\"version\": 1}",
                "package-lock.json:7: invalid type: integer `1`, expected a string",
            ),
        ] {
            assert_eq!(read(entry).unwrap_err(), expected, "{entry}");
        }
        let old = "{\n  \"lockfileVersion\": 1\n}";
        let error = npm_lock("package-lock.json", old, "x64").unwrap_err();
        assert_eq!(
            error.to_string(),
            "package-lock.json:2: this is version 1 of the lock file's format; known are 2 and 3"
        );
    }
}
