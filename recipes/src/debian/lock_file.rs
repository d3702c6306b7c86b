#![doc = include_str!("LOCK.md")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::lock::{Lock, LockedPackage, LockedSuite};
use super::lock_error::LockError;
use super::relation::is_name;
use crate::model::ContentDigest;

/// The version of a file with one architecture.
const ONE: i64 = 1;
/// The version of a file with several.
const SEVERAL: i64 = 2;

/// One request, locked for an architecture or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    /// Sorted by architecture, each once, at least one; with equal requests.
    locks: Vec<Lock>,
}

impl LockFile {
    /// Joins locks of the same request for different architectures.
    pub fn new(mut locks: Vec<Lock>) -> Self {
        locks.sort_by(|a, b| a.architecture.cmp(&b.architecture));
        Self { locks }
    }

    /// Reads a lock file; `file` is its name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let lines = Lines { file, text };
        let version: VersionOnly = lines.read()?;
        match *version.version.get_ref() {
            ONE => {
                let raw: RawOne = lines.read()?;
                let request = Request {
                    packages: raw.packages,
                    prune: raw.prune,
                };
                let tables = RawTables {
                    pruned: raw.pruned,
                    suite: raw.suite,
                    package: raw.package,
                };
                let lock = lines.lock(raw.architecture, &request, tables, None)?;
                Ok(Self { locks: vec![lock] })
            }
            SEVERAL => {
                let raw: RawSeveral = lines.read()?;
                let request = Request {
                    packages: raw.packages,
                    prune: raw.prune,
                };
                let locks: Vec<Lock> = raw
                    .architecture
                    .into_iter()
                    .map(|(name, tables)| {
                        let shown = Some(name.clone());
                        lines.lock(name, &request, tables, shown)
                    })
                    .collect::<Result<_, _>>()?;
                if locks.is_empty() {
                    let problem = "it has no architecture".to_owned();
                    return Err(lines.problem(version.version.span(), problem));
                }
                Ok(Self { locks })
            }
            found => Err(LockError::Version {
                file: file.to_owned(),
                line: lines.number(&version.version.span()),
                found,
                known: SEVERAL,
            }),
        }
    }

    /// Returns what is locked for an architecture.
    pub fn find(&self, architecture: &str) -> Option<&Lock> {
        let mut locks = self.locks.iter();
        locks.find(|lock| lock.architecture == architecture)
    }

    /// Returns the locks, sorted by architecture.
    pub fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// Returns the text of the lock file; equal locks have equal texts.
    pub fn to_text(&self) -> String {
        let mut text = String::from(HEADER);
        // Writing to a String cannot fail.
        if let [lock] = self.locks.as_slice() {
            let architecture = quoted(&lock.architecture);
            let _ = writeln!(text, "version = {ONE}\narchitecture = {architecture}");
            put_request(&mut text, lock);
            put_tables(&mut text, lock, "");
            return text;
        }
        let _ = writeln!(text, "version = {SEVERAL}");
        if let Some(lock) = self.locks.first() {
            put_request(&mut text, lock);
        }
        for lock in &self.locks {
            put_tables(
                &mut text,
                lock,
                &format!("architecture.{}.", lock.architecture),
            );
        }
        text
    }
}

const HEADER: &str = "\
# Made by `pith debian lock`. What is in `packages` and `prune` may be edited; lock again afterwards.
";

/// Longer lists take a line for each element, so that a change of one is a change of one line.
const MAX_LIST: usize = 80;

fn put_request(text: &mut String, lock: &Lock) {
    put_list(text, "packages", &lock.request);
    put_list(text, "prune", &lock.prune);
}

/// Writes all but the request, in tables whose names begin with `prefix`.
fn put_tables(text: &mut String, lock: &Lock, prefix: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n# Left out by `prune`, and for whom it was wanted first.\n[{prefix}pruned]"
    );
    for (name, by) in &lock.pruned {
        let _ = writeln!(text, "{} = {}", quoted(name), quoted(by));
    }
    for suite in &lock.suites {
        let LockedSuite {
            name,
            mirror,
            date,
            index,
        } = suite;
        let _ = write!(
            text,
            "\n[[{prefix}suite]]\nname = {}\nmirror = {}\ndate = {}\nindex = {}\n",
            quoted(name),
            quoted(mirror),
            quoted(date),
            quoted(&index.to_string())
        );
    }
    for package in &lock.packages {
        let _ = write!(
            text,
            "\n[[{prefix}package]]\nname = {}\nversion = {}\narchitecture = {}\nsource = {}\nmirror = {}\npath = {}\nsha256 = {}\nsize = {}\n",
            quoted(&package.name),
            quoted(package.version.as_str()),
            quoted(&package.architecture),
            quoted(&package.source),
            quoted(&package.mirror),
            quoted(&package.path),
            quoted(package.sha256.to_string().trim_start_matches("sha256:")),
            package.size_bytes,
        );
        put_list(text, "depends", &package.depends);
    }
}

