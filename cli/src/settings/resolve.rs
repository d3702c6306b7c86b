//! Merging the layers of settings into the values that commands use.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::mem;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use nix::unistd::{AccessFlags, access};
use sandbox::{Level, UnknownLevel};
use thiserror::Error;

use super::caches::{CacheLayer, CacheSettings, CacheSettingsError, Origin};
use super::documents::DocumentsTable;
use super::file::{DebianTable, SettingsFile, SettingsFileError};
use super::registries::RegistryTables;
use super::trust::{TrustSettings, TrustTable, TrustTableError};
use super::variables::Variables;
use crate::args::GlobalArgs;

/// What a project is known by.
const RECIPE_FILE: &str = "pith.star";
/// The file that settings of a project are in.
const PROJECT_FILE: &str = "pith.toml";
/// Settings of the whole machine.
const SYSTEM_FILE: &str = "/etc/pith/config.toml";
/// Where the store is when the caller may write there.
const SYSTEM_STORE: &str = "/pith";

/// Every setting, decided.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The physical directory of the store.
    pub(crate) store_root: PathBuf,
    /// A checkout of the collection, or the one inside the binary.
    pub(crate) collection: Option<PathBuf>,
    /// The directory that holds the project's `pith.star`: the working directory or one above it.
    pub(crate) project: Option<PathBuf>,
    /// The project's settings, whether they are there or not: beside its `pith.star`. Where there is no such file at or above the working directory, the nearest settings
    /// there: who only asks about images of others needs no recipe.
    pub(crate) project_file: Option<PathBuf>,
    /// Builds at once, at least 1.
    pub(crate) jobs: usize,
    /// Processors for one build, at least 1.
    pub(crate) cores: usize,
    /// The weakest sandbox that builders may run in.
    pub(crate) sandbox: Level,
    /// No network.
    pub(crate) offline: bool,
    /// Base URLs for `mirror://NAME/…`; the project's come before the user's and the system's.
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    /// Caches to take from.
    pub(crate) caches: CacheSettings,
    /// Where packages of Debian come from.
    pub(crate) debian: DebianTable,
    /// What is known of registries that images are pushed to.
    pub(crate) registries: RegistryTables,
    /// Who answers for bills of materials.
    pub(crate) documents: DocumentsTable,
    /// Whose signatures are believed.
    pub(crate) trust: TrustSettings,
    /// The environment that was read.
    pub(crate) variables: Variables,
    /// The files that settings are read from, whether they are there or not; those that go before others first.
    pub(crate) files: Vec<PathBuf>,
}

