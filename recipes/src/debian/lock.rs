#![doc = include_str!("LOCK.md")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::lock_error::LockError;
use super::relation::is_name;
use super::version::DebVersion;
use crate::model::ContentDigest;

/// The only version of the format.
const VERSION: i64 = 1;

/// Packages with all that is needed to fetch them, and why they are these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// `amd64`.
    pub architecture: String,
    /// The packages that were asked for.
    pub request: BTreeSet<String>,
    /// What may be left out.
    pub prune: BTreeSet<String>,
    /// What was left out, with the package that wanted it first.
    pub pruned: BTreeMap<String, String>,
    /// The indexes it was resolved against, in the order in which they were asked.
    pub suites: Vec<LockedSuite>,
    /// Everything that was chosen, sorted by name.
    pub packages: Vec<LockedPackage>,
}

/// One index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedSuite {
    /// `bookworm`.
    pub name: String,
    /// The mirror, `debian`.
    pub mirror: String,
    /// When its release was made, `2026-07-11T10:16:37Z`.
    pub date: String,
    /// The digest of the compressed `Packages` file.
    pub index: ContentDigest,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: DebVersion,
    /// `amd64` or `all`.
    pub architecture: String,
    /// The source package that it was built from.
    pub source: String,
    /// The mirror that has it.
    pub mirror: String,
    /// Where it lies below the mirror.
    pub path: String,
    /// The digest of the `.deb`.
    pub sha256: ContentDigest,
    /// The size of the `.deb`.
    pub size_bytes: u64,
    /// The locked packages that it depends on.
    pub depends: BTreeSet<String>,
}

impl Lock {
    /// Reads a lock file; `file` is its name for messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, LockError> {
        let lines = Lines { file, text };
        let wrong = |error: &toml::de::Error| {
            lines.problem(
                error.span().unwrap_or(0..0),
                error.message().replace('\n', " "),
            )
        };
        let version: VersionOnly = toml::from_str(text).map_err(|error| wrong(&error))?;
        if *version.version.get_ref() != VERSION {
            return Err(LockError::Version {
                file: file.to_owned(),
                line: lines.number(&version.version.span()),
                found: *version.version.get_ref(),
                known: VERSION,
            });
        }
        let raw: RawLock = toml::from_str(text).map_err(|error| wrong(&error))?;
        let mut packages = Vec::with_capacity(raw.package.len());
        let mut needs = Vec::new();
        for package in raw.package {
            let span = package.span();
            let package = package.into_inner();
            needs.push((package.depends.span(), package.name.get_ref().clone()));
            packages.push((span, lines.package(package)?));
        }
        packages.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        for pair in packages.windows(2) {
            if let [(_, first), (span, second)] = pair
                && first.name == second.name
            {
                return Err(LockError::Twice {
                    file: file.to_owned(),
                    line: lines.number(span),
                    name: first.name.clone(),
                });
            }
        }
        let request_span = raw.packages.span();
        let lock = Self {
            architecture: raw.architecture,
            request: raw.packages.into_inner(),
            prune: raw.prune,
            pruned: raw.pruned,
            suites: raw
                .suite
                .into_iter()
                .map(|suite| lines.suite(suite))
                .collect::<Result<_, _>>()?,
            packages: packages.into_iter().map(|(_, package)| package).collect(),
        };
        lock.check_complete(&lines, &request_span, &needs)?;
        Ok(lock)
    }

    fn check_complete(
        &self,
        lines: &Lines<'_>,
        request: &Range<usize>,
        needs: &[(Range<usize>, String)],
    ) -> Result<(), LockError> {
        let missing = |name: &str, span: &Range<usize>, by: Option<&str>| LockError::Missing {
            file: lines.file.to_owned(),
            line: lines.number(span),
            name: name.to_owned(),
            by: by.map(str::to_owned),
        };
        if let Some(name) = self.request.iter().find(|name| self.find(name).is_none()) {
            return Err(missing(name, request, None));
        }
        for (span, by) in needs {
            let package = self.find(by);
            let depends = package.into_iter().flat_map(|package| &package.depends);
            if let Some(name) = depends.into_iter().find(|name| self.find(name).is_none()) {
                return Err(missing(name, span, Some(by)));
            }
        }
        Ok(())
    }

    /// Returns the package of a name.
    pub fn find(&self, name: &str) -> Option<&LockedPackage> {
        let found = self
            .packages
            .binary_search_by(|package| package.name.as_str().cmp(name));
        found.ok().and_then(|index| self.packages.get(index))
    }

    /// Returns the packages that some of those of the lock need, themselves included, sorted by name; the first name
    /// that is not locked is the error.
    pub fn closure<'n>(
        &self,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<&LockedPackage>, String> {
        let mut found: BTreeMap<&str, &LockedPackage> = BTreeMap::new();
        let mut pending: Vec<&LockedPackage> = Vec::new();
        for name in names {
            pending.push(self.find(name).ok_or_else(|| name.to_owned())?);
        }
        while let Some(package) = pending.pop() {
            if found.insert(&package.name, package).is_none() {
                pending.extend(package.depends.iter().filter_map(|name| self.find(name)));
            }
        }
        Ok(found.into_values().collect())
    }

    /// Returns the text of the lock file; equal locks have equal texts.
    pub fn to_text(&self) -> String {
        let mut text = String::from(HEADER);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "version = {VERSION}\narchitecture = {}",
            quoted(&self.architecture)
        );
        put_list(&mut text, "packages", &self.request);
        put_list(&mut text, "prune", &self.prune);
        text.push_str("\n# Left out by `prune`, and for whom it was wanted first.\n[pruned]\n");
        for (name, by) in &self.pruned {
            let _ = writeln!(text, "{} = {}", quoted(name), quoted(by));
        }
        for suite in &self.suites {
            let LockedSuite {
                name,
                mirror,
                date,
                index,
            } = suite;
            let _ = write!(
                text,
                "\n[[suite]]\nname = {}\nmirror = {}\ndate = {}\nindex = {}\n",
                quoted(name),
                quoted(mirror),
                quoted(date),
                quoted(&index.to_string())
            );
        }
        for package in &self.packages {
            let _ = write!(
                text,
                "\n[[package]]\nname = {}\nversion = {}\narchitecture = {}\nsource = {}\nmirror = {}\npath = {}\nsha256 = {}\nsize = {}\n",
                quoted(&package.name),
                quoted(package.version.as_str()),
                quoted(&package.architecture),
                quoted(&package.source),
                quoted(&package.mirror),
                quoted(&package.path),
                quoted(package.sha256.to_string().trim_start_matches("sha256:")),
                package.size_bytes,
            );
            put_list(&mut text, "depends", &package.depends);
        }
        text
    }
}

const HEADER: &str = "\
# Made by `pith debian lock`. What is in `packages` and `prune` may be edited; lock again afterwards.
";

/// Longer lists take a line for each element, so that a change of one is a change of one line.
const MAX_LIST: usize = 80;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLock {
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
            let text = lock.to_text();
            let read = Lock::parse("x.lock", &text).unwrap();
            prop_assert_eq!(&read, &lock);
            prop_assert_eq!(read.to_text(), text);
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
            if let Err(error) = Lock::parse("x.lock", &text) {
                prop_assert!(error.to_string().starts_with("x.lock:"));
            }
        }
    }
}