fn put_list(text: &mut String, name: &str, list: &BTreeSet<String>) {
    let items: Vec<String> = list.iter().map(|item| quoted(item)).collect();
    let short = items.join(", ");
    let _ = if short.len() <= MAX_LIST {
        writeln!(text, "{name} = [{short}]")
    } else {
        writeln!(text, "{name} = [\n    {},\n]", items.join(",\n    "))
    };
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[derive(Deserialize)]
struct VersionOnly {
    version: Spanned<i64>,
}

/// What was asked for, as it is written.
struct Request {
    packages: Spanned<BTreeSet<String>>,
    prune: BTreeSet<String>,
}

/// Version 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOne {
    #[serde(rename = "version")]
    _version: i64,
    architecture: String,
    packages: Spanned<BTreeSet<String>>,
    prune: BTreeSet<String>,
    #[serde(default)]
    pruned: BTreeMap<String, String>,
    #[serde(default)]
    suite: Vec<RawSuite>,
    #[serde(default)]
    package: Vec<Spanned<RawPackage>>,
}

/// Version 2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeveral {
    #[serde(rename = "version")]
    _version: i64,
    packages: Spanned<BTreeSet<String>>,
    prune: BTreeSet<String>,
    architecture: BTreeMap<String, RawTables>,
}

/// What there is of one architecture.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTables {
    #[serde(default)]
    pruned: BTreeMap<String, String>,
    #[serde(default)]
    suite: Vec<RawSuite>,
    #[serde(default)]
    package: Vec<Spanned<RawPackage>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    name: String,
    mirror: String,
    date: String,
    index: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: Spanned<String>,
    version: Spanned<String>,
    architecture: String,
    source: String,
    mirror: Spanned<String>,
    path: Spanned<String>,
    sha256: Spanned<String>,
    size: u64,
    depends: Spanned<BTreeSet<String>>,
}

/// Turns places in the text into lines.
struct Lines<'a> {
    file: &'a str,
    text: &'a str,
}

impl Lines<'_> {
    fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, LockError> {
        toml::from_str(self.text).map_err(|error| {
            self.problem(
                error.span().unwrap_or(0..0),
                error.message().replace('\n', " "),
            )
        })
    }

    /// Reads what is locked for one architecture, which messages name where it is `shown`.
    fn lock(
        &self,
        architecture: String,
        request: &Request,
        tables: RawTables,
        shown: Option<String>,
    ) -> Result<Lock, LockError> {
        if !is_architecture(&architecture) {
            let problem = format!("`{}` is no architecture", architecture.escape_debug());
            return Err(self.problem(0..0, problem));
        }
        let mut packages = Vec::with_capacity(tables.package.len());
        let mut needs = Vec::new();
        for package in tables.package {
            let span = package.span();
            let package = package.into_inner();
            needs.push((package.depends.span(), package.name.get_ref().clone()));
            packages.push((span, self.package(package)?));
        }
        packages.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        for pair in packages.windows(2) {
            if let [(_, first), (span, second)] = pair
                && first.name == second.name
            {
                return Err(LockError::Twice {
                    file: self.file.to_owned(),
                    line: self.number(span),
                    name: first.name.clone(),
                });
            }
        }
        let lock = Lock {
            architecture,
            request: request.packages.get_ref().clone(),
            prune: request.prune.clone(),
            pruned: tables.pruned,
            suites: (tables.suite.into_iter())
                .map(|suite| self.suite(suite))
                .collect::<Result<_, _>>()?,
            packages: packages.into_iter().map(|(_, package)| package).collect(),
        };
        let missing = |name: &str, span: &Range<usize>, by: Option<&str>| LockError::Missing {
            file: self.file.to_owned(),
            line: self.number(span),
            name: name.to_owned(),
            by: by.map(str::to_owned),
            architecture: shown.clone(),
        };
        if let Some(name) = lock.request.iter().find(|name| lock.find(name).is_none()) {
            return Err(missing(name, &request.packages.span(), None));
        }
        for (span, by) in needs {
            let depends = lock.find(&by).into_iter().flat_map(|found| &found.depends);
            if let Some(name) = depends.into_iter().find(|name| lock.find(name).is_none()) {
                return Err(missing(name, &span, Some(&by)));
            }
        }
        Ok(lock)
    }

    fn number(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    fn problem(&self, span: Range<usize>, problem: String) -> LockError {
        LockError::Text {
            file: self.file.to_owned(),
            line: self.number(&span),
            problem,
        }
    }

    fn suite(&self, suite: RawSuite) -> Result<LockedSuite, LockError> {
        let digest = suite.index.get_ref().parse();
        let index = digest.map_err(|error: crate::model::DigestTextError| {
            self.problem(suite.index.span(), error.to_string())
        })?;
        Ok(LockedSuite {
            name: suite.name,
            mirror: suite.mirror,
            date: suite.date,
            index,
        })
    }

    fn package(&self, package: RawPackage) -> Result<LockedPackage, LockError> {
        let name = package.name.get_ref();
        if !is_name(name) {
            let problem = format!("`{}` is no name of a package", name.escape_debug());
            return Err(self.problem(package.name.span(), problem));
        }
        let version = package.version.get_ref().parse();
        let version = version.map_err(|error: super::VersionError| {
            self.problem(package.version.span(), error.to_string())
        })?;
        let digest = ContentDigest::sha256_from_hex(package.sha256.get_ref());
        let sha256 =
            digest.map_err(|error| self.problem(package.sha256.span(), error.to_string()))?;
        for part in [&package.mirror, &package.path] {
            let text = part.get_ref();
            if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
                let problem = format!("`{}` is no path below a mirror", text.escape_debug());
                return Err(self.problem(part.span(), problem));
            }
        }
        Ok(LockedPackage {
            name: package.name.into_inner(),
            version,
            architecture: package.architecture,
            source: package.source,
            mirror: package.mirror.into_inner(),
            path: package.path.into_inner(),
            sha256,
            size_bytes: package.size,
            depends: package.depends.into_inner(),
        })
    }
}

