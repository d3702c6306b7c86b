//! Debian's index as commands use it: which suites, whose keys, where it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use recipes::debian::{
    IndexError, Keyring, LockError, LockFile, Request, ResolutionError, SourceName, SourcePackage,
    Universe, find_sources, resolve, tree_of,
};
use recipes::event::Event;
use recipes::model::OutputRef;
use recipes::source::Fetcher;
use recipes::source::archive::{Archive, ArchiveError, Need, Snapshot, Suite};
use store::LocalStore;
use thiserror::Error;

use crate::build_options::{RealiseOptions, build_options};
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::output::BuildProgress;
use crate::selection::Selection;

/// The lock file of a project.
pub(crate) const LOCK_FILE: &str = "debian.lock";

/// How old an index may be that a command takes which writes no lock file.
pub(crate) const INDEX_AGE: Duration = Duration::from_secs(3600);

/// A file that was named cannot be read.
#[derive(Debug, Error)]
#[error("cannot read `{}`", path.display())]
struct ReadError {
    path: PathBuf,
    source: io::Error,
}

/// The text is no suite.
#[derive(Debug, Error)]
#[error("`{0}` names no suite: it must be `MIRROR/SUITE`, as `debian/bookworm`")]
struct SuiteError(String);

/// What runs of packages of Debian is one tree with all of their files; `None` for all else.
pub(crate) fn tree_in(selection: &Selection) -> Result<Option<Selection>, CommandError> {
    let Selection::Output { package, output } = selection else {
        return Ok(None);
    };
    let tree = tree_of(output.derivation())?;
    Ok(tree.map(|tree| Selection::Output {
        package: package.clone(),
        output: OutputRef::default_of(tree),
    }))
}

/// Which part of Debian packages are taken from.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    context: &'a Context,
    suites: Vec<Suite>,
    keyring: Option<PathBuf>,
}

impl<'a> Index<'a> {
    /// What flags say, else the settings, else Debian 12.
    pub(crate) fn from_flags(
        context: &'a Context,
        suites: &[String],
        keyring: Option<&Path>,
    ) -> Result<Self, CommandError> {
        let settings = &context.settings().debian;
        let texts = if suites.is_empty() {
            settings.suites.as_deref().unwrap_or_default()
        } else {
            suites
        };
        let suites = if texts.is_empty() {
            Suite::bookworm()
        } else {
            texts
                .iter()
                .map(|text| parse_suite(text))
                .collect::<Result<_, _>>()?
        };
        let keyring = keyring
            .map(|path| context.directory().join(path))
            .or_else(|| settings.keyring.clone());
        Ok(Self {
            context,
            suites,
            keyring,
        })
    }

    /// Resolves a request for each architecture. A release file that was fetched less than `max_age` ago is taken as it is.
    pub(crate) fn resolve(
        &self,
        store: &LocalStore,
        request: &Request,
        architectures: &[String],
        max_age: Duration,
    ) -> Result<LockFile, CommandError> {
        let mut locks = Vec::with_capacity(architectures.len());
        let mut said = BTreeSet::new();
        let mut say = |text: String| {
            if said.insert(text.clone()) {
                self.context.printer().note(&text);
            }
        };
        for (number, architecture) in architectures.iter().enumerate() {
            // What was fetched for the first one is what the others are resolved against.
            let max_age = if number == 0 { max_age } else { INDEX_AGE };
            let Snapshot {
                indexes,
                suites,
                left_out,
            } = self.load(store, architecture, max_age)?;
            for (suite, reason) in left_out {
                let reason = reason.lines().next().unwrap_or_default().to_owned();
                say(format!("warning: `{suite}` is left out: {reason}"));
            }
            let universe = Universe::new(&indexes, architecture).map_err(damaged)?;
            let dates: Vec<String> = (suites.iter())
                .map(|suite| {
                    format!(
                        "{} of {}",
                        suite.name,
                        suite.date.split('T').next().unwrap_or_default()
                    )
                })
                .collect();
            locks.push(resolve(&universe, request, suites).map_err(unresolved)?);
            say(format!("resolved against {}", dates.join(", ")));
        }
        Ok(LockFile::new(locks))
    }

    /// Finds source packages in the suites' indexes of sources, each with the mirror that has it. What no index has is left out: a
    /// suite has only the latest version of each.
    pub(crate) fn find_sources(
        &self,
        store: &LocalStore,
        wanted: &BTreeSet<SourceName>,
    ) -> Result<BTreeMap<SourceName, (String, SourcePackage)>, CommandError> {
        let load =
            |archive: &Archive<'_>, keyring: &Keyring| archive.load_sources(&self.suites, keyring);
        let snapshot = self.read(store, INDEX_AGE, &load)?;
        Ok(find_sources(&snapshot.indexes, wanted))
    }

