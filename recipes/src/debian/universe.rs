//! Everything that can be chosen: the packages of several indexes.

use std::collections::{BTreeMap, HashMap};

use store::DebVersion;

use super::control::{Stanza, stanzas};
use super::relation::{self, Alternatives, Relation};
use crate::model::ContentDigest;

/// One `Packages` file whose digest was the promised one, with the suite that it belongs to.
#[derive(Clone, Debug)]
pub struct IndexText {
    /// The suite's name, for messages.
    pub suite: String,
    /// The mirror on which its packages lie, `debian` or `debian-security`.
    pub mirror: String,
    /// The text.
    pub text: String,
}

/// An index is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index of `{suite}` is damaged in line {line}: {problem}")]
pub struct IndexError {
    /// The suite.
    pub suite: String,
    /// Where the package's paragraph begins.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// One version of one package.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) name: &'a str,
    pub(super) version: DebVersion,
    pub(super) architecture: &'a str,
    /// Which index it is from.
    pub(super) index: usize,
    stanza: Stanza<'a>,
}

/// The packages of several indexes for one architecture.
#[derive(Debug)]
pub struct Universe<'a> {
    pub(super) indexes: &'a [IndexText],
    pub(super) architecture: &'a str,
    pub(super) records: Vec<Record<'a>>,
    /// By name, the latest version first; of equal versions that of the first index.
    by_name: BTreeMap<&'a str, Vec<usize>>,
    /// By the name that is provided: who provides it, in which version, in the order of names.
    providers: HashMap<String, Vec<(usize, Option<DebVersion>)>>,
}

impl<'a> Universe<'a> {
    /// Reads indexes. Packages of other architectures are left out.
    pub fn new(indexes: &'a [IndexText], architecture: &'a str) -> Result<Self, IndexError> {
        let mut universe = Self {
            indexes,
            architecture,
            records: Vec::new(),
            by_name: BTreeMap::new(),
            providers: HashMap::new(),
        };
        for (number, index) in indexes.iter().enumerate() {
            for stanza in stanzas(&index.text) {
                universe.add(number, index, stanza)?;
            }
        }
        let Self {
            records, by_name, ..
        } = &mut universe;
        for versions in by_name.values_mut() {
            versions.sort_by(|a, b| match (records.get(*a), records.get(*b)) {
                (Some(x), Some(y)) => y.version.cmp(&x.version).then(a.cmp(b)),
                _ => a.cmp(b),
            });
        }
        universe.find_providers()?;
        Ok(universe)
    }

    fn add(
        &mut self,
        number: usize,
        index: &'a IndexText,
        stanza: Stanza<'a>,
    ) -> Result<(), IndexError> {
        let error = |problem: String| IndexError {
            suite: index.suite.clone(),
            line: stanza.line,
            problem,
        };
        let (mut name, mut version, mut architecture) = (None, None, None);
        for (key, value) in stanza.fields() {
            match key {
                "Package" => name = Some(value),
                "Version" => version = Some(value),
                "Architecture" => architecture = Some(value),
                _ => {}
            }
        }
        let missing = |field: &str| error(format!("a package has no field `{field}`"));
        let name = name.ok_or_else(|| missing("Package"))?;
        let architecture = architecture.ok_or_else(|| missing("Architecture"))?;
        if architecture != "all" && architecture != self.architecture {
            return Ok(());
        }
        if !relation::is_name(name) {
            return Err(error(format!(
                "`{}` is no name of a package",
                name.escape_debug()
            )));
        }
        let version: Result<DebVersion, _> = version.ok_or_else(|| missing("Version"))?.parse();
        let record = Record {
            name,
            version: version.map_err(|wrong| error(wrong.to_string()))?,
            architecture,
            index: number,
            stanza,
        };
        self.by_name
            .entry(name)
            .or_default()
            .push(self.records.len());
        self.records.push(record);
        Ok(())
    }

    /// Only the latest version of a package can provide something, as for apt.
    fn find_providers(&mut self) -> Result<(), IndexError> {
        let latest: Vec<usize> = self
            .by_name
            .values()
            .filter_map(|all| all.first().copied())
            .collect();
        let mut providers: HashMap<String, Vec<_>> = HashMap::new();
        for number in latest {
            for relation in self.relations(number, "Provides")?.into_iter().flatten() {
                let version = relation.version.map(|(_, version)| version);
                providers
                    .entry(relation.name)
                    .or_default()
                    .push((number, version));
            }
        }
        self.providers = providers;
        Ok(())
    }

