//! The threads that do what the scheduler says.
//!
//! One thread, the caller's, owns the scheduler and does the lookups, which are cheap; every step that has to be done gets
//! a thread of its own for as long as it takes, at most as many at once as there are slots. When there is nothing to do, no
//! thread is ever started.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use store::{Lease, PathDigest, ResolvedDigest, StorePath};

use super::error::{BuildError, FailedStep};
use super::perform::{Job, debs_of};
use super::program::Failure;
use super::prospect::{Need, Prospect, settled};
use super::realise::{Origin, Tools};
use super::scheduler::{Action, Lane, Node, NodeId, Occurrence, Scheduler, Slots};
use crate::event::{Event, StepId, Work};
use crate::model::{Builder, ResolvedDerivation};
use crate::plan::{Answer, Graph, Lookup, Outputs};

/// How often it is looked whether everything shall stop.
const POLL: Duration = Duration::from_millis(50);

/// A step that is done.
#[derive(Clone, Debug)]
pub(super) struct FinishedStep {
    pub(super) outputs: Outputs,
    pub(super) resolved: Option<ResolvedDigest>,
    pub(super) origin: Origin,
}

/// Everything for one run; see the module.
pub(super) struct Workers<'a> {
    pub(super) graph: &'a Graph,
    pub(super) prospect: &'a Prospect<'a>,
    pub(super) tools: &'a Tools<'a>,
    pub(super) lease: &'a Lease,
    pub(super) events: &'a (dyn Fn(Event) + Sync),
    pub(super) cancel: &'a AtomicBool,
}

struct Report {
    node: usize,
    result: Result<(Outputs, Work), Box<Failure>>,
    duration: Duration,
}

/// What the owner of the scheduler knows.
struct State<'a> {
    scheduler: Scheduler,
    needs: Vec<Need>,
    lookup: Lookup<'a>,
    resolved: BTreeMap<usize, Box<ResolvedDerivation>>,
    keys: Vec<Option<ResolvedDigest>>,
    origins: Vec<Option<Origin>>,
    failures: Vec<FailedStep>,
    broken: Option<BuildError>,
    interrupted: bool,
    protected: usize,
    found: Vec<PathDigest>,
}

impl<'a> Workers<'a> {
    /// Makes what the prospect says. Returns the steps in the order of the graph, but for those that nobody uses.
    pub(super) fn run(&self) -> Result<Vec<Option<FinishedStep>>, BuildError> {
        let needs = self.prospect.needs(false);
        let options = self.tools.options;
        let slots = Slots {
            fetch: options.transfers,
            build: options.jobs,
        };
        let scheduler = Scheduler::new(self.nodes(&needs), slots, options.on_failure)
            .expect("a graph lists what each node needs before it");
        let mut state = State {
            scheduler,
            needs,
            lookup: Lookup::new(self.tools.store, self.graph),
            resolved: BTreeMap::new(),
            keys: vec![None; self.graph.len()],
            origins: vec![None; self.graph.len()],
            failures: Vec::new(),
            broken: None,
            interrupted: false,
            protected: 0,
            found: Vec::new(),
        };
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let (sender, receiver) = channel::<Report>();
            let mut actions: VecDeque<Action> = state.scheduler.start().into();
            loop {
                while let Some(action) = actions.pop_front() {
                    if self.cancel.load(Ordering::Relaxed)
                        && !std::mem::replace(&mut state.interrupted, true)
                    {
                        stop.store(true, Ordering::Relaxed);
                        actions.extend(state.scheduler.on(Occurrence::Interrupted));
                    }
                    match action {
                        Action::Look(node) => {
                            let occurrence = self.look(&mut state, node);
                            actions.extend(state.scheduler.on(occurrence));
                        }
                        Action::Run(node) => {
                            self.protect_found(&mut state);
                            self.start(scope, &mut state, node.0, &stop, &sender);
                        }
                        Action::Stop(_) => stop.store(true, Ordering::Relaxed),
                        Action::Cancel(node) => self.tell_cancelled(node.0),
                    }
                }
                if state.scheduler.is_finished() {
                    break;
                }
                match receiver.recv_timeout(POLL) {
                    Ok(report) => {
                        let occurrence = self.take(&mut state, report);
                        actions.extend(state.scheduler.on(occurrence));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if self.cancel.load(Ordering::Relaxed)
                            && !std::mem::replace(&mut state.interrupted, true)
                        {
                            stop.store(true, Ordering::Relaxed);
                            actions.extend(state.scheduler.on(Occurrence::Interrupted));
                        }
                    }
                    // Never happens: this thread holds a sender itself.
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
        });
        self.finish(state)
    }