    fn load(
        &self,
        store: &LocalStore,
        architecture: &str,
        max_age: Duration,
    ) -> Result<Snapshot, CommandError> {
        let load = |archive: &Archive<'_>, keyring: &Keyring| {
            archive.load(&self.suites, keyring, architecture)
        };
        self.read(store, max_age, &load)
    }

    fn read(
        &self,
        store: &LocalStore,
        max_age: Duration,
        load: &dyn Fn(&Archive<'_>, &Keyring) -> Result<Snapshot, ArchiveError>,
    ) -> Result<Snapshot, CommandError> {
        let options = build_options(self.context, &RealiseOptions::default())?;
        let fetcher = Fetcher::new(options.fetch, options.mirrors);
        let progress = BuildProgress::new(self.context.printer());
        let events = |event: Event| progress.show(&event);
        let archive = Archive {
            fetcher: &fetcher,
            directory: &store.debian_dir(),
            now: seconds_now(),
            max_age,
            events: &events,
            cancel: self.context.cancel(),
        };
        let keyring = match &self.keyring {
            Some(path) => {
                let bytes = fs::read(path).map_err(|source| {
                    CommandError::failed(ReadError {
                        path: path.clone(),
                        source,
                    })
                })?;
                Keyring::read(&path.display().to_string(), &bytes).map_err(CommandError::failed)?
            }
            None => archive.debian_keyring().map_err(not_had)?,
        };
        load(&archive, &keyring).map_err(not_had)
    }
}

fn parse_suite(text: &str) -> Result<Suite, CommandError> {
    let plain = |part: &str| {
        part.bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match text.split_once('/') {
        Some((mirror, name)) if plain(mirror) && plain(name) => Ok(Suite {
            mirror: mirror.to_owned(),
            name: name.to_owned(),
            need: Need::Required,
        }),
        _ => Err(CommandError::new(
            ExitStatus::Usage,
            SuiteError(text.to_owned()),
        )),
    }
}

/// Reads a lock file, and returns its text too.
pub(crate) fn read_lock(path: &Path) -> Result<(LockFile, String), CommandError> {
    let text = fs::read_to_string(path).map_err(|source| {
        CommandError::failed(ReadError {
            path: path.to_path_buf(),
            source,
        })
    })?;
    let name = path.display().to_string();
    let lock = LockFile::parse(&name, &text).map_err(|error| {
        let hint = match &error {
            LockError::Version { .. } => "a newer pith has made it; use that one",
            _ => "`pith debian lock` makes it anew from its `packages`",
        };
        CommandError::failed(error).hint(hint)
    })?;
    Ok((lock, text))
}

fn damaged(error: IndexError) -> CommandError {
    CommandError::new(ExitStatus::Damaged, error)
}

fn unresolved(error: ResolutionError) -> CommandError {
    let hint = match &error {
        ResolutionError::Unknown {
            nearest: Some(name),
            ..
        } => Some(format!("did you mean `{name}`?")),
        ResolutionError::Virtual { .. } => Some("name one of them".to_owned()),
        ResolutionError::Unsatisfiable { .. } => Some(
            "`--without NAME` leaves a package out although something depends on it".to_owned(),
        ),
        _ => None,
    };
    let status = match &error {
        ResolutionError::Index(_) => ExitStatus::Damaged,
        _ => ExitStatus::Failed,
    };
    let error = CommandError::new(status, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn not_had(error: ArchiveError) -> CommandError {
    use recipes::source::FetchError;
    let (status, hint) = match &error {
        ArchiveError::Fetch(FetchError::WrongDigest(_)) => (
            ExitStatus::DigestMismatch,
            Some(
                "the mirror is being updated or was tampered with; try again later or use another one",
            ),
        ),
        ArchiveError::Signature(_) => (
            ExitStatus::Damaged,
            Some("nothing of this index was believed; `--keyring FILE` names other keys"),
        ),
        ArchiveError::Release(_) => (
            ExitStatus::Failed,
            Some("use a mirror that is kept up to date"),
        ),
        ArchiveError::Fetch(FetchError::Cancelled { .. }) => (ExitStatus::Interrupted, None),
        _ => (ExitStatus::Failed, None),
    };
    let error = CommandError::new(status, error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
