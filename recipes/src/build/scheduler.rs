//! The order of work as a pure state machine: events go in, actions come out.
//!
//! **Invariant.** Every node is looked up at most once and run at most once, both only after all of its inputs are done; a
//! failure cancels exactly the nodes above it, and with [`OnFailure::Stop`] everything that has not started too; of what is
//! ready, the node with the most work above it runs first.
//!
//! ```
//! use recipes::build::scheduler::{Action, Lane, Node, NodeId, Occurrence, OnFailure, Scheduler, Slots};
//!
//! let library = Node { inputs: vec![], lane: Lane::Build, cost: 1 };
//! let program = Node { inputs: vec![NodeId(0)], lane: Lane::Build, cost: 1 };
//! let mut scheduler = Scheduler::new(vec![library, program], Slots { fetch: 1, build: 1 }, OnFailure::Stop).unwrap();
//! assert_eq!(scheduler.start(), [Action::Look(NodeId(0))]);
//! assert_eq!(scheduler.on(Occurrence::Missing(NodeId(0))), [Action::Run(NodeId(0))]);
//! assert_eq!(scheduler.on(Occurrence::Succeeded(NodeId(0))), [Action::Look(NodeId(1))]);
//! ```
//!
//! It knows nothing of derivations, threads or time: those are the workers' of [`build`](super).

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Place of a node in the list given to [`Scheduler::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Which kind of slot a node needs while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Waits for the network most of the time.
    Fetch,
    /// Keeps processors busy.
    Build,
}

/// One derivation, as far as its order matters.
#[derive(Clone, Debug)]
pub struct Node {
    /// What must be done before; each one earlier in the list than this node.
    pub inputs: Vec<NodeId>,
    /// Which slot it needs.
    pub lane: Lane,
    /// How long it takes compared with others; only orders what is ready.
    pub cost: u64,
}

/// How many nodes of each lane may run at once; at least one each.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    /// Transfers.
    pub fetch: usize,
    /// Builders.
    pub build: usize,
}

/// What a failure means for nodes that do not need the failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing new starts and what runs is stopped.
    Stop,
    /// They go on.
    KeepGoing,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// The lookup found a valid result.
    Found(NodeId),
    /// The lookup found nothing: the node has to run.
    Missing(NodeId),
    /// It ran and its result is valid; or the lookup failed over to one.
    Succeeded(NodeId),
    /// The lookup or the run failed.
    Failed(NodeId),
    /// The user wants everything to stop.
    Interrupted,
}

/// What the caller has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look for a valid result, then report `Found`, `Missing` or `Failed`.
    Look(NodeId),
    /// Do the work, then report `Succeeded` or `Failed`.
    Run(NodeId),
    /// Stop the running work; it reports `Failed` (or `Succeeded`, if it was faster).
    Stop(NodeId),
    /// Tell the user that this node is not tried. Nothing is to be reported.
    Cancel(NodeId),
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Some inputs are not done.
    Waiting,
    /// Its lookup is under way.
    Looking,
    /// Waits for a slot.
    Ready,
    /// Its work is under way.
    Running,
    /// Its result is valid.
    Done,
    /// It failed itself.
    Failed,
    /// It was not tried.
    Cancelled,
}

/// A graph that cannot be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node} needs node {input}, which does not come before it")]
pub struct OrderError {
    node: usize,
    input: usize,
}

/// The state machine; see the module.
#[derive(Debug)]
pub struct Scheduler {
    nodes: Vec<Entry>,
    ready_fetches: BTreeSet<(Reverse<u64>, NodeId)>,
    ready_builds: BTreeSet<(Reverse<u64>, NodeId)>,
    running: Slots,
    slots: Slots,
    on_failure: OnFailure,
    stopping: bool,
    unfinished: usize,
}

#[derive(Debug)]
struct Entry {
    state: State,
    lane: Lane,
    /// Inputs that are not done.
    open_inputs: usize,
    users: Vec<NodeId>,
    /// Cost of the most expensive way from here to a goal, this node included.
    priority: u64,
}

impl Scheduler {
    /// Creates a machine for `nodes`, which must be listed inputs first.
    ///
    /// # Errors
    /// When a node names an input that is not before it in the list (so a cycle cannot be given at all).
    pub fn new(nodes: Vec<Node>, slots: Slots, on_failure: OnFailure) -> Result<Self, OrderError> {
        let mut entries: Vec<Entry> = nodes
            .iter()
            .map(|node| Entry {
                state: State::Waiting,
                lane: node.lane,
                open_inputs: 0,
                users: Vec::new(),
                priority: node.cost.max(1),
            })
            .collect();
        for (index, node) in nodes.iter().enumerate() {
            let inputs: BTreeSet<NodeId> = node.inputs.iter().copied().collect();
            entries[index].open_inputs = inputs.len();
            for input in inputs {
                if input.0 >= index {
                    return Err(OrderError {
                        node: index,
                        input: input.0,
                    });
                }
                entries[input.0].users.push(NodeId(index));
            }
        }
        for index in (0..entries.len()).rev() {
            let above = entries[index]
                .users
                .iter()
                .map(|user| entries[user.0].priority)
                .max();
            entries[index].priority = entries[index].priority.saturating_add(above.unwrap_or(0));
        }
        let unfinished = entries.len();
        Ok(Self {
            nodes: entries,
            ready_fetches: BTreeSet::new(),
            ready_builds: BTreeSet::new(),
            running: Slots { fetch: 0, build: 0 },
            slots: Slots {
                fetch: slots.fetch.max(1),
                build: slots.build.max(1),
            },
            on_failure,
            stopping: false,
            unfinished,
        })
    }

    /// Returns the first actions: the lookups of all nodes without inputs.
    pub fn start(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for index in 0..self.nodes.len() {
            if self.nodes[index].open_inputs == 0 && self.nodes[index].state == State::Waiting {
                self.look(NodeId(index), &mut actions);
            }
        }
        actions
    }

    /// Takes one occurrence and returns what to do now, in this order.
    ///
    /// # Panics
    /// When a node is reported that was not asked for: looked up or run twice, or never.
    pub fn on(&mut self, occurrence: Occurrence) -> Vec<Action> {
        let mut actions = Vec::new();
        match occurrence {
            Occurrence::Found(node) => {
                self.expect_state(node, &[State::Looking]);
                self.finish(node, &mut actions);
            }
            Occurrence::Missing(node) => {
                self.expect_state(node, &[State::Looking]);
                if self.stopping {
                    self.cancel(node, &mut actions);
                } else {
                    self.enqueue(node);
                }
            }
            Occurrence::Succeeded(node) => {
                self.expect_state(node, &[State::Running]);
                self.release_slot(node);
                self.finish(node, &mut actions);
            }
            Occurrence::Failed(node) => {
                self.expect_state(node, &[State::Looking, State::Running]);
                if self.nodes[node.0].state == State::Running {
                    self.release_slot(node);
                }
                self.nodes[node.0].state = State::Failed;
                self.unfinished -= 1;
                self.cancel_users(node, &mut actions);
                if self.on_failure == OnFailure::Stop {
                    self.stop(&mut actions);
                }
            }
            Occurrence::Interrupted => self.stop(&mut actions),
        }
        self.fill_slots(&mut actions);
        actions
    }

    /// Returns where `node` stands.
    pub fn state(&self, node: NodeId) -> State {
        self.nodes[node.0].state
    }

    /// Returns whether every node is done, failed or cancelled.
    pub fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    fn expect_state(&self, node: NodeId, allowed: &[State]) {
        let state = self.nodes[node.0].state;
        assert!(
            allowed.contains(&state),
            "node {} reported while {state:?}",
            node.0
        );
    }

    fn look(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        self.nodes[node.0].state = State::Looking;
        actions.push(Action::Look(node));
    }

    fn finish(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        self.nodes[node.0].state = State::Done;
        self.unfinished -= 1;
        for user in self.nodes[node.0].users.clone() {
            let entry = &mut self.nodes[user.0];
            entry.open_inputs -= 1;
            if entry.open_inputs == 0 && entry.state == State::Waiting {
                self.look(user, actions);
            }
        }
    }

    fn queue(&mut self, lane: Lane) -> &mut BTreeSet<(Reverse<u64>, NodeId)> {
        match lane {
            Lane::Fetch => &mut self.ready_fetches,
            Lane::Build => &mut self.ready_builds,
        }
    }

    fn enqueue(&mut self, node: NodeId) {
        let entry = &mut self.nodes[node.0];
        entry.state = State::Ready;
        let (lane, key) = (entry.lane, (Reverse(entry.priority), node));
        self.queue(lane).insert(key);
    }

    fn release_slot(&mut self, node: NodeId) {
        match self.nodes[node.0].lane {
            Lane::Fetch => self.running.fetch -= 1,
            Lane::Build => self.running.build -= 1,
        }
    }

    fn fill_slots(&mut self, actions: &mut Vec<Action>) {
        while self.running.fetch < self.slots.fetch
            && let Some((_, node)) = self.ready_fetches.pop_first()
        {
            self.running.fetch += 1;
            self.run(node, actions);
        }
        while self.running.build < self.slots.build
            && let Some((_, node)) = self.ready_builds.pop_first()
        {
            self.running.build += 1;
            self.run(node, actions);
        }
    }

    fn run(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        self.nodes[node.0].state = State::Running;
        actions.push(Action::Run(node));
    }

    fn cancel(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        self.nodes[node.0].state = State::Cancelled;
        self.unfinished -= 1;
        actions.push(Action::Cancel(node));
        self.cancel_users(node, actions);
    }

    fn cancel_users(&mut self, node: NodeId, actions: &mut Vec<Action>) {
        let mut open = self.nodes[node.0].users.clone();
        while let Some(user) = open.pop() {
            if self.nodes[user.0].state == State::Waiting {
                self.nodes[user.0].state = State::Cancelled;
                self.unfinished -= 1;
                actions.push(Action::Cancel(user));
                open.extend(self.nodes[user.0].users.iter().copied());
            }
        }
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.ready_fetches.clear();
        self.ready_builds.clear();
        for index in 0..self.nodes.len() {
            match self.nodes[index].state {
                State::Waiting | State::Ready => {
                    self.nodes[index].state = State::Cancelled;
                    self.unfinished -= 1;
                    actions.push(Action::Cancel(NodeId(index)));
                }
                State::Running => actions.push(Action::Stop(NodeId(index))),
                State::Looking | State::Done | State::Failed | State::Cancelled => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn node(inputs: &[usize]) -> Node {
        Node {
            inputs: inputs.iter().copied().map(NodeId).collect(),
            lane: Lane::Build,
            cost: 1,
        }
    }

    fn slots(build: usize) -> Slots {
        Slots { fetch: 2, build }
    }

    #[test]
    fn new_refuses_a_node_that_needs_itself() {
        let result = Scheduler::new(vec![node(&[0])], slots(1), OnFailure::Stop);
        assert_eq!(result.err(), Some(OrderError { node: 0, input: 0 }));
    }

    #[test]
    fn the_longest_way_to_a_goal_runs_first() {
        // 0 is needed by nobody else; 1 starts a chain of three.
        let nodes = vec![node(&[]), node(&[]), node(&[1]), node(&[2])];
        let mut scheduler = Scheduler::new(nodes, slots(1), OnFailure::Stop).unwrap();
        scheduler.start();
        // The slot is given to whoever is ready first ...
        assert_eq!(
            scheduler.on(Occurrence::Missing(NodeId(0))),
            [Action::Run(NodeId(0))]
        );
        assert_eq!(scheduler.on(Occurrence::Missing(NodeId(1))), []);
        // ... and then to the longest chain.
        assert_eq!(
            scheduler.on(Occurrence::Succeeded(NodeId(0))),
            [Action::Run(NodeId(1))]
        );
    }

    #[test]
    fn transfers_and_builds_do_not_take_each_others_slots() {
        let fetch = Node {
            inputs: vec![],
            lane: Lane::Fetch,
            cost: 1,
        };
        let mut scheduler =
            Scheduler::new(vec![fetch, node(&[])], slots(1), OnFailure::Stop).unwrap();
        scheduler.start();
        assert_eq!(
            scheduler.on(Occurrence::Missing(NodeId(0))),
            [Action::Run(NodeId(0))]
        );
        assert_eq!(
            scheduler.on(Occurrence::Missing(NodeId(1))),
            [Action::Run(NodeId(1))]
        );
    }

    #[test]
    fn a_failure_stops_what_runs_unless_told_to_keep_going() {
        for (on_failure, expected) in [
            (
                OnFailure::Stop,
                vec![Action::Cancel(NodeId(2)), Action::Stop(NodeId(1))],
            ),
            (OnFailure::KeepGoing, vec![Action::Cancel(NodeId(2))]),
        ] {
            let mut scheduler =
                Scheduler::new(vec![node(&[]), node(&[]), node(&[0])], slots(2), on_failure)
                    .unwrap();
            scheduler.start();
            scheduler.on(Occurrence::Missing(NodeId(0)));
            scheduler.on(Occurrence::Missing(NodeId(1)));
            assert_eq!(scheduler.on(Occurrence::Failed(NodeId(0))), expected);
            assert!(!scheduler.is_finished());
            scheduler.on(Occurrence::Succeeded(NodeId(1)));
            assert!(scheduler.is_finished());
        }
    }

    /// A random graph: node n may need any of the nodes before it.
    fn graphs() -> impl Strategy<Value = Vec<Node>> {
        prop::collection::vec((any::<u32>(), any::<bool>(), 0u64..9), 1..20).prop_map(|seeds| {
            seeds
                .iter()
                .enumerate()
                .map(|(index, &(mask, fetch, cost))| Node {
                    inputs: (0..index)
                        .filter(|input| mask >> input & 1 == 1)
                        .map(NodeId)
                        .collect(),
                    lane: if fetch { Lane::Fetch } else { Lane::Build },
                    cost,
                })
                .collect()
        })
    }

    proptest! {
        /// Plays a whole run with random results in a random order and checks every law of the module's invariant.
        #[test]
        fn every_run_keeps_the_laws(
            nodes in graphs(),
            answers in prop::collection::vec(0u8..8, 40..41),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 400..401),
            keep_going: bool,
            interrupt_at in prop::option::of(0usize..30),
        ) {
            let on_failure = if keep_going { OnFailure::KeepGoing } else { OnFailure::Stop };
            let limits = Slots { fetch: 2, build: 3 };
            let mut scheduler = Scheduler::new(nodes.clone(), limits, on_failure).unwrap();
            let mut looked = BTreeMap::new();
            let mut ran = BTreeMap::new();
            let mut cancelled = BTreeSet::new();
            let mut failed = BTreeSet::new();
            let mut done = BTreeSet::new();
            let mut open: Vec<(NodeId, bool)> = Vec::new();
            let mut actions = scheduler.start();
            let mut turn = 0;
            loop {
                for action in std::mem::take(&mut actions) {
                    match action {
                        Action::Look(n) | Action::Run(n) => {
                            let running = matches!(action, Action::Run(_));
                            let seen = if running { &mut ran } else { &mut looked };
                            prop_assert!(seen.insert(n, ()).is_none(), "started twice");
                            prop_assert!(nodes[n.0].inputs.iter().all(|i| done.contains(i)), "before its inputs");
                            open.push((n, running));
                        }
                        Action::Cancel(n) => {
                            prop_assert!(!ran.contains_key(&n) && cancelled.insert(n));
                        }
                        Action::Stop(n) => prop_assert!(open.contains(&(n, true))),
                    }
                }
                for (lane, limit) in [(Lane::Fetch, limits.fetch), (Lane::Build, limits.build)] {
                    let count = open.iter().filter(|(n, run)| *run && nodes[n.0].lane == lane).count();
                    prop_assert!(count <= limit, "too many at once");
                }
                if open.is_empty() {
                    break;
                }
                if interrupt_at == Some(turn) {
                    actions = scheduler.on(Occurrence::Interrupted);
                    turn += 1;
                    continue;
                }
                let (n, running) = open.swap_remove(picks[turn % picks.len()].index(open.len()));
                turn += 1;
                let answer = answers[n.0];
                actions = scheduler.on(match (running, answer) {
                    (_, 0) => { failed.insert(n); Occurrence::Failed(n) }
                    (false, 1..=3) => { done.insert(n); Occurrence::Found(n) }
                    (false, _) => Occurrence::Missing(n),
                    (true, _) => { done.insert(n); Occurrence::Succeeded(n) }
                });
            }
            prop_assert!(scheduler.is_finished());
            for (index, node) in nodes.iter().enumerate() {
                let n = NodeId(index);
                let fates = [done.contains(&n), failed.contains(&n), cancelled.contains(&n)];
                prop_assert_eq!(fates.iter().filter(|fate| **fate).count(), 1, "exactly one fate");
                let interrupted = interrupt_at.is_some_and(|at| at < turn);
                if keep_going && !interrupted && cancelled.contains(&n) {
                    prop_assert!(node.inputs.iter().any(|i| failed.contains(i) || cancelled.contains(i)));
                }
            }
        }
    }
}
