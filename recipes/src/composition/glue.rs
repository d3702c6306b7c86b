//! What a system would have besides its packages' files, as if their scripts had run.

use std::collections::{BTreeMap, BTreeSet};

use super::CompositionError;
use super::certificates::{Certificate, bundle, java_key_store};
use super::members::{Kind, Union};
use super::scripts::{Alternative, ScriptFacts};
use crate::source::deb::merged_place;

const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const AUTHORITIES: &str = "usr/share/ca-certificates/";
const JAVA_STORE: &str = "/etc/ssl/certs/java/cacerts";

/// The version numbers of Debian's releases, by which scanners find advisories.
const RELEASES: [(&str, &str); 4] = [
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
];

/// One thing that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Directory,
    File(Vec<u8>),
    Symlink(String),
}

/// All that is added, by place.
pub(super) struct Glue<'a> {
    union: &'a Union,
    pub(super) added: BTreeMap<String, Added>,
}

impl<'a> Glue<'a> {
    pub(super) fn new(union: &'a Union) -> Self {
        Self {
            union,
            added: BTreeMap::new(),
        }
    }

    /// The links at the top of a merged system, and the directories that every program may expect.
    pub(super) fn add_top(&mut self) {
        for top in ["bin", "sbin", "lib"] {
            self.link(top, &format!("usr/{top}"));
        }
        for top in ["lib32", "lib64"] {
            if self.union.has(&format!("usr/{top}")) {
                self.link(top, &format!("usr/{top}"));
            }
        }
        self.link("var/run", "/run");
        self.link("var/lock", "/run/lock");
        for directory in [
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "etc",
            "tmp",
            "run",
            "root",
            "var/tmp",
            "var/log",
            "var/lib",
            "var/cache",
        ] {
            self.directory(directory);
        }
    }

    /// What the package `base-files` would say of the system, for programs that ask which Debian it is.
    pub(super) fn add_release(&mut self, codename: &str) {
        let Some((_, number)) = RELEASES.iter().find(|(name, _)| *name == codename) else {
            return;
        };
        let text = format!(
            "PRETTY_NAME=\"Debian GNU/Linux {number} ({codename})\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"{number}\"\nVERSION=\"{number} ({codename})\"\nVERSION_CODENAME={codename}\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n"
        );
        self.file("usr/lib/os-release", text.into_bytes());
        self.link("etc/os-release", "../usr/lib/os-release");
        self.file("etc/debian_version", format!("{number}\n").into_bytes());
    }

    /// The packages' own words, where scanners of images look for them.
    pub(super) fn add_status(&mut self) {
        for package in &self.union.packages {
            let place = format!("var/lib/dpkg/status.d/{}", package.name);
            self.file(&place, package.control.clone().into_bytes());
        }
    }

    /// The link of each alternative, to the path with the highest priority, over `/etc/alternatives`.
    pub(super) fn add_alternatives(&mut self, alternatives: &[Alternative]) {
        let mut best: BTreeMap<&str, &Alternative> = BTreeMap::new();
        for one in alternatives
            .iter()
            .filter(|one| self.leads_somewhere(&one.path))
        {
            let known = best.entry(&one.name).or_insert(one);
            if (one.priority, &known.path) > (known.priority, &one.path) {
                *known = one;
            }
        }
        for (name, one) in best {
            self.link(&format!("etc/alternatives/{name}"), &one.path);
            self.link(&one.link, &format!("/etc/alternatives/{name}"));
        }
    }

    /// Links and copies of packaged files; a copy becomes a link.
    pub(super) fn add_links(&mut self, links: &BTreeMap<String, String>) {
        for (link, target) in links {
            if self.leads_somewhere(target) {
                self.link(link, target);
            }
        }
    }

