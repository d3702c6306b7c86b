//! Makes selections valid: options and mirrors from the settings, progress to the printer.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recipes::build::scheduler::OnFailure;
use recipes::build::{
    BuildError, BuildLimits, BuildOptions, Builder, FromCaches, Origin, Realisations,
};
use recipes::event::Event;
use recipes::model::Builder as Kind;
use recipes::plan::Goal;
use recipes::source::machine::{MachineFiles, MachinePaths, Tools};
use recipes::source::{Address, FetchOptions, MirrorTable, Proxies};
use store::cache::pull::{PullEvent, Puller, forget_misses};
use store::{Lease, LocalStore, StorePath};

use crate::caches::{open_caches, tell_failures};
use crate::context::Context;
use crate::error::{CommandError, build_failed};
use crate::output::{BuildProgress, Done, PullProgress};
use crate::select::{SelectError, Selection, Want, select};
use crate::settings::{CacheUse, Settings};
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

/// What became valid.
#[derive(Debug)]
pub(crate) struct Realised {
    /// One store path for each selection, in order.
    pub(crate) paths: Vec<StorePath>,
    /// What it took.
    pub(crate) done: Done,
    /// Keep the paths while they live.
    leases: Vec<Lease>,
}

/// Makes every selection valid. An image selects all of its packages, in its order.
pub(crate) fn realise(
    context: &Context,
    store: &LocalStore,
    selections: &[Selection],
    options: &RealiseOptions,
) -> Result<Realised, CommandError> {
    let goals = goals(selections);
    let progress = BuildProgress::new(context.printer());
    let events = |event: Event| progress.show(&event);
    let mut built = Vec::new();
    let mut leases = Vec::new();
    if !goals.is_empty() {
        let sources = open_caches(context)?;
        if context.settings().caches.mode == CacheUse::Only && !store.is_read_only() {
            // Who has nothing else wants to know what is there now, and not what was there some minutes ago.
            for source in &sources {
                forget_misses(store, &source.url().to_string()).map_err(CommandError::failed)?;
            }
        }
        let pulling = PullProgress::new(context.printer());
        let show = |event: PullEvent| pulling.show(&event);
        let policy = context.settings().trust.policy();
        let puller = Puller::new(store, &sources, policy, seconds_now());
        let caches = FromCaches::new(&puller, &show);
        let caches = match context.settings().caches.mode {
            CacheUse::Only => caches.exclusively(),
            CacheUse::First | CacheUse::Never => caches,
        };
        let mut builder = Builder::new(store, build_options(context, options)?);
        if !sources.is_empty() || context.settings().caches.mode == CacheUse::Only {
            builder = builder.with_caches(&caches);
        }
        let failed = |error| build_failed(error, &goals);
        let Realisations {
            goals: realised,
            lease: taken,
            ..
        } = {
            let realised = builder.realise(&goals, &events, context.cancel());
            let is_needed = matches!(&realised, Err(BuildError::OnlyCaches { .. }));
            tell_failures(context.printer(), &puller, is_needed);
            realised.map_err(failed)?
        };
        leases.push(taken);
        for (goal, one) in goals.iter().zip(&realised) {
            let fresh = matches!(one.how, Origin::Built | Origin::Fetched);
            if options.rounds > 1 && !fresh && matches!(goal.derivation.builder(), Kind::Program(_))
            {
                builder
                    .check(&goal.derivation, &events, context.cancel())
                    .map_err(failed)?;
            }
        }
        built.extend(realised.into_iter().map(|one| one.path));
    }
    let mut built = built.into_iter();
    let mut paths = Vec::new();
    for selection in selections {
        match selection {
            Selection::Output { .. } => paths.extend(built.next()),
            Selection::Image(image) => paths.extend(built.by_ref().take(image.packages.len())),
            Selection::Path(path) => {
                let lease = store.lease()?;
                if !store.hold(&lease, std::slice::from_ref(path))?.is_empty() {
                    return Err(SelectError::NotValid(path.to_logical()).into());
                }
                leases.push(lease);
                paths.push(path.clone());
            }
        }
    }
    Ok(Realised {
        paths,
        done: progress.done(),
        leases,
    })
}

/// One valid store path, kept while this lives.
#[derive(Debug)]
pub(crate) struct RealisedOne {
    path: StorePath,
    _leases: Vec<Lease>,
}

impl Deref for RealisedOne {
    type Target = StorePath;

    fn deref(&self) -> &StorePath {
        &self.path
    }
}

/// Makes the one target valid that a command is about.
pub(crate) fn realise_one(
    context: &Context,
    store: &LocalStore,
    target: &str,
) -> Result<RealisedOne, CommandError> {
    let selection = select(context, &context.evaluator(), target, Want::Objects)?;
    let realised = realise(context, store, &[selection], &RealiseOptions::default())?;
    let path = realised.paths.into_iter().next();
    Ok(RealisedOne {
        path: path.ok_or_else(|| SelectError::NotValid(target.into()))?,
        _leases: realised.leases,
    })
}

/// What a builder shall make of the selections that have recipes.
pub(crate) fn goals(selections: &[Selection]) -> Vec<Goal> {
    let goal = |output: &recipes::model::OutputRef| Goal {
        derivation: output.derivation().clone(),
        outputs: vec![output.output().to_owned()],
    };
    selections
        .iter()
        .flat_map(|selection| match selection {
            Selection::Output { output, .. } => vec![goal(output)],
            Selection::Image(image) => image.packages.iter().map(goal).collect(),
            Selection::Path(_) => Vec::new(),
        })
        .collect()
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

/// Seconds since 1970; a clock before that counts as 1970.
pub(crate) fn seconds_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
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
