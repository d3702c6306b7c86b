//! The public door: goals in, valid store paths out.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use sandbox::Launcher;
use store::{Component, Lease, LocalStore, ObjectId, ResolvedDigest, StorePath};

use super::component::component;
use super::error::{BuildError, FailedStep, StepError};
use super::files::at;
use super::observed::{record_late_facts, record_late_links};
use super::options::BuildOptions;
use super::perform::Job;
use super::program::Failure;
use super::prospect::{Need, Prospect};
use super::smoke::{SmokeFailure, SmokePlace};
use super::substitute::Substituter;
use super::workers::{FinishedStep, Workers};
use super::{lock, private};
use crate::debian::keep_source_version;
use crate::event::{Event, StepId};
use crate::model::{Builder as BuilderKind, Derivation, OutputRef};
use crate::plan::{Answer, Goal, Graph, Lookup, Outputs, RealisedOutput};
use crate::source::{Fetcher, remove_expired};

/// How often a run begins again because a garbage collection was faster than the protection of what was found, which takes milliseconds.
const ATTEMPTS: u32 = 5;

/// Realises goals in one store.
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
///
/// use recipes::build::{BuildOptions, Builder};
/// use recipes::plan::Goal;
/// # fn example(store: &store::LocalStore, goal: Goal, clock: fn() -> u64) -> Result<(), Box<dyn std::error::Error>> {
/// // The running program calls `sandbox::helper_main_if_requested()` first thing in its `main`.
/// let options = BuildOptions::new(std::env::current_exe()?, clock);
/// let done = Builder::new(store, options).realise(&[goal], &|event| drop(event), &AtomicBool::new(false))?;
/// for realised in &done.goals {
///     println!("{}", realised.path.to_logical());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Builder<'a> {
    store: &'a LocalStore,
    options: BuildOptions,
    fetcher: Fetcher,
    caches: Option<&'a dyn Substituter>,
    launcher: OnceLock<Launcher>,
    launching: Mutex<()>,
}

impl fmt::Debug for Builder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What was wanted, what it took, and what keeps it.
#[derive(Debug)]
pub struct Realisations {
    /// The wanted outputs, in the order of the goals and of the outputs that they name.
    pub goals: Vec<Realised>,
    /// How many derivations took what.
    pub counts: Counts,
    /// Keeps the goals from being collected while it lives.
    pub lease: Lease,
}

/// An output that is valid now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realised {
    /// Name of the output.
    pub output: String,
    /// Where it lies.
    pub path: StorePath,
    /// What it is.
    pub id: ObjectId,
    /// The key under which it is known; `None` for local files.
    pub resolved: Option<ResolvedDigest>,
    /// How it came to be valid.
    pub how: Origin,
}

/// How an output came to be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// It was, and so was everything below it that had to be asked for.
    AlreadyValid,
    /// Something that it needs was made anew in this run, and became what it had been: early cutoff.
    Cutoff,
    /// A builder ran, or pith composed it itself.
    Built,
    /// It was transferred.
    Fetched,
    /// Another process made it while this one waited.
    Shared,
    /// It came from a cache.
    Substituted,
}

/// How many derivations came to be valid in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// See [`Origin::AlreadyValid`].
    pub already_valid: usize,
    /// See [`Origin::Cutoff`].
    pub cutoff: usize,
    /// See [`Origin::Built`].
    pub built: usize,
    /// See [`Origin::Fetched`].
    pub fetched: usize,
    /// See [`Origin::Shared`].
    pub shared: usize,
    /// See [`Origin::Substituted`].
    pub substituted: usize,
}

/// What all steps of a run share.
pub(super) struct Tools<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) options: &'a BuildOptions,
    pub(super) fetcher: &'a Fetcher,
    pub(super) locks: PathBuf,
    pub(super) caches: Option<&'a dyn Substituter>,
    builder: &'a Builder<'a>,
}

impl Tools<'_> {
    /// Returns the sandbox's helper, which is started when it is first needed.
    pub(super) fn launcher(&self) -> Result<&Launcher, StepError> {
        self.builder.launcher()
    }
}

impl<'a> Builder<'a> {
    /// Creates a builder. Cheap: nothing is opened or started.
    pub fn new(store: &'a LocalStore, options: BuildOptions) -> Self {
        let fetcher = Fetcher::new(options.fetch.clone(), options.mirrors.clone());
        Self {
            store,
            options,
            fetcher,
            caches: None,
            launcher: OnceLock::new(),
            launching: Mutex::new(()),
        }
    }

