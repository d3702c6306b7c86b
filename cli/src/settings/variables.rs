//! Every environment variable that `pith` reads, in one list.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use store::cache::backend::Credentials;
use zeroize::Zeroizing;

/// What a program that is run on the terminal needs to know of it.
const PASSED_ON: [&str; 4] = ["TERM", "LANG", "LC_ALL", "TZ"];

/// `PATH`, for launching an installed program, which needs nothing else of the environment.
pub(crate) fn search_path() -> Option<OsString> {
    env::var_os("PATH")
}

/// A variable that settings name as the one which holds a secret. It may be any.
pub(crate) fn read_variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variables `AWS_…`, some of which are secret.
#[derive(Default, Clone)]
pub(crate) struct AwsVariables(BTreeMap<String, Zeroizing<String>>);

impl AwsVariables {
    fn from_environment() -> Self {
        let named = env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let value = value.into_string().ok().filter(|value| !value.is_empty())?;
            name.starts_with("AWS_")
                .then(|| (name, Zeroizing::new(value)))
        });
        Self(named.collect())
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for AwsVariables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The environment at start, read once.
#[derive(Debug, Default, Clone)]
pub(crate) struct Variables {
    /// `PITH_ROOT`: the directory of the store, as `--store`.
    pub(crate) root: Option<PathBuf>,
    /// `PITH_COLLECTION`: a checkout of the collection, as `--collection`.
    pub(crate) collection: Option<PathBuf>,
    /// `PITH_JOBS`: as `--jobs`.
    pub(crate) jobs: Option<OsString>,
    /// `PITH_CORES`: as `--cores`.
    pub(crate) cores: Option<OsString>,
    /// `PITH_SANDBOX`: as `--sandbox`.
    pub(crate) sandbox: Option<OsString>,
    /// `PITH_CACHE`: addresses of caches with spaces between them, as `--cache`; empty for none.
    pub(crate) cache: Option<OsString>,
    /// `PITH_CACHE_TOKEN`: a bearer token for the caches that `PITH_CACHE`, `--cache` or an argument name.
    pub(crate) cache_token: Option<Credentials>,
    /// `PITH_OFFLINE`: any value but empty and `0` means `--offline`.
    pub(crate) offline: bool,
    /// `PATH`, in which a user should have the programs of a profile.
    pub(crate) path: Option<OsString>,
    /// `SHELL`: what `pith shell --host` starts.
    pub(crate) shell: Option<OsString>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, else `$HOME/.local/share`.
    pub(crate) data_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, else `$HOME/.config`.
    pub(crate) config_home: Option<PathBuf>,
    /// `CARGO_HOME`, else `$HOME/.cargo`: where cargo's own mirrors are configured.
    pub(crate) cargo_home: Option<PathBuf>,
    /// `npm_config_registry`, also in capitals: as npm reads it.
    pub(crate) npm_registry: Option<String>,
    /// `PIP_INDEX_URL`: as pip reads it.
    pub(crate) pip_index: Option<String>,
    /// `http_proxy`, `https_proxy` and `no_proxy`, also in capitals: as curl reads them.
    pub(crate) http_proxy: Option<String>,
    /// See [`Variables::http_proxy`].
    pub(crate) https_proxy: Option<String>,
    /// See [`Variables::http_proxy`].
    pub(crate) no_proxy: Option<String>,
    /// `NETRC`, if not `~/.netrc`.
    pub(crate) netrc: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the directory of docker's `config.json`, if not `~/.docker`.
    pub(crate) docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: where podman keeps logins, if not in `$XDG_RUNTIME_DIR/containers/auth.json`.
    pub(crate) registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// `SOURCE_DATE_EPOCH`: what images claim as the time they were made, as `pith pack --created`.
    pub(crate) source_date_epoch: Option<OsString>,
    /// `AWS_…`.
    pub(crate) aws: AwsVariables,
    /// What `pith run` hands on to the program: `TERM`, `LANG`, `LC_ALL` and `TZ`.
    pub(crate) passed_on: BTreeMap<OsString, OsString>,
}

impl Variables {
    /// Reads the environment of this process. An empty variable counts as unset.
    pub(crate) fn from_environment() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| {
            let value = set(name).or_else(|| set(&name.to_uppercase()))?;
            value.into_string().ok()
        };
        let home = path("HOME");
        let below_home = |name: &str, rest: &str| {
            path(name).or_else(|| home.as_ref().map(|home| home.join(rest)))
        };
        Self {
            root: path("PITH_ROOT"),
            collection: path("PITH_COLLECTION"),
            jobs: set("PITH_JOBS"),
            cores: set("PITH_CORES"),
            sandbox: set("PITH_SANDBOX"),
            // Set and empty, it turns off the caches of files.
            cache: env::var_os("PITH_CACHE"),
            cache_token: read_variable("PITH_CACHE_TOKEN")
                .map(|token| Credentials::Bearer(Zeroizing::new(token.trim().to_owned()))),
            offline: set("PITH_OFFLINE").is_some_and(|value| value != "0"),
            path: set("PATH"),
            shell: set("SHELL"),
            data_home: below_home("XDG_DATA_HOME", ".local/share"),
            config_home: below_home("XDG_CONFIG_HOME", ".config"),
            cargo_home: below_home("CARGO_HOME", ".cargo"),
            npm_registry: text("npm_config_registry"),
            pip_index: text("PIP_INDEX_URL"),
            http_proxy: text("http_proxy"),
            https_proxy: text("https_proxy"),
            no_proxy: text("no_proxy"),
            netrc: path("NETRC"),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            source_date_epoch: set("SOURCE_DATE_EPOCH"),
            aws: AwsVariables::from_environment(),
            passed_on: PASSED_ON
                .iter()
                .filter_map(|name| Some((name.into(), set(name)?)))
                .collect(),
            home,
        }
    }
}
