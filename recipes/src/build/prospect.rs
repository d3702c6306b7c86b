//! What is known before anything is made, and what has to be done because of the rest.
//!
//! Which objects the inputs of a derivation were is recorded for a long time after they are gone, here and in caches. So the keys of all derivations can often be
//! computed without the compilers, sources and downloads below them, and only what is really wanted has to be there: the goals, and the inputs of what must be
//! made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use store::{Lease, LocalStore, ObjectId, PlanDigest, Realisation, ResolvedDigest, StorePath};

use super::BuildError;
use super::realise::Origin;
use super::substitute::{SubstituteError, Substituter, choose};
use super::workers::FinishedStep;
use crate::event::{Event, StepId};
use crate::model::{Builder, Derivation, Source};
use crate::plan::{Goal, Graph, Lookup, Outputs, RealisedOutput, Recalled};

/// What a node needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nobody uses it.
    Nothing,
    /// All that is used of it is valid.
    Valid,
    /// It is known what it becomes, and it can be asked for.
    Pull,
    /// It has to be made.
    Make,
}

/// What a node became, the outputs apart.
#[derive(Clone, Debug)]
struct Known {
    resolved: Option<ResolvedDigest>,
    /// For each output of the derivation whether it is valid.
    valid: Vec<bool>,
    origin: Origin,
}

/// The nodes of a graph as far as they are known.
pub(super) struct Prospect<'a> {
    store: &'a LocalStore,
    graph: &'a Graph,
    goals: &'a [Goal],
    lookup: Lookup<'a>,
    known: Vec<Option<Known>>,
    /// What caches were asked about, so that nobody asks again.
    asked: BTreeSet<ResolvedDigest>,
    /// What caches said and was used.
    told: Vec<Realisation>,
    /// Nodes that are known but to be had nowhere.
    unavailable: BTreeSet<usize>,
}

impl<'a> Prospect<'a> {
    /// Asks the store about everything, from the sources upwards. One query for each derivation.
    pub(super) fn new(
        store: &'a LocalStore,
        graph: &'a Graph,
        goals: &'a [Goal],
    ) -> Result<Self, BuildError> {
        let mut prospect = Self {
            store,
            graph,
            goals,
            lookup: Lookup::new(store, graph),
            known: vec![None; graph.len()],
            asked: BTreeSet::new(),
            told: Vec::new(),
            unavailable: BTreeSet::new(),
        };
        prospect.recall()?;
        Ok(prospect)
    }

    fn recall(&mut self) -> Result<(), BuildError> {
        for node in 0..self.graph.len() {
            if self.is_known(node) || !self.lookup.is_resolvable(node) {
                continue;
            }
            if let Some(recalled) = self.lookup.recall(node)? {
                let Recalled {
                    outputs,
                    valid,
                    resolved,
                    ..
                } = recalled;
                self.set(node, outputs, valid, Some(resolved), self.origin(node));
            }
        }
        Ok(())
    }

    fn is_known(&self, node: usize) -> bool {
        self.known.get(node).is_some_and(Option::is_some)
    }

    fn set(
        &mut self,
        node: usize,
        outputs: Outputs,
        valid: Vec<bool>,
        resolved: Option<ResolvedDigest>,
        origin: Origin,
    ) {
        self.lookup.set(node, outputs);
        if let Some(slot) = self.known.get_mut(node) {
            *slot = Some(Known {
                resolved,
                valid,
                origin,
            });
        }
    }

    /// How a node came to be what it was before: by itself, or because something below it became again what it had been.
    fn origin(&self, node: usize) -> Origin {
        let anew = |input: &usize| matches!(self.known.get(*input), Some(Some(known)) if known.origin != Origin::AlreadyValid && known.origin != Origin::Cutoff);
        if self.graph.inputs(node).iter().any(anew) {
            Origin::Cutoff
        } else {
            Origin::AlreadyValid
        }
    }

    /// Returns whether something that only its files can tell, local ones or with `embedded` those of recipes too, is not known.
    pub(super) fn has_unread(&self, embedded: bool) -> bool {
        (0..self.graph.len()).any(|node| !self.is_known(node) && self.is_unread(node, embedded))
    }