    fn nodes(&self, needs: &[Need]) -> Vec<Node> {
        let nodes = self.graph.derivations().iter().zip(needs).enumerate().map(
            |(index, (derivation, need))| {
                // What nobody has measured is guessed: a program takes longer than unpacking, that longer than a transfer.
                let (lane, cost) = match derivation.builder() {
                    Builder::Fetch(_) => (Lane::Fetch, 1),
                    Builder::Source(_) => (Lane::Build, 1),
                    Builder::DebTree(_) | Builder::Deb(_) | Builder::DebSet(_) => (Lane::Build, 4),
                    Builder::Program(_) => (Lane::Build, 16),
                };
                let inputs = match need {
                    Need::Make => self.graph.inputs(index),
                    _ => &[],
                };
                Node {
                    inputs: inputs.iter().copied().map(NodeId).collect(),
                    lane,
                    cost,
                }
            },
        );
        nodes.collect()
    }

    fn name(&self, node: usize) -> String {
        self.graph
            .derivations()
            .get(node)
            .map(|derivation| derivation.name().to_string())
            .unwrap_or_default()
    }

    fn look(&self, state: &mut State<'_>, node: NodeId) -> Occurrence {
        let NodeId(index) = node;
        let need = state.needs.get(index).copied().unwrap_or(Need::Nothing);
        if need != Need::Make {
            if let Some(step) = self.prospect.settled(index, need) {
                self.take_over(state, index, step);
            }
            return Occurrence::Found(node);
        }
        let answer = state.lookup.look(index);
        if matches!(answer, Ok(Answer::Missing(_) | Answer::LocalFiles))
            && let Err(source) = self.tools.store.check_writable()
        {
            state.broken.get_or_insert(BuildError::ReadOnly {
                name: self.name(index),
                source: Box::new(source),
            });
            return Occurrence::Failed(node);
        }
        match answer {
            Ok(Answer::Valid(outputs)) => {
                let anew = |input: &usize| {
                    matches!(
                        state.origins.get(*input),
                        Some(Some(Origin::Built | Origin::Fetched | Origin::Shared))
                    )
                };
                let cutoff = self.graph.inputs(index).iter().any(anew);
                let origin = if cutoff {
                    Origin::Cutoff
                } else {
                    Origin::AlreadyValid
                };
                let resolved = state.keys.get(index).copied().flatten();
                let step = FinishedStep {
                    outputs,
                    resolved,
                    origin,
                };
                self.take_over(state, index, step);
                Occurrence::Found(node)
            }
            Ok(Answer::Missing(resolved)) => {
                if let Some(key) = state.keys.get_mut(index) {
                    *key = Some(resolved.digest);
                }
                state.resolved.insert(index, resolved);
                Occurrence::Missing(node)
            }
            Ok(Answer::LocalFiles) => Occurrence::Missing(node),
            Err(error) => {
                state.broken.get_or_insert(error.into());
                Occurrence::Failed(node)
            }
        }
    }

    /// Enters what needs no work.
    fn take_over(&self, state: &mut State<'_>, index: usize, step: FinishedStep) {
        (self.events)(settled(index, self.name(index), &step));
        let FinishedStep {
            outputs,
            resolved,
            origin,
        } = step;
        let digests = outputs.iter().map(|output| *output.path.digest());
        state.found.extend(digests);
        if let Some(slot) = state.keys.get_mut(index) {
            *slot = resolved;
        }
        state.set(index, outputs, origin);
    }

    /// What was found valid is used from now on, so nobody may collect it.
    fn protect_found(&self, state: &mut State<'_>) {
        if let Some(new) = state
            .found
            .get(state.protected..)
            .filter(|new| !new.is_empty())
        {
            // A lease that cannot be written is noticed by the step that needs it.
            drop(self.lease.protect(new));
            state.protected = state.found.len();
        }
    }