/// Whether a text can name an architecture, as in `dpkg-architecture -L`.
fn is_architecture(text: &str) -> bool {
    !text.is_empty()
        && (text.bytes()).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set};
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9+.-]{1,8}"
    }

    fn package() -> impl Strategy<Value = LockedPackage> {
        let version = "([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?";
        (name(), version, any::<[u8; 32]>(), any::<u32>()).prop_map(
            |(name, version, digest, size)| LockedPackage {
                version: version.parse().unwrap(),
                architecture: "amd64".to_owned(),
                source: name.clone(),
                mirror: "debian".to_owned(),
                path: format!("pool/main/{name}.deb"),
                sha256: ContentDigest::Sha256(digest),
                size_bytes: size.into(),
                depends: BTreeSet::new(),
                name,
            },
        )
    }

    prop_compose! {
        fn lock()(packages in btree_map(name(), package(), 1..6), prune in btree_set(name(), 0..12), pruned in btree_map(name(), name(), 0..3), chosen in any::<prop::sample::Index>(), index in any::<[u8; 32]>()) -> Lock {
            let names: Vec<String> = packages.keys().cloned().collect();
            let packages = packages.into_iter().map(|(name, package)| LockedPackage {
                name: name.clone(),
                // Everything needs what comes before it.
                depends: names.iter().filter(|other| **other < name).cloned().collect(),
                ..package
            });
            Lock {
                architecture: "amd64".to_owned(),
                request: BTreeSet::from([names[chosen.index(names.len())].clone()]),
                prune,
                pruned,
                suites: vec![LockedSuite {
                    name: "bookworm".to_owned(),
                    mirror: "debian".to_owned(),
                    date: "2026-07-11T10:16:37Z".to_owned(),
                    index: ContentDigest::Sha256(index),
                }],
                packages: packages.collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(lock in lock()) {
            let other = Lock { architecture: "arm64".to_owned(), pruned: BTreeMap::new(), ..lock.clone() };
            for locks in [vec![lock.clone()], vec![other, lock]] {
                let file = LockFile::new(locks);
                let text = file.to_text();
                let read = LockFile::parse("x.lock", &text).unwrap();
                prop_assert_eq!(&read, &file);
                prop_assert_eq!(read.to_text(), text);
            }
        }

        #[test]
        fn a_closure_is_complete_and_holds_what_was_asked_for(lock in lock()) {
            let names: Vec<&str> = lock.request.iter().map(String::as_str).collect();
            let closure = lock.closure(names.iter().copied()).unwrap();
            let has = |name: &str| closure.iter().any(|package| package.name == name);
            prop_assert!(names.iter().all(|name| has(name)));
            prop_assert!(closure.iter().all(|package| package.depends.iter().all(|name| has(name))));
        }

        #[test]
        fn any_text_is_a_lock_or_an_error_with_its_line(text in "(version = [0-9]\n)?[a-z\\[\\]=\"\n ]{0,60}") {
            if let Err(error) = LockFile::parse("x.lock", &text) {
                prop_assert!(error.to_string().starts_with("x.lock:"));
            }
        }
    }
}
