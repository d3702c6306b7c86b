//! All that is recorded of a closure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

use store::{
    ClosureError, DbError, LocalStore, PathInfo, StorePath,
    facts::{Facts, FactsError, FactsObject},
};

/// What is recorded of a closure: what every question of an audit is answered from.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// Every store path of the closure, ascending by path.
    pub parts: Vec<Part>,
    /// What was linked into these and is not in the closure, such as static libraries, as far as this store has it; ascending by path.
    pub linked: Vec<Part>,
}

/// One store path, and what was observed of it.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its record.
    pub info: PathInfo,
    /// What was observed when it was registered; none where nothing was, or where that is not in this store.
    pub facts: Option<Facts>,
}

/// Why the facts of a closure cannot be gathered.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The store does not have the closure.
    #[error("cannot read what is recorded of the closure")]
    Closure(#[from] ClosureError),
    /// The database cannot be read.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A file of facts cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of facts has another shape than facts have.
    #[error("`{path}` is damaged")]
    Facts {
        /// The object.
        path: StorePath,
        /// What is wrong.
        #[source]
        source: FactsError,
    },
}

impl Gathered {
    /// Reads the closure of `roots` and its facts: the database, and a file for each path whose facts are in the store.
    pub fn load(store: &LocalStore, roots: &[StorePath]) -> Result<Self, GatherError> {
        let closure = store.closure(roots)?;
        Self::of(store, closure.infos())
    }

    /// Reads the facts of some paths, without those of what they refer to.
    pub fn of(store: &LocalStore, infos: &[PathInfo]) -> Result<Self, GatherError> {
        let mut parts = Vec::with_capacity(infos.len());
        for info in infos {
            parts.push(Part::load(store, info.clone())?);
        }
        parts.sort_unstable_by(|a, b| a.info.path.cmp(&b.info.path));
        let linked = load_linked(store, &parts)?;
        Ok(Self { parts, linked })
    }

    /// Returns the objects of facts that are recorded and not in the store, by path: a cache may have them.
    #[must_use]
    pub fn missing(&self) -> Vec<&FactsObject> {
        let all = self.parts.iter().chain(&self.linked);
        let missing = all.filter(|part| part.facts.is_none());
        missing
            .filter_map(|part| part.info.component.as_ref()?.facts.as_ref())
            .collect()
    }
}

impl Part {
    pub(super) fn load(store: &LocalStore, info: PathInfo) -> Result<Self, GatherError> {
        let object = info.component.as_ref().and_then(|of| of.facts.as_ref());
        let facts = object.map_or(Ok(None), |object| load_facts(store, object))?;
        Ok(Self { info, facts })
    }

    /// Reads a text that the facts name, by the SHA-256 of its bytes; none where the path has no facts.
    pub fn load_text(
        &self,
        store: &LocalStore,
        sha256: &str,
    ) -> Result<Option<Vec<u8>>, GatherError> {
        let component = self.info.component.as_ref();
        let Some(object) = component.and_then(|of| of.facts.as_ref()) else {
            return Ok(None);
        };
        let path = store.real_path(&object.path).join("texts").join(sha256);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(source) => Err(GatherError::Io { path, source }),
        }
    }
}

/// Reads what the links of `parts`, and of what they lead to, name beside these.
fn load_linked(store: &LocalStore, parts: &[Part]) -> Result<Vec<Part>, GatherError> {
    let known: BTreeSet<&StorePath> = parts.iter().map(|part| &part.info.path).collect();
    let mut pending: Vec<StorePath> = parts.iter().flat_map(linked_objects).collect();
    let mut linked: BTreeMap<StorePath, Part> = BTreeMap::new();
    while let Some(path) = pending.pop() {
        if known.contains(&path) || linked.contains_key(&path) {
            continue;
        }
        if let Some(info) = store.path_info(&path)? {
            let part = Part::load(store, info)?;
            pending.extend(linked_objects(&part));
            linked.insert(path, part);
        }
    }
    Ok(linked.into_values().collect())
}

fn linked_objects(part: &Part) -> impl Iterator<Item = StorePath> {
    let links = part.facts.iter().flat_map(|facts| &facts.links);
    let objects = links
        .flat_map(|link| &link.inputs)
        .filter_map(|input| input.object.as_deref());
    objects.filter_map(|object| {
        StorePath::from_logical(object)
            .or_else(|_| object.parse())
            .ok()
    })
}

fn load_facts(store: &LocalStore, object: &FactsObject) -> Result<Option<Facts>, GatherError> {
    let path = store.real_path(&object.path).join("facts.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(GatherError::Io { path, source }),
    };
    let facts = Facts::from_json(&bytes).map_err(|source| GatherError::Facts {
        path: object.path.clone(),
        source,
    })?;
    Ok(Some(facts))
}