    fn is_unread(&self, node: usize, embedded: bool) -> bool {
        match self.graph.derivations().get(node).map(|one| one.builder()) {
            Some(Builder::Source(Source::Local(_))) => true,
            Some(Builder::Source(Source::Embedded(_))) => embedded,
            _ => false,
        }
    }

    /// Takes the files into the store that tell what their nodes are, and asks the store again. What fails is left for the run that reports it.
    pub(super) fn read_files(
        &mut self,
        embedded: bool,
        mut add: impl FnMut(usize, &Lookup<'_>) -> Result<Option<Outputs>, BuildError>,
    ) -> Result<(), BuildError> {
        for node in 0..self.graph.len() {
            if self.is_known(node) || !self.is_unread(node, embedded) {
                continue;
            }
            if let Some(outputs) = add(node, &self.lookup)? {
                let valid = vec![true; outputs.len()];
                let resolved = match self.graph.derivations().get(node).map(|one| one.builder()) {
                    Some(Builder::Source(Source::Local(_))) => None,
                    _ => Some(self.lookup.resolve(node)?.digest),
                };
                self.set(node, outputs, valid, resolved, Origin::Built);
            }
        }
        self.recall()
    }

    /// Returns what each node needs. Only what is used counts: an output that nobody asks for may be absent.
    pub(super) fn needs(&self, may_pull: bool) -> Vec<Need> {
        let uses = self.look_down(may_pull);
        uses.into_iter().map(|(need, _)| need).collect()
    }

    /// Returns what each node needs, and which of its outputs are used; from the goals downwards.
    fn look_down(&self, may_pull: bool) -> Vec<(Need, BTreeSet<&str>)> {
        let mut used = self.used_by_goals();
        let mut uses: Vec<(Need, BTreeSet<&str>)> =
            vec![(Need::Nothing, BTreeSet::new()); self.graph.len()];
        for (node, derivation) in self.graph.derivations().iter().enumerate().rev() {
            let Some(names) = used.remove(&node) else {
                continue;
            };
            let need = match self.known.get(node) {
                Some(Some(known)) if self.are_valid(node, known, &names) => Need::Valid,
                Some(Some(_)) if may_pull && !self.unavailable.contains(&node) => Need::Pull,
                _ => Need::Make,
            };
            if need == Need::Make {
                for input in derivation.dependencies() {
                    if let Some(place) = self.graph.find(&input.derivation().id()) {
                        used.entry(place).or_default().insert(input.output());
                    }
                }
            }
            if let Some(slot) = uses.get_mut(node) {
                *slot = (need, names);
            }
        }
        uses
    }

    fn used_by_goals(&self) -> BTreeMap<usize, BTreeSet<&str>> {
        let mut used: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for goal in self.goals {
            if let Some(node) = self.graph.find(&goal.derivation.id()) {
                used.entry(node).or_default().extend(goal.output_names());
            }
        }
        used
    }

    fn are_valid(&self, node: usize, known: &Known, names: &BTreeSet<&str>) -> bool {
        let outputs = self.lookup.result(node).map_or(&[][..], Vec::as_slice);
        let mut valid = outputs.iter().zip(&known.valid);
        let found = valid.all(|(output, valid)| *valid || !names.contains(output.output.as_str()));
        found && outputs.len() == known.valid.len()
    }

    /// Asks caches what is not known here, and takes what is needed from them. Afterwards [`needs`](Self::needs) says what is left to do.
    pub(super) fn substitute(
        &mut self,
        caches: &dyn Substituter,
        lease: &Lease,
        cancel: &AtomicBool,
    ) -> Result<(), BuildError> {
        self.ask(caches)?;
        if caches.is_exclusive() {
            self.check_nothing_is_made(true)?;
        }
        self.pull(caches, lease, cancel)?;
        if !self.told.is_empty() {
            self.store
                .add_realisations(&self.told)
                .map_err(|source| SubstituteError::Store(Box::new(source)))?;
        }
        if caches.is_exclusive() {
            self.check_nothing_is_made(false)?;
        }
        Ok(())
    }

    /// Learns what derivations became, from the sources upwards: from hints for whole plans, and one by one where those say nothing.
    fn ask(&mut self, caches: &dyn Substituter) -> Result<(), BuildError> {
        let hints = self.ask_for_plans(caches)?;
        loop {
            let open = self.learn(&hints)?;
            if open.is_empty() {
                return Ok(());
            }
            let keys: Vec<ResolvedDigest> = open.iter().map(|(_, key)| *key).collect();
            self.asked.extend(&keys);
            let mut learnt = false;
            for ((node, key), answers) in open.into_iter().zip(caches.find(&keys)?) {
                learnt |= self.take(node, key, &answers)?;
            }
            if !learnt {
                return Ok(());
            }
        }
    }

    /// Goes through the nodes once. Returns those whose key is known and about which nobody was asked.
    fn learn(
        &mut self,
        hints: &BTreeMap<ResolvedDigest, Vec<Realisation>>,
    ) -> Result<Vec<(usize, ResolvedDigest)>, BuildError> {
        let mut open = Vec::new();
        for node in 0..self.graph.len() {
            let is_source = self.is_unread(node, true);
            if self.is_known(node) || is_source || !self.lookup.is_resolvable(node) {
                continue;
            }
            if let Some(recalled) = self.lookup.recall(node)? {
                let key = Some(recalled.resolved);
                self.set(
                    node,
                    recalled.outputs,
                    recalled.valid,
                    key,
                    self.origin(node),
                );
                continue;
            }
            let key = self.lookup.resolve(node)?.digest;
            let hinted = hints.get(&key).map_or(&[][..], Vec::as_slice);
            if !self.take(node, key, hinted)? && !self.asked.contains(&key) {
                open.push((node, key));
            }
        }
        Ok(open)
    }

    /// Takes over what others say that a node became, if that is all of its outputs.
    fn take(
        &mut self,
        node: usize,
        key: ResolvedDigest,
        answers: &[Realisation],
    ) -> Result<bool, BuildError> {
        let Some(derivation) = self.graph.derivations().get(node) else {
            return Ok(false);
        };
        let Some(told) = choose(derivation, &key, answers.iter().cloned()) else {
            return Ok(false);
        };
        let outputs: Outputs = told.iter().cloned().map(RealisedOutput::from).collect();
        let mut valid = Vec::with_capacity(outputs.len());
        for output in &outputs {
            valid.push(self.lookup.is_valid(&output.id)?);
        }
        self.told.extend(told);
        self.set(node, outputs, valid, Some(key), self.origin(node));
        Ok(true)
    }

    /// Asks for the goals as a whole, and where nobody knows one, for what it needs, and so on downwards.
    fn ask_for_plans(
        &self,
        caches: &dyn Substituter,
    ) -> Result<BTreeMap<ResolvedDigest, Vec<Realisation>>, BuildError> {
        let mut hints: BTreeMap<ResolvedDigest, Vec<Realisation>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut front: Vec<usize> = self
            .used_by_goals()
            .into_keys()
            .filter(|node| seen.insert(*node))
            .collect();
        loop {
            let (nodes, plans): (Vec<usize>, Vec<PlanDigest>) = front
                .iter()
                .filter(|node| !self.is_known(**node))
                .filter_map(|node| Some((*node, self.lookup.plan_digest(*node)?)))
                .unzip();
            // What has no plan, because local files could not be read, is passed over on the way down.
            let mut below: Vec<usize> = front
                .iter()
                .filter(|node| !self.is_known(**node) && !nodes.contains(node))
                .copied()
                .collect();
            if !plans.is_empty() {
                for (node, answer) in nodes.into_iter().zip(caches.find_plans(&plans)?) {
                    match answer {
                        Some(entries) => {
                            for entry in entries {
                                hints.entry(entry.resolved).or_default().push(entry);
                            }
                        }
                        None => below.push(node),
                    }
                }
            }
            front = below
                .into_iter()
                .flat_map(|node| self.graph.inputs(node))
                .copied()
                .filter(|input| self.is_program(*input) && seen.insert(*input))
                .collect();
            if front.is_empty() {
                return Ok(hints);
            }
        }
    }

    fn is_program(&self, node: usize) -> bool {
        matches!(
            self.graph.derivations().get(node).map(|one| one.builder()),
            Some(Builder::Program(_))
        )
    }

    /// Pulls what is needed. What nobody has must be made, for which other things are needed, and so on.
    fn pull(
        &mut self,
        caches: &dyn Substituter,
        lease: &Lease,
        cancel: &AtomicBool,
    ) -> Result<(), BuildError> {
        loop {
            let wanted = self.wanted();
            if wanted.is_empty() {
                return Ok(());
            }
            let objects: BTreeMap<StorePath, ObjectId> = wanted
                .iter()
                .flat_map(|(_, outputs)| outputs)
                .map(|output| (output.path.clone(), output.id))
                .collect();
            let objects: Vec<(StorePath, ObjectId)> = objects.into_iter().collect();
            let absent: BTreeSet<ObjectId> =
                caches.pull(&objects, lease, cancel)?.into_iter().collect();
            for (node, outputs) in wanted {
                if outputs.iter().any(|output| absent.contains(&output.id)) {
                    self.unavailable.insert(node);
                } else {
                    self.mark_pulled(node, &outputs);
                }
            }
        }
    }

    /// The outputs to pull, by node.
    fn wanted(&self) -> Vec<(usize, Vec<RealisedOutput>)> {
        let uses = self.look_down(true).into_iter().enumerate();
        uses.filter(|(_, (need, _))| *need == Need::Pull)
            .map(|(node, (_, names))| {
                let outputs = self.lookup.result(node).into_iter().flatten();
                let used = outputs.filter(|output| names.contains(output.output.as_str()));
                (node, used.cloned().collect())
            })
            .collect()
    }

    fn mark_pulled(&mut self, node: usize, pulled: &[RealisedOutput]) {
        let outputs = self.lookup.result(node).map_or(&[][..], Vec::as_slice);
        let names: Vec<bool> = outputs
            .iter()
            .map(|output| pulled.iter().any(|one| one.output == output.output))
            .collect();
        if let Some(Some(known)) = self.known.get_mut(node) {
            known.origin = Origin::Substituted;
            for (valid, now) in known.valid.iter_mut().zip(names) {
                *valid |= now;
            }
        }
    }

    /// Returns whether caches were asked about a derivation.
    pub(super) fn was_asked(&self, resolved: &ResolvedDigest) -> bool {
        self.asked.contains(resolved)
    }

    /// Returns the graph.
    pub(super) fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// Fails if something would have to be built or fetched.
    fn check_nothing_is_made(&self, may_pull: bool) -> Result<(), BuildError> {
        let needs = self.needs(may_pull);
        let mut made = self.graph.derivations().iter().zip(&needs);
        let is_made = |(derivation, need): (&Arc<Derivation>, &Need)| {
            *need == Need::Make && !matches!(derivation.builder(), Builder::Source(_))
        };
        if !made.any(is_made) {
            return Ok(());
        }
        // Whatever is made is made for a goal.
        let goals = self.goals.iter().filter(|goal| {
            let node = self.graph.find(&goal.derivation.id());
            node.and_then(|node| needs.get(node)) == Some(&Need::Make)
        });
        let names = goals.map(|goal| goal.derivation.name().to_string());
        Err(BuildError::OnlyCaches {
            names: names.collect(),
        })
    }

    /// Returns the steps when nothing is left to do.
    pub(super) fn into_settled(self, events: &(dyn Fn(Event) + Sync)) -> Vec<Option<FinishedStep>> {
        let needs = self.needs(false).into_iter().enumerate();
        let steps: Vec<_> = needs.map(|(node, need)| self.settled(node, need)).collect();
        let told = self.graph.derivations().iter().zip(&steps).enumerate();
        for (node, (derivation, step)) in told {
            if let Some(step) = step {
                events(settled(node, derivation.name().to_string(), step));
            }
        }
        steps
    }

    /// Returns what is known of a node that is settled: that nobody uses or whose used outputs are valid.
    pub(super) fn settled(&self, node: usize, need: Need) -> Option<FinishedStep> {
        let known = self.known.get(node)?.as_ref()?;
        let is_settled = match need {
            Need::Valid => true,
            // Also told of, as long as they are there.
            Need::Nothing => known.valid.iter().all(|valid| *valid),
            Need::Pull | Need::Make => false,
        };
        is_settled.then_some(())?;
        Some(FinishedStep {
            outputs: self.lookup.result(node)?.clone(),
            resolved: known.resolved,
            origin: known.origin,
        })
    }
}

/// Tells of a step that needs no work.
pub(super) fn settled(node: usize, name: String, finished: &FinishedStep) -> Event {
    let step = StepId(node);
    if finished.origin == Origin::Substituted {
        Event::Substituted { step, name }
    } else {
        Event::Valid { step, name }
    }
}
