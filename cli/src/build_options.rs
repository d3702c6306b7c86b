//! How things are built: what a command asks for, the settings, and what the machine itself is set up to use.

use std::path::PathBuf;
use std::time::Duration;

use recipes::build::scheduler::OnFailure;
use recipes::build::{BuildLimits, BuildOptions};
use recipes::source::machine::{MachineFiles, MachinePaths, Tools};
use recipes::source::{Address, FetchOptions, MirrorTable, Proxies};

use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::CommandError;
use crate::settings::Settings;
use crate::size::Size;

/// How a command wants things built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealiseOptions {
    /// How often each builder runs; the results must be equal.
    pub(crate) rounds: u32,
    /// Whether the directory of a failed build stays.
    pub(crate) keep_failed: bool,
    /// Whether what does not need a failed build goes on.
    pub(crate) keep_going: bool,
    /// A limit for every builder.
    pub(crate) timeout: Option<Duration>,
    /// How much each builder may keep on disk, if not the usual.
    pub(crate) max_disk: Option<Size>,
    /// How much memory each builder may use.
    pub(crate) max_memory: Option<Size>,
}

impl Default for RealiseOptions {
    fn default() -> Self {
        Self {
            rounds: 1,
            keep_failed: false,
            keep_going: false,
            timeout: None,
            max_disk: None,
            max_memory: None,
        }
    }
}

/// What a builder needs, from the settings and what the machine itself is set up to use.
pub(crate) fn build_options(
    context: &Context,
    options: &RealiseOptions,
) -> Result<BuildOptions, CommandError> {
    let settings = context.settings();
    let helper = std::env::current_exe().map_err(CommandError::failed)?;
    Ok(BuildOptions {
        jobs: settings.jobs,
        cores: settings.cores,
        rounds: options.rounds,
        keep_failed: options.keep_failed,
        on_failure: if options.keep_going {
            OnFailure::KeepGoing
        } else {
            OnFailure::Stop
        },
        timeout: options.timeout,
        limits: limits(options),
        weakest_level: settings.sandbox,
        fetch: FetchOptions {
            offline: settings.offline,
            proxies: proxies(settings),
            ..FetchOptions::default()
        },
        mirrors: mirrors(settings),
        ..BuildOptions::new(helper, seconds_now)
    })
}

fn limits(options: &RealiseOptions) -> BuildLimits {
    let usual = BuildLimits::default();
    BuildLimits {
        disk_bytes: options.max_disk.map_or(usual.disk_bytes, |size| size.bytes),
        memory_bytes: options.max_memory.map(|size| size.bytes),
        ..usual
    }
}

fn proxies(settings: &Settings) -> Proxies {
    Proxies {
        http: settings.variables.http_proxy.clone(),
        https: settings.variables.https_proxy.clone(),
        direct: settings.variables.no_proxy.clone(),
    }
}

/// Mirrors of the settings first, then the machine's, then the public ones.
fn mirrors(settings: &Settings) -> MirrorTable {
    let mut table = MirrorTable::new();
    for (name, urls) in &settings.mirrors {
        for url in urls {
            table.append(name, Address::new(url.clone()));
        }
    }
    table.append_all(MachineFiles::load(&machine_paths(settings)).mirrors());
    table.append_built_in();
    if let Some(path) = &settings.variables.path {
        table.ask(Tools::new(path));
    }
    table
}

fn machine_paths(settings: &Settings) -> MachinePaths {
    let variables = &settings.variables;
    let below = |base: &Option<PathBuf>, rest: &str| base.as_ref().map(|base| base.join(rest));
    let list = |paths: Vec<Option<PathBuf>>| paths.into_iter().flatten().collect();
    MachinePaths {
        apt: Some("/etc/apt".into()),
        pip_index: variables.pip_index.clone(),
        npm_registry: variables.npm_registry.clone(),
        pip: list(vec![
            below(&variables.config_home, "pip/pip.conf"),
            below(&variables.home, ".pip/pip.conf"),
            Some("/etc/pip.conf".into()),
        ]),
        npm: list(vec![
            below(&variables.home, ".npmrc"),
            Some("/etc/npmrc".into()),
        ]),
        cargo: list(vec![below(&variables.cargo_home, "config.toml")]),
        cargo_registries: below(&variables.cargo_home, "registry/index"),
    }
}
