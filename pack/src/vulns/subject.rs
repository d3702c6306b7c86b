//! What is looked up: one piece of software, and where in a closure or an image it is. Pure.

use serde::Serialize;

use super::{Key, NameRule, Order, Purl, debian, key::cpe_fields};

/// One piece of software.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its package URL.
    pub purl: Option<Purl>,
    /// Its CPE name, or `vendor:product` alone, where it states one.
    pub cpe: Option<String>,
    /// Where its sources were fetched.
    pub urls: Vec<String>,
    /// What source packages of Debian it was built from, and with which of their revisions.
    pub debian: Vec<DebianSource>,
    /// What was applied to its sources.
    pub patches: Vec<Patch>,
    /// Where it is, sorted.
    pub places: Vec<Place>,
}

/// A source package of Debian.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DebianSource {
    /// Its name.
    pub name: String,
    /// Its version, with the revision.
    pub version: String,
    /// The release that it is of, by its code name; `sid` if that is not known.
    pub release: String,
}

impl DebianSource {
    /// Returns the name by which Debian's data know it.
    pub(super) fn key(&self) -> Key {
        Key::package(super::Ecosystem::Debian, &self.name)
    }
}

/// A patch that was applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Patch {
    /// Its file name.
    pub name: String,
    /// SHA-256 of its bytes, in hex; none where only a bill of materials tells of it.
    pub sha256: Option<String>,
    /// The vulnerabilities that its header says it fixes.
    pub fixes: Vec<String>,
}

/// Where software is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The store path, or what a bill of materials calls it.
    pub within: String,
    /// In which way.
    pub relation: Relation,
}

/// In which way software is somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is that.
    Itself,
    /// It is part of it: a crate, a module, a wheel.
    Vendored,
    /// Code of it was copied in by the linker.
    Static,
}

/// A name of a subject, and how it is compared under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known<'a> {
    pub(super) key: Key,
    pub(super) rule: NameRule,
    pub(super) version: Option<&'a str>,
    pub(super) order: Order,
    /// The release, where the database speaks of each one.
    pub(super) release: Option<&'a str>,
}

impl Subject {
    /// Returns all names that databases may know it by.
    pub(super) fn known(&self) -> Vec<Known<'_>> {
        let mut found = Vec::new();
        let version = self.version.as_deref();
        if let Some(purl) = &self.purl
            && let Some(key) = Key::of_purl(purl)
        {
            let order = match &key {
                Key::Package { ecosystem, .. } => Order::of(ecosystem),
                _ => Order::Upstream,
            };
            found.push(Known {
                key,
                rule: NameRule::Purl,
                version: purl.version.as_deref().or(version),
                order,
                release: None,
            });
        }
        for source in &self.debian {
            found.push(Known {
                key: source.key(),
                rule: NameRule::DebianSource,
                version: Some(&source.version),
                order: if self.is_of_debian() {
                    Order::Debian
                } else {
                    Order::DebianFile
                },
                release: Some(&source.release),
            });
        }
        if self.is_of_debian() {
            // Its files are Debian's build, of which only Debian's own data tell what is mended.
            return found;
        }
        let upstream = |key, rule| Known {
            key,
            rule,
            version,
            order: Order::Upstream,
            release: None,
        };
        if let Some(key) = self.cpe.as_deref().and_then(Key::of_cpe) {
            found.push(upstream(key, NameRule::Cpe));
        }
        for key in self.urls.iter().filter_map(|url| Key::of_repository(url)) {
            found.push(upstream(key, NameRule::Repository));
        }
        if found.iter().any(|known| known.rule != NameRule::Purl) && self.has_no_register() {
            // OSS-Fuzz and others have software without a register by its name alone.
            let key = Key::Generic(self.name.to_lowercase());
            found.push(upstream(key, NameRule::Name));
        }
        found.dedup_by(|a, b| a.key == b.key);
        found
    }

    /// Returns the commit that its source is of, where its URL names one in full.
    pub(super) fn commit(&self) -> Option<&str> {
        let is_commit =
            |word: &&str| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
        self.urls
            .iter()
            .find_map(|url| url.split(['/', '.', '-', '@', '?', '=']).find(is_commit))
    }

    /// Returns the patch that says it fixes one of some vulnerabilities.
    pub(super) fn patch_for(&self, ids: &[&str]) -> Option<&Patch> {
        self.patches
            .iter()
            .find(|patch| patch.fixes.iter().any(|fix| ids.contains(&fix.as_str())))
    }

    /// Whether it was built by Debian.
    pub(super) fn is_of_debian(&self) -> bool {
        self.purl.as_ref().is_some_and(|purl| purl.kind == "deb") && !self.debian.is_empty()
    }

    fn has_no_register(&self) -> bool {
        let key = self.purl.as_ref().and_then(Key::of_purl);
        !matches!(key, Some(Key::Package { .. }))
    }

    /// Fills in what follows from its package URL and its sources: version, and Debian's source package.
    #[must_use]
    pub fn completed(mut self) -> Self {
        if self.version.is_none() {
            self.version = self.purl.as_ref().and_then(|purl| purl.version.clone());
        }
        if self.version.is_none() {
            let fields = self.cpe.as_deref().and_then(cpe_fields);
            let version =
                fields.and_then(|mut fields| (fields.len() > 2).then(|| fields.remove(2)));
            self.version = version.filter(|text| text != "*" && text != "-" && !text.is_empty());
        }
        if self.debian.is_empty() {
            let purl = self.purl.as_ref();
            let of_purl = purl.and_then(|purl| debian::source_of_purl(purl, &self.urls));
            self.debian = match of_purl {
                Some(source) => vec![source],
                None => debian::sources_of_urls(&self.urls),
            };
        }
        self
    }
}