/// Why the settings could not be decided.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// A settings file is wrong.
    #[error(transparent)]
    File(#[from] SettingsFileError),
    /// A number is not one.
    #[error("`{name}` is `{}`, which is not a whole number above 0", value.display())]
    Number {
        /// The variable or flag.
        name: &'static str,
        /// What it says.
        value: std::ffi::OsString,
    },
    /// A level of the sandbox is none.
    #[error("`PITH_SANDBOX` is wrong")]
    Sandbox(#[source] UnknownLevel),
    /// What is said of caches cannot be used.
    #[error(transparent)]
    Caches(#[from] CacheSettingsError),
    /// What is said of trust cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustTableError),
    /// There is no place for a store.
    #[error("there is no directory for the store: `/pith` is not writable and `HOME` is not set")]
    NoStore,
}

impl Settings {
    /// Decides every setting for a command started in `directory`.
    pub(crate) fn resolve(
        flags: &GlobalArgs,
        variables: Variables,
        directory: &Path,
    ) -> Result<Self, SettingsError> {
        let project = find_nearest(directory, RECIPE_FILE);
        let settled = project.clone();
        let settled = settled.or_else(|| find_nearest(directory, PROJECT_FILE));
        let project_file = settled.map(|settled| settled.join(PROJECT_FILE));
        let Layers {
            mut layers,
            caches,
            of_project,
            files,
        } = Layers::load(project_file.clone(), variables.config_home.as_deref())?;
        let caches = CacheSettings::join(flags, variables.cache.as_deref(), &caches)?;
        let first = |pick: fn(&SettingsFile) -> Option<PathBuf>| layers.iter().find_map(pick);
        let store_root = flags
            .store
            .clone()
            .or_else(|| variables.root.clone())
            .or_else(|| first(|file| file.store.clone()))
            .or_else(|| default_store(&variables))
            .ok_or(SettingsError::NoStore)?;
        let collection = flags
            .collection
            .clone()
            .or_else(|| variables.collection.clone())
            .or_else(|| first(|file| file.collection.clone()));
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = at_least_one("--jobs", flags.jobs)?
            .or(number("PITH_JOBS", variables.jobs.as_deref())?)
            .or(at_least_one(
                "jobs",
                layers.iter().find_map(|file| file.jobs),
            )?)
            .unwrap_or(processors);
        let cores = at_least_one("--cores", flags.cores)?
            .or(number("PITH_CORES", variables.cores.as_deref())?)
            .or(at_least_one(
                "cores",
                layers.iter().find_map(|file| file.cores),
            )?)
            .unwrap_or(processors);
        let sandbox = sandbox_level(flags, &variables)?;
        let offline = flags.offline
            || variables.offline
            || layers.iter().find_map(|file| file.offline).unwrap_or(false);
        let machine = layers.iter_mut().map(|file| mem::take(&mut file.trust));
        let trust = TrustSettings::join(of_project, machine.collect(), &flags.trust)?;
        let keyring = layers.iter().find_map(|file| file.debian.keyring.clone());
        let debian = DebianTable {
            suites: layers.iter().find_map(|file| file.debian.suites.clone()),
            keyring: keyring.map(|path| absolute(directory, path)),
        };
        let mut registries = RegistryTables::default();
        let mut mirrors: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut documents = DocumentsTable::default();
        for layer in layers {
            registries.add(layer.registries);
            documents = documents.or(layer.documents);
            for (name, urls) in layer.mirrors {
                mirrors.entry(name).or_default().extend(urls);
            }
        }
        Ok(Self {
            store_root: absolute(directory, store_root),
            collection: collection.map(|path| absolute(directory, path)),
            project,
            project_file,
            jobs,
            cores,
            sandbox,
            offline,
            mirrors,
            debian,
            registries,
            documents,
            caches,
            trust,
            variables,
            files,
        })
    }
}

/// Returns how builds are kept apart.
fn sandbox_level(flags: &GlobalArgs, variables: &Variables) -> Result<Level, SettingsError> {
    match (flags.sandbox, &variables.sandbox) {
        (Some(level), _) => Ok(level),
        (None, Some(text)) => text
            .to_string_lossy()
            .parse()
            .map_err(SettingsError::Sandbox),
        (None, None) => Ok(Level::default()),
    }
}

/// The settings files, those that go before others first.
struct Layers {
    layers: Vec<SettingsFile>,
    /// What each says of caches.
    caches: Vec<CacheLayer>,
    /// What the project says of trust, and in which file.
    of_project: Option<(PathBuf, TrustTable)>,
    /// Where they are.
    files: Vec<PathBuf>,
}

impl Layers {
    fn load(project: Option<PathBuf>, config_home: Option<&Path>) -> Result<Self, SettingsError> {
        let mut found = Self {
            layers: Vec::new(),
            caches: Vec::new(),
            of_project: None,
            files: Vec::new(),
        };
        let project = project.map(|file| (file, Origin::Project));
        let user = config_home.map(|home| (home.join("pith/config.toml"), Origin::Machine));
        let system = (PathBuf::from(SYSTEM_FILE), Origin::Machine);
        for (path, origin) in project.into_iter().chain(user).chain([system]) {
            let mut file = SettingsFile::load(&path)?;
            found.files.push(path.clone());
            found
                .caches
                .push(CacheLayer::take(&path, origin, &mut file));
            if origin == Origin::Project {
                found.of_project = Some((path, mem::take(&mut file.trust)));
            }
            found.layers.push(file);
        }
        Ok(found)
    }
}

/// The nearest directory at or above `directory` that has a file of this name.
fn find_nearest(directory: &Path, name: &str) -> Option<PathBuf> {
    directory
        .ancestors()
        .find(|candidate| candidate.join(name).is_file())
        .map(Path::to_path_buf)
}

fn default_store(variables: &Variables) -> Option<PathBuf> {
    let system = Path::new(SYSTEM_STORE);
    let may_write = |path: &Path| access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    let usable = if system.exists() {
        may_write(system)
    } else {
        may_write(Path::new("/"))
    };
    if usable {
        return Some(system.to_path_buf());
    }
    variables.data_home.as_ref().map(|data| data.join("pith"))
}

fn absolute(directory: &Path, path: PathBuf) -> PathBuf {
    if path.is_absolute() {
        path
    } else {
        directory.join(path)
    }
}

fn at_least_one(name: &'static str, value: Option<usize>) -> Result<Option<usize>, SettingsError> {
    match value {
        Some(0) => Err(SettingsError::Number {
            name,
            value: "0".into(),
        }),
        value => Ok(value),
    }
}

fn number(name: &'static str, value: Option<&OsStr>) -> Result<Option<usize>, SettingsError> {
    let Some(value) = value else { return Ok(None) };
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number > 0)
        .map(Some)
        .ok_or_else(|| SettingsError::Number {
            name,
            value: value.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn no_flags() -> GlobalArgs {
        GlobalArgs {
            store: None,
            collection: None,
            jobs: None,
            cores: None,
            sandbox: None,
            caches: Vec::new(),
            cache_only: false,
            no_cache: false,
            trust: Vec::new(),
            offline: false,
            quiet: false,
            verbose: 0,
            json: false,
        }
    }

    #[test]
    fn a_flag_beats_the_environment_which_beats_the_project() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("pith.star"), "").unwrap();
        fs::write(
            directory.path().join("pith.toml"),
            "jobs = 3\ncores = 3\nstore = \"s\"\n",
        )
        .unwrap();
        let variables = Variables {
            jobs: Some("4".into()),
            ..Variables::default()
        };
        let flags = GlobalArgs {
            cores: Some(5),
            ..no_flags()
        };
        let below = directory.path().join("src");
        fs::create_dir(&below).unwrap();
        let settings = Settings::resolve(&flags, variables, &below).unwrap();
        assert_eq!((settings.jobs, settings.cores), (4, 5));
        assert_eq!(settings.project.as_deref(), Some(directory.path()));
    }

    #[test]
    fn settings_without_a_recipe_are_found_above_and_those_of_a_project_go_before() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("images/new");
        fs::create_dir_all(&below).unwrap();
        let resolve = || {
            let variables = Variables {
                root: Some("/nonexistent".into()),
                ..Variables::default()
            };
            let settings = Settings::resolve(&no_flags(), variables, &below).unwrap();
            (settings.jobs, settings.project)
        };
        fs::write(directory.path().join("images/pith.toml"), "jobs = 31\n").unwrap();
        assert_eq!(resolve(), (31, None));
        // What is beside the recipe counts, for all that is below it.
        fs::write(directory.path().join("pith.star"), "").unwrap();
        fs::write(directory.path().join("pith.toml"), "jobs = 32\n").unwrap();
        assert_eq!(resolve(), (32, Some(directory.path().to_owned())));
    }

    #[test]
    fn zero_jobs_are_refused_by_name() {
        let variables = Variables {
            jobs: Some("0".into()),
            root: Some("/nonexistent".into()),
            ..Variables::default()
        };
        let error =
            Settings::resolve(&no_flags(), variables, Path::new("/nonexistent")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`PITH_JOBS` is `0`, which is not a whole number above 0"
        );
    }

    #[test]
    fn a_level_of_the_sandbox_is_weakened_only_by_its_name() {
        let level = |text: Option<&str>| {
            let variables = Variables {
                sandbox: text.map(Into::into),
                root: Some("/nonexistent".into()),
                ..Variables::default()
            };
            Settings::resolve(&no_flags(), variables, Path::new("/nonexistent"))
                .map(|settings| settings.sandbox)
        };
        assert_eq!(level(None).unwrap(), Level::Full);
        assert_eq!(level(Some("no-proc")).unwrap(), Level::NoProc);
        assert!(matches!(
            level(Some("none")),
            Err(SettingsError::Sandbox(_))
        ));
    }
}
