//! From Debian's binaries to the source packages that they were built from.
//!
//! A recipe may name source packages; of what it does not name, and of packages that no recipe made, the suites' signed indexes of sources are asked. Either way a
//! package of binaries has its source only if the `.dsc` of the version that it names is in the bundle, with every file that this lists. So has what was built into
//! it of other source packages (`Built-Using`, Debian Policy 7.8).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pack::audit::sources::BundledFile;
use recipes::debian::{SourceName, built_using, source_of, source_package};
use recipes::model::OutputRef;
use recipes::source::deb::{DebFile, read_control};
use store::LocalStore;

use super::fetched::{AllFetched, Fetched, Folder};
use crate::context::Context;
use crate::debian::Index;
use crate::error::{CommandError, ExitStatus};

/// What the name of a package of binaries ends with.
const BINARY: &str = ".deb";
/// What the name of the description of a source package ends with.
const DESCRIPTION: &str = ".dsc";

/// What packages of binaries were built from, and the source packages that are whole.
#[derive(Debug, Default)]
pub(super) struct Binaries {
    /// The source package of each first, then those of which something is in it; empty where it does not say the first.
    built_from: BTreeMap<OutputRef, Vec<SourceName>>,
    packages: BTreeMap<SourceName, Vec<BundledFile>>,
    /// What an index has and no mirror, with the mirror that should.
    unavailable: BTreeMap<SourceName, String>,
}

/// Where the source of one package of binaries is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceOf<'a> {
    /// These files, the description first.
    Files(&'a [BundledFile]),
    /// Neither recipe nor index names it.
    Missing(&'a SourceName),
    /// No mirror has what the index names: one may serve the packages of a suite and not their source.
    Unavailable(&'a SourceName, &'a str),
    /// The package does not say what it was built from.
    Unsaid,
}

impl fmt::Display for SourceOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(_) => f.write_str("whose source is in the bundle"),
            Self::Missing(name) => write!(
                f,
                "built from {name}, which neither the recipe nor the index of a suite names; \
                 lock the packages anew, or name a suite that has it under `[debian]` in the settings"
            ),
            Self::Unavailable(name, mirror) => write!(
                f,
                "built from {name}, which no mirror has; name one that keeps what was replaced, \
                 such as a snapshot archive, for `{mirror}` under `[mirrors]` in the settings"
            ),
            Self::Unsaid => f.write_str("which does not say what it was built from"),
        }
    }
}

impl Binaries {
    /// Reads what was fetched.
    pub(super) fn read(fetched: &AllFetched) -> Result<Self, CommandError> {
        let mut binaries = Self::default();
        for (one, found) in fetched.iter() {
            if found.file.name.ends_with(BINARY) {
                binaries
                    .built_from
                    .insert(one.clone(), source_names(found)?);
            }
        }
        let by_digest: BTreeMap<&str, &BundledFile> = (fetched.iter())
            .map(|(_, found)| (found.file.digest.as_str(), &found.file))
            .collect();
        for (_, found) in fetched.iter() {
            if !found.file.name.ends_with(DESCRIPTION) {
                continue;
            }
            let text = std::fs::read(&found.real).map_err(CommandError::failed)?;
            let Some(package) = source_package(&String::from_utf8_lossy(&text)) else {
                continue;
            };
            let listed = package.files.iter();
            let listed =
                listed.map(|file| by_digest.get(file.digest.to_string().as_str()).copied());
            if let Some(listed) = listed.collect::<Option<Vec<&BundledFile>>>() {
                let files = [&found.file].into_iter().chain(listed);
                binaries
                    .packages
                    .insert(package.name, files.cloned().collect());
            }
        }
        Ok(binaries)
    }

    /// Returns where the sources of a file are; none for what is no package of binaries.
    pub(super) fn sources_of(&self, one: &OutputRef) -> Vec<SourceOf<'_>> {
        match self.built_from.get(one).map(Vec::as_slice) {
            None => Vec::new(),
            Some([]) => vec![SourceOf::Unsaid],
            Some(names) => names.iter().map(|name| self.place_of(name)).collect(),
        }
    }

    fn place_of<'a>(&'a self, name: &'a SourceName) -> SourceOf<'a> {
        match (self.packages.get(name), self.unavailable.get(name)) {
            (Some(files), _) => SourceOf::Files(files),
            (None, Some(mirror)) => SourceOf::Unavailable(name, mirror),
            (None, None) => SourceOf::Missing(name),
        }
    }
}

/// Fetches the source packages of Debian's binaries among `files`, where they are not in the bundle and the suites' indexes have them. Returns what is known then.
pub(super) fn fetch_sources<'a>(
    context: &Context,
    store: &LocalStore,
    files: impl IntoIterator<Item = &'a OutputRef>,
    fetched: &mut AllFetched,
) -> Result<Binaries, CommandError> {
    let binaries = Binaries::read(fetched)?;
    let wanted: BTreeSet<SourceName> = (files.into_iter())
        .flat_map(|one| binaries.sources_of(one))
        .filter_map(|place| match place {
            SourceOf::Missing(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(binaries);
    }
    let index = Index::from_flags(context, &[], None)?;
    let mut unavailable = BTreeMap::new();
    for (name, (mirror, package)) in index.find_sources(store, &wanted)? {
        let files = package.fetches(&mirror)?;
        match fetched.fetch(context, store, &files, Folder::Sources) {
            Err(error) if error.status() == ExitStatus::Failed => {
                context.printer().detail(&error.render());
                unavailable.insert(name, mirror);
            }
            done => done?,
        }
    }
    Ok(Binaries {
        unavailable,
        ..Binaries::read(fetched)?
    })
}

fn source_names(found: &Fetched) -> Result<Vec<SourceName>, CommandError> {
    let deb = DebFile {
        name: found.file.name.clone(),
        path: found.real.clone(),
    };
    let control = read_control(&deb).map_err(CommandError::failed)?;
    let control = control.unwrap_or_default();
    let control = String::from_utf8_lossy(&control);
    let Some(own) = source_of(&control) else {
        return Ok(Vec::new());
    };
    let mut others = built_using(&control);
    others.remove(&own);
    Ok([own].into_iter().chain(others).collect())
}