    pub(super) const fn store(&self) -> &'a LocalStore {
        self.store
    }

    /// Takes from caches what they have.
    #[must_use]
    pub fn with_caches(mut self, caches: &'a dyn Substituter) -> Self {
        self.caches = Some(caches);
        self
    }

    /// Makes every output of every goal valid and returns them.
    ///
    /// Blocks. `events` is called from several threads. When `cancel` is set, everything that runs is stopped within a
    /// fraction of a second; what was finished stays valid. When it fails, what does not depend on the failure is finished
    /// or stopped, as the options say.
    pub fn realise(
        &self,
        goals: &[Goal],
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Realisations, BuildError> {
        again_if_collected(|| self.realise_once(goals, events, cancel))
    }

    fn realise_once(
        &self,
        goals: &[Goal],
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Realisations, BuildError> {
        let graph = Graph::new(goals)?;
        events(Event::Planned { steps: graph.len() });
        let lease = self.store.lease()?;
        let finished = self.finish(&graph, goals, &lease, events, cancel)?;
        let mut realised = Vec::new();
        for goal in goals {
            let Some(node) = graph.find(&goal.derivation.id()) else {
                continue;
            };
            let Some(Some(step)) = finished.get(node) else {
                continue;
            };
            for name in goal.output_names() {
                if let Some(output) = step.outputs.iter().find(|output| output.output == name) {
                    realised.push(Realised {
                        output: output.output.clone(),
                        path: output.path.clone(),
                        id: output.id,
                        resolved: step.resolved,
                        how: step.origin,
                    });
                }
            }
        }
        let paths: Vec<StorePath> = realised.iter().map(|one| one.path.clone()).collect();
        if let Some(path) = self.store.hold(&lease, &paths)?.into_iter().next() {
            return Err(BuildError::Collected { path });
        }
        self.describe(&graph, &finished, &paths, &lease)?;
        let mut counts = Counts::default();
        for step in finished.iter().flatten() {
            counts.add(step.origin);
        }
        Ok(Realisations {
            goals: realised,
            counts,
            lease,
        })
    }

    /// Does everything that the goals need, and returns what is known of each node afterwards.
    fn finish(
        &self,
        graph: &Graph,
        goals: &[Goal],
        lease: &Lease,
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<Vec<Option<FinishedStep>>, BuildError> {
        let mut prospect = Prospect::new(self.store, graph, goals)?;
        let is_writable = !self.store.is_read_only();
        let mut tools = None;
        if is_writable && prospect.has_unread(false) {
            let tools = tools.insert(self.tools()?);
            self.read_files(&mut prospect, false, tools, lease, events)?;
        }
        let is_open = |prospect: &Prospect<'_>, may_pull| {
            let open = |need: &Need| matches!(need, Need::Make | Need::Pull);
            prospect.needs(may_pull).iter().any(open)
        };
        if let Some(caches) = self.caches.filter(|_| is_writable)
            && is_open(&prospect, true)
        {
            if prospect.has_unread(true) {
                let tools = match &mut tools {
                    Some(tools) => tools,
                    none => none.insert(self.tools()?),
                };
                self.read_files(&mut prospect, true, tools, lease, events)?;
            }
            prospect.substitute(caches, lease, cancel)?;
        }
        let tools = match tools {
            Some(tools) => tools,
            None if is_open(&prospect, false) => self.tools()?,
            None => return Ok(prospect.into_settled(events)),
        };
        let workers = Workers {
            graph,
            prospect: &prospect,
            tools: &tools,
            lease,
            events,
            cancel,
        };
        workers.run()
    }

    /// Records what the recipes say today of everything that belongs to the goals: a license or a home page may have changed since it was built.
    ///
    /// Where several derivations became one object, the first counts.
    fn describe(
        &self,
        graph: &Graph,
        finished: &[Option<FinishedStep>],
        goals: &[StorePath],
        lease: &Lease,
    ) -> Result<(), BuildError> {
        if self.store.is_read_only() {
            return Ok(());
        }
        let closure = self.store.closure(goals)?;
        let mut facts = BTreeMap::new();
        for (derivation, step) in graph.derivations().iter().zip(finished) {
            for output in step.iter().flat_map(|step| &step.outputs) {
                if closure.find(&output.path).is_some() {
                    facts.entry(&output.path).or_insert(derivation);
                }
            }
        }
        let facts: Vec<(StorePath, Component)> = facts
            .into_iter()
            .filter_map(|(path, derivation)| {
                let known = closure.find(path).and_then(|info| info.component.as_ref());
                let mut facts = component(derivation);
                // What its builder said of it, and what was read in the object itself, no recipe says.
                if let Some(known) = known {
                    facts.contains.clone_from(&known.contains);
                    facts.linked.clone_from(&known.linked);
                    facts.uses.clone_from(&known.uses);
                    facts.facts.clone_from(&known.facts);
                    if let (Some(purl), Some(known)) = (&facts.purl, &known.purl)
                        && let Some(purl) = keep_source_version(purl, known)
                    {
                        facts.purl = Some(purl);
                    }
                    if facts.license.is_none() && known.license_evidence.is_some() {
                        facts.license.clone_from(&known.license);
                        facts.license_evidence.clone_from(&known.license_evidence);
                    }
                }
                (known != Some(&facts)).then(|| (path.clone(), facts))
            })
            .collect();
        self.store.set_components(&facts)?;
        let failed = |error| BuildError::Observe(Box::new(error));
        record_late_links(self.store, &closure).map_err(failed)?;
        record_late_facts(self.store, graph, finished, &closure, lease).map_err(failed)
    }

    /// Takes files into the store that alone tell what their derivations are.
    fn read_files(
        &self,
        prospect: &mut Prospect<'_>,
        embedded: bool,
        tools: &Tools<'_>,
        lease: &Lease,
        events: &(dyn Fn(Event) + Sync),
    ) -> Result<(), BuildError> {
        let graph = prospect.graph();
        prospect.read_files(embedded, |node, lookup| {
            let Some(derivation) = graph.derivations().get(node) else {
                return Ok(None);
            };
            let resolved = match lookup.look(node)? {
                Answer::Valid(outputs) => return Ok(Some(outputs)),
                Answer::Missing(resolved) => Some(resolved),
                Answer::LocalFiles => None,
            };
            let started = Instant::now();
            let job = Job {
                step: StepId(node),
                derivation,
                resolved,
                debs: Vec::new(),
                tools,
                lease,
                events,
                stop: &AtomicBool::new(false),
                ask_caches: false,
            };
            let Ok((outputs, work)) = job.perform() else {
                return Ok(None);
            };
            events(Event::Finished {
                step: StepId(node),
                name: derivation.name().to_string(),
                work,
                paths: outputs.iter().map(|output| output.path.clone()).collect(),
                duration: started.elapsed(),
            });
            Ok(Some(outputs))
        })
    }

    /// Builds a derivation again, although it is valid, and compares the result with what is registered.
    ///
    /// Everything that it needs, and the derivation itself, is realised first. Nothing is registered by the repetition.
    ///
    /// # Errors
    /// [`StepError::NotReproducible`] names the files and the first differing offsets.
    pub fn check(
        &self,
        derivation: &Arc<Derivation>,
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<(), BuildError> {
        again_if_collected(|| self.check_once(derivation, events, cancel))
    }

    fn check_once(
        &self,
        derivation: &Arc<Derivation>,
        events: &(dyn Fn(Event) + Sync),
        cancel: &AtomicBool,
    ) -> Result<(), BuildError> {
        if !matches!(derivation.builder(), BuilderKind::Program(_)) {
            return Err(BuildError::NothingToRepeat {
                name: derivation.name().to_string(),
            });
        }
        self.store
            .check_writable()
            .map_err(|source| BuildError::ReadOnly {
                name: derivation.name().to_string(),
                source: Box::new(source),
            })?;
        // What it needs is a goal too: it is used, although the derivation itself is valid.
        let goal = |output: &OutputRef| Goal {
            derivation: Arc::clone(output.derivation()),
            outputs: vec![output.output().to_owned()],
        };
        let mut goals = vec![Goal::new(Arc::clone(derivation))];
        goals.extend(derivation.dependencies().map(goal));
        let graph = Graph::new(&goals)?;
        let lease = self.store.lease()?;
        let finished = self.finish(&graph, &goals, &lease, events, cancel)?;
        let tools = self.tools()?;
        let mut lookup = Lookup::new(self.store, &graph);
        let node = graph.find(&derivation.id()).unwrap_or(graph.len());
        let mut registered = Vec::new();
        for (place, step) in finished.into_iter().enumerate() {
            match step {
                Some(step) if place == node => registered = step.outputs,
                Some(step) => lookup.set(place, step.outputs),
                None => {}
            }
        }
        let resolved = lookup.resolve(node)?;
        let job = Job {
            step: StepId(node),
            derivation,
            resolved: None,
            debs: Vec::new(),
            tools: &tools,
            lease: &lease,
            events,
            stop: cancel,
            ask_caches: false,
        };
        job.repeat(&resolved, &registered).map_err(|failure| {
            if failure.error.is_interruption() {
                return BuildError::Interrupted;
            }
            BuildError::Step(Box::new(FailedStep::new(derivation, *failure)))
        })
    }

    /// Runs the smoke commands of a derivation whose default output is valid, and returns the first that did not go well.
    pub fn smoke(
        &self,
        derivation: &Arc<Derivation>,
        package: &StorePath,
        cancel: &AtomicBool,
    ) -> Result<Option<SmokeFailure>, BuildError> {
        let run = || {
            let temporary = self.store.tmp_dir();
            fs::create_dir_all(&temporary).map_err(at(&temporary))?;
            let place = SmokePlace {
                store: self.store,
                launcher: self.launcher()?,
                weakest_level: self.options.weakest_level,
                package,
            };
            place.run(&derivation.metadata().smoke, cancel)
        };
        run().map_err(|error: StepError| {
            if error.is_interruption() {
                return BuildError::Interrupted;
            }
            let failure: Box<Failure> = error.into();
            BuildError::Step(Box::new(FailedStep::new(derivation, *failure)))
        })
    }

    /// Returns the key of a derivation's log, when everything that it needs was once built here, and so was it;
    /// [`read_log`](super::read_log) opens it.
    pub fn find_log(
        &self,
        derivation: &Arc<Derivation>,
    ) -> Result<Option<ResolvedDigest>, BuildError> {
        let graph = Graph::new(&[Goal::new(derivation.clone())])?;
        let mut lookup = Lookup::new(self.store, &graph);
        let last = graph.len().saturating_sub(1);
        for (node, input) in graph.derivations().iter().enumerate().take(last) {
            let outputs = match lookup.recall(node)? {
                Some(recalled) => recalled.outputs,
                None => match lookup.look(node)? {
                    Answer::Valid(outputs) => outputs,
                    Answer::LocalFiles => self.add_local_files(input)?,
                    Answer::Missing(_) => return Ok(None),
                },
            };
            lookup.set(node, outputs);
        }
        let resolved = lookup.resolve(last)?.digest;
        let log = super::log_path(&self.store.logs_dir(), &resolved);
        Ok(log.exists().then_some(resolved))
    }

    /// Takes files of a project into the store as they are now: nothing else tells which objects they are.
    pub(super) fn add_local_files(
        &self,
        derivation: &Arc<Derivation>,
    ) -> Result<Outputs, BuildError> {
        let goals = [Goal::new(Arc::clone(derivation))];
        let realised = self.realise(&goals, &|_| {}, &AtomicBool::new(false))?;
        let outputs = realised.goals.into_iter().map(|one| RealisedOutput {
            output: one.output,
            path: one.path,
            id: one.id,
        });
        Ok(outputs.collect())
    }

    fn tools(&self) -> Result<Tools<'_>, BuildError> {
        let locks = self.store.root().join("var/locks");
        if !self.store.is_read_only() {
            let temporary = self.store.tmp_dir();
            fs::create_dir_all(&temporary).map_err(at(&temporary))?;
            private::sweep(&temporary)?;
            fs::create_dir_all(&locks).map_err(at(&locks))?;
            lock::sweep(&locks)?;
            remove_expired(&temporary, (self.options.clock)());
        }
        Ok(Tools {
            store: self.store,
            options: &self.options,
            fetcher: &self.fetcher,
            locks,
            caches: self.caches,
            builder: self,
        })
    }

    fn launcher(&self) -> Result<&Launcher, StepError> {
        let _alone = self
            .launching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(launcher) = self.launcher.get() {
            return Ok(launcher);
        }
        let launcher = Launcher::new(&self.options.helper)?;
        Ok(self.launcher.get_or_init(|| launcher))
    }
}

/// Tries again what failed because a garbage collection deleted something between the question for it and its protection.
fn again_if_collected<T>(
    mut attempt: impl FnMut() -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(error) if error.is_collected() => {}
            result => return result,
        }
    }
    attempt()
}

impl Counts {
    fn add(&mut self, origin: Origin) {
        *match origin {
            Origin::AlreadyValid => &mut self.already_valid,
            Origin::Cutoff => &mut self.cutoff,
            Origin::Built => &mut self.built,
            Origin::Fetched => &mut self.fetched,
            Origin::Shared => &mut self.shared,
            Origin::Substituted => &mut self.substituted,
        } += 1;
    }
}