    /// Certificates as `update-ca-certificates` and the hook of `ca-certificates-java` leave them.
    pub(super) fn add_certificates(&mut self) -> Result<(), CompositionError> {
        let places: Vec<String> = self
            .union
            .places
            .range(AUTHORITIES.to_owned()..)
            .map(|(place, _)| place)
            .take_while(|place| place.starts_with(AUTHORITIES))
            .filter(|place| place.ends_with(".crt"))
            .cloned()
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        let mut certificates = Vec::with_capacity(places.len());
        for place in &places {
            let alias = place
                .rsplit('/')
                .next()
                .unwrap_or(place)
                .trim_end_matches(".crt");
            certificates.push(Certificate {
                alias: alias.to_owned(),
                pem: self.union.read_text(place)?,
            });
        }
        self.file(BUNDLE, bundle(&certificates).into_bytes());
        // Where the library of OpenSSL looks; the links are in its program's package.
        self.link("usr/lib/ssl/cert.pem", &format!("/{BUNDLE}"));
        self.link("usr/lib/ssl/certs", "/etc/ssl/certs");
        let wants_java =
            self.union.places.values().any(
                |placed| matches!(&placed.kind, Kind::Symlink { target } if target == JAVA_STORE),
            );
        if wants_java {
            let store =
                java_key_store(&certificates).map_err(|alias| CompositionError::Certificate {
                    path: format!("/{AUTHORITIES}…/{alias}.crt"),
                })?;
            self.file(JAVA_STORE, store);
        }
        Ok(())
    }

    /// Adds a directory unless something is there.
    pub(super) fn directory(&mut self, path: &str) {
        self.insert(path, Added::Directory);
    }

    /// Adds a link unless something is there.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.insert(path, Added::Symlink(target.to_owned()));
    }

    fn file(&mut self, path: &str, bytes: Vec<u8>) {
        self.insert(path, Added::File(bytes));
    }

    /// What packages carry goes before what is made up; and nothing is put behind a link.
    fn insert(&mut self, path: &str, added: Added) {
        let top = matches!(path, "bin" | "sbin" | "lib" | "lib32" | "lib64");
        let place = if top {
            Some(path.to_owned())
        } else {
            place_of(path)
        };
        let Some(place) = place.filter(|place| !place.is_empty()) else {
            return;
        };
        let parents: Vec<String> = place
            .match_indices('/')
            .map(|(end, _)| place.get(..end).unwrap_or_default().to_owned())
            .collect();
        let blocked = |parent: &String| {
            let by_package = self
                .union
                .places
                .get(parent)
                .is_some_and(|placed| placed.kind != Kind::Directory);
            by_package
                || self
                    .added
                    .get(parent)
                    .is_some_and(|added| *added != Added::Directory)
        };
        if self.union.has(&place) || self.added.contains_key(&place) || parents.iter().any(blocked)
        {
            return;
        }
        for parent in parents {
            if !self.union.has(&parent) {
                self.added.entry(parent).or_insert(Added::Directory);
            }
        }
        self.added.insert(place, added);
    }

    /// Returns the directories that were added and those above what was added, a directory before what is in it.
    pub(super) fn directories(&self) -> Vec<String> {
        let mut all = BTreeSet::new();
        for (place, added) in &self.added {
            for (end, _) in place.match_indices('/') {
                all.extend(place.get(..end).map(str::to_owned));
            }
            if *added == Added::Directory {
                all.insert(place.clone());
            }
        }
        all.into_iter().collect()
    }

    /// Whether something lies at an absolute path, in a package or among what was added.
    pub(super) fn leads_somewhere(&self, path: &str) -> bool {
        place_of(path)
            .is_some_and(|place| self.union.has(&place) || self.added.contains_key(&place))
    }
}

/// `/bin/x` is `usr/bin/x` and `/var/run/x` is `run/x`.
pub(super) fn place_of(path: &str) -> Option<String> {
    let place = merged_place(path.trim_start_matches('/').as_bytes())?;
    Some(match place.strip_prefix("var/run/") {
        Some(rest) => format!("run/{rest}"),
        None => place,
    })
}

/// Returns the directories that programs write to: those that packages carry empty below `/var`, and those that scripts make.
pub(super) fn writable(union: &Union, facts: &ScriptFacts) -> BTreeSet<String> {
    let empty = ["var/lib", "var/log", "var/cache", "var/spool", "run"]
        .iter()
        .flat_map(|top| union.empty_directories(top));
    let known = ["/var/tmp", "/run"].map(str::to_owned);
    let all = empty.chain(facts.directories.iter().filter_map(|path| place_of(path)));
    let normal = all.map(|place| format!("/{place}")).chain(known);
    normal
        .filter(|path| path != "/run/lock" && !path.starts_with("/var/lib/dpkg"))
        .collect()
}