    fn start<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        state: &mut State<'_>,
        node: usize,
        stop: &'scope AtomicBool,
        sender: &Sender<Report>,
    ) {
        let Some(derivation) = self.graph.derivations().get(node) else {
            return;
        };
        let debs: Vec<StorePath> = debs_of(derivation)
            .iter()
            .filter_map(|output| {
                let outputs = state
                    .lookup
                    .result(self.graph.find(&output.derivation().id())?)?;
                Some(
                    outputs
                        .iter()
                        .find(|known| known.output == output.output())?
                        .path
                        .clone(),
                )
            })
            .collect();
        let resolved = state.resolved.remove(&node);
        let was_asked = |one: &ResolvedDerivation| self.prospect.was_asked(&one.digest);
        let job = Job {
            step: StepId(node),
            derivation,
            ask_caches: resolved.as_deref().is_some_and(|one| !was_asked(one)),
            resolved,
            debs,
            tools: self.tools,
            lease: self.lease,
            events: self.events,
            stop,
        };
        let sender = sender.clone();
        scope.spawn(move || {
            let started = Instant::now();
            let result = job.perform();
            // The receiver lives as long as all of these threads.
            drop(sender.send(Report {
                node,
                result,
                duration: started.elapsed(),
            }));
        });
    }

    fn take(&self, state: &mut State<'_>, report: Report) -> Occurrence {
        let Report {
            node,
            result,
            duration,
        } = report;
        let (step, name) = (StepId(node), self.name(node));
        match result {
            Ok((outputs, work)) => {
                let paths = outputs.iter().map(|output| output.path.clone()).collect();
                (self.events)(Event::Finished {
                    step,
                    name,
                    work,
                    paths,
                    duration,
                });
                let origin = match work {
                    Work::Fetched => Origin::Fetched,
                    Work::Built | Work::Added => Origin::Built,
                    Work::Shared => Origin::Shared,
                    Work::Substituted => Origin::Substituted,
                };
                state.set(node, outputs, origin);
                Occurrence::Succeeded(NodeId(node))
            }
            Err(failure) => {
                if failure.error.is_interruption() {
                    self.tell_cancelled(node);
                } else {
                    (self.events)(Event::Failed { step, name });
                    if let Some(derivation) = self.graph.derivations().get(node) {
                        state.failures.push(FailedStep::new(derivation, *failure));
                    }
                }
                Occurrence::Failed(NodeId(node))
            }
        }
    }

    fn tell_cancelled(&self, node: usize) {
        (self.events)(Event::Cancelled {
            step: StepId(node),
            name: self.name(node),
        });
    }

    fn finish(&self, state: State<'_>) -> Result<Vec<Option<FinishedStep>>, BuildError> {
        let State {
            needs,
            lookup,
            keys,
            origins,
            mut failures,
            broken,
            interrupted,
            ..
        } = state;
        if let Some(error) = broken {
            return Err(error);
        }
        if failures.len() > 1 {
            return Err(BuildError::Several { failures });
        }
        if let Some(failure) = failures.pop() {
            return Err(BuildError::Step(Box::new(failure)));
        }
        let steps = origins.into_iter().zip(keys).zip(needs).enumerate();
        let steps: Option<Vec<Option<FinishedStep>>> = steps
            .map(|(node, ((origin, resolved), need))| {
                let step = origin
                    .zip(lookup.result(node))
                    .map(|(origin, outputs)| FinishedStep {
                        outputs: outputs.clone(),
                        resolved,
                        origin,
                    });
                (step.is_some() || need == Need::Nothing).then_some(step)
            })
            .collect();
        match steps {
            Some(steps) if !interrupted => Ok(steps),
            _ => Err(BuildError::Interrupted),
        }
    }
}

impl State<'_> {
    fn set(&mut self, node: usize, outputs: Outputs, origin: Origin) {
        self.lookup.set(node, outputs);
        if let Some(slot) = self.origins.get_mut(node) {
            *slot = Some(origin);
        }
    }
}