    pub(super) fn record(&self, number: usize) -> &Record<'a> {
        &self.records[number]
    }

    /// Returns what a package says in one of the fields for relations.
    pub(super) fn relations(
        &self,
        number: usize,
        field: &'static str,
    ) -> Result<Vec<Alternatives>, IndexError> {
        let record = self.record(number);
        let text = record.stanza.field(field).unwrap_or_default();
        relation::parse(text).map_err(|part| {
            self.error(
                number,
                format!(
                    "`{field}` of `{}` has `{}`, which is no relation",
                    record.name,
                    part.escape_debug()
                ),
            )
        })
    }

    /// Returns a field of a package.
    pub(super) fn field(&self, number: usize, field: &str) -> Option<&'a str> {
        self.record(number).stanza.field(field)
    }

    /// Returns where a package's file is, below its mirror, with digest and size.
    pub(super) fn file(&self, number: usize) -> Result<(&'a str, ContentDigest, u64), IndexError> {
        let name = self.record(number).name;
        let field = |field: &'static str| {
            self.field(number, field)
                .ok_or_else(|| self.error(number, format!("`{name}` has no field `{field}`")))
        };
        let path = field("Filename")?;
        if path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(self.error(
                number,
                format!("`{name}` lies at `{}`", path.escape_debug()),
            ));
        }
        let digest = ContentDigest::sha256_from_hex(field("SHA256")?);
        let digest = digest.map_err(|wrong| self.error(number, format!("`{name}`: {wrong}")))?;
        let size = field("Size")?.parse();
        let size =
            size.map_err(|_| self.error(number, format!("`{name}` has no size in numbers")))?;
        Ok((path, digest, size))
    }

    fn error(&self, number: usize, problem: String) -> IndexError {
        let record = self.record(number);
        IndexError {
            suite: self.indexes[record.index].suite.clone(),
            line: record.stanza.line,
            problem,
        }
    }

    /// Returns the versions of a package, the latest first.
    pub(super) fn versions(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns who provides a name, sorted by name.
    pub(super) fn providers(&self, name: &str) -> &[(usize, Option<DebVersion>)] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the packages that satisfy a relation: those of the name, the latest first, then those that provide it.
    pub(super) fn candidates(&self, relation: &Relation) -> Vec<usize> {
        let real = self.versions(&relation.name).iter().copied();
        let real = real.filter(|number| {
            self.has_architecture(*number, relation)
                && relation.accepts(&self.record(*number).version)
        });
        let provided = self.providers(&relation.name).iter();
        let provided = provided.filter(|(number, version)| {
            self.record(*number).name != relation.name
                && self.has_architecture(*number, relation)
                && relation.accepts_provided(version.as_ref())
        });
        real.chain(provided.map(|(number, _)| *number)).collect()
    }

    /// Returns whether a chosen package satisfies a relation.
    pub(super) fn satisfies(&self, number: usize, relation: &Relation) -> bool {
        let record = self.record(number);
        if !self.has_architecture(number, relation) {
            return false;
        }
        if record.name == relation.name && relation.accepts(&record.version) {
            return true;
        }
        let provided = self.relations(number, "Provides").unwrap_or_default();
        provided.iter().flatten().any(|one| {
            let version = one.version.as_ref().map(|(_, version)| version);
            one.name == relation.name && relation.accepts_provided(version)
        })
    }

    /// `name:any` is any architecture's package if that says that it is fit for it (`Multi-Arch: allowed`).
    fn has_architecture(&self, number: usize, relation: &Relation) -> bool {
        match relation.qualifier.as_deref() {
            None => true,
            Some("any") => self.field(number, "Multi-Arch") == Some("allowed"),
            Some(architecture) => {
                let own = self.record(number).architecture;
                architecture == own || (own == "all" && architecture == self.architecture)
            }
        }
    }

    /// Returns all names, sorted.
    pub(super) fn names(&self) -> Vec<&'a str> {
        self.by_name.keys().copied().collect()
    }
}
