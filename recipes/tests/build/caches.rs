//! What others have built is taken and not made.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use recipes::build::{BuildError, Builder, Origin, Realisations, SubstituteError, Substituter};
use recipes::model::Derivation;
use recipes::plan::{Goal, Graph, Lookup};
use store::{
    AddBatch, AddObject, AddSource, GcOptions, Lease, LocalStore, ObjectId, PlanDigest,
    Realisation, ResolvedDigest, RootKind, StorePath,
};

use crate::fixture::{Fixture, Script, TestResult, path_of, script};

/// What is in the store of another machine.
struct Other<'a> {
    from: &'a LocalStore,
    to: &'a LocalStore,
    /// Plans that somebody has put down, with everything below.
    plans: Vec<(PlanDigest, Vec<Realisation>)>,
    /// Objects that are known and to be had nowhere.
    lost: BTreeSet<ObjectId>,
    exclusive: bool,
    asked: Mutex<Asked>,
}

impl std::fmt::Debug for Other<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Other")
    }
}

#[derive(Debug, Default)]
struct Asked {
    plans: usize,
    keys: usize,
    pulled: Vec<String>,
}

impl<'a> Other<'a> {
    fn new(from: &'a Fixture, to: &'a Fixture) -> Self {
        Self {
            from: &from.store,
            to: &to.store,
            plans: Vec::new(),
            lost: BTreeSet::new(),
            exclusive: false,
            asked: Mutex::default(),
        }
    }

    /// Puts down what everything below a derivation was built to.
    fn with_plan(mut self, derivation: &Arc<Derivation>, locals: &Realisations) -> Self {
        let goal = Goal::new(Arc::clone(derivation));
        let graph = Graph::new(&[goal]).expect("the other store answers");
        let mut lookup = Lookup::new(self.from, &graph);
        let mut entries = Vec::new();
        for node in 0..graph.len() {
            if let Some(recalled) = lookup.recall(node).expect("the other store answers") {
                entries.extend(
                    self.from
                        .find_realisations(&recalled.resolved)
                        .expect("the other store answers"),
                );
                lookup.set(node, recalled.outputs);
            } else {
                let local = &locals.goals[0];
                lookup.set(
                    node,
                    vec![recipes::plan::RealisedOutput {
                        output: local.output.clone(),
                        path: local.path.clone(),
                        id: local.id,
                    }],
                );
            }
        }
        let plan = derivation.plan_digest(&|_| Some(locals.goals[0].id));
        self.plans
            .push((plan.expect("the other store answers"), entries));
        self
    }

    fn realise(
        &self,
        into: &Fixture,
        goals: &[&Arc<Derivation>],
    ) -> Result<Realisations, BuildError> {
        let goals: Vec<Goal> = goals
            .iter()
            .map(|goal| Goal::new(Arc::clone(goal)))
            .collect();
        Builder::new(&into.store, into.options.clone())
            .with_caches(self)
            .realise(&goals, &|_| (), &AtomicBool::new(false))
    }

    fn copy(&self, path: &StorePath, lease: &Lease) {
        let closure = self
            .from
            .closure(std::slice::from_ref(path))
            .expect("the other store answers");
        for info in closure.infos() {
            if self
                .to
                .path_info(&info.path)
                .expect("the other store answers")
                .is_some()
            {
                continue;
            }
            let directory =
                File::open(self.from.root().join("store")).expect("the other store answers");
            let name = OsString::from(info.path.to_string());
            let source = AddSource::Entry {
                parent: directory.as_fd(),
                name: &name,
            };
            let references = info.references.iter();
            let valid = |path: &StorePath| {
                (
                    path.clone(),
                    self.to
                        .path_info(path)
                        .expect("the other store answers")
                        .expect("the other store answers")
                        .id,
                )
            };
            let added = self.to.add(AddBatch {
                objects: vec![AddObject {
                    scratch: Some(info.path.clone()),
                    ..AddObject::new(info.path.name().clone(), source)
                }],
                candidates: references.map(|reference| valid(&reference.path)).collect(),
                lease: Some(lease),
                ..AddBatch::default()
            });
            assert_eq!(added.expect("the other store answers")[0].id, info.id);
            self.asked
                .lock()
                .expect("the other store answers")
                .pulled
                .push(info.path.name().to_string());
        }
    }
}

impl Substituter for Other<'_> {
    fn find_plans(
        &self,
        plans: &[PlanDigest],
    ) -> Result<Vec<Option<Vec<Realisation>>>, SubstituteError> {
        self.asked.lock().expect("the other store answers").plans += plans.len();
        let find = |plan| self.plans.iter().find(|(known, _)| known == plan);
        Ok(plans
            .iter()
            .map(|plan| find(plan).map(|(_, entries)| entries.clone()))
            .collect())
    }

    fn find(&self, resolved: &[ResolvedDigest]) -> Result<Vec<Vec<Realisation>>, SubstituteError> {
        self.asked.lock().expect("the other store answers").keys += resolved.len();
        let find = |key| {
            self.from
                .find_realisations(key)
                .expect("the other store answers")
        };
        Ok(resolved.iter().map(find).collect())
    }

    fn pull(
        &self,
        wanted: &[(StorePath, ObjectId)],
        lease: &Lease,
        _cancel: &AtomicBool,
    ) -> Result<Vec<ObjectId>, SubstituteError> {
        let mut absent = Vec::new();
        for (path, id) in wanted {
            let found = self.from.find_by_id(id).expect("the other store answers");
            if self.lost.contains(id) || found.is_none() {
                absent.push(*id);
            } else {
                self.copy(path, lease);
            }
        }
        Ok(absent)
    }

    fn is_exclusive(&self) -> bool {
        self.exclusive
    }
}

/// A library, and a program that is made from it and names it.
fn chain_of_two(comment: &str) -> (Arc<Derivation>, Arc<Derivation>) {
    let library = script("library-1", &format!("# {comment}\necho library > $out"));
    let text = format!(
        "mkdir $out; echo $out {0} > $out/x; cat {0} >> $out/x",
        path_of(&library)
    );
    let program = Script {
        inputs: &[&library],
        ..Script::new("program-1", text)
    }
    .derivation();
    (library, program)
}

fn programs_run(fixture: &Fixture) -> Vec<String> {
    let events = fixture.events.lock().expect("the other store answers");
    let runs = events.iter().filter_map(|event| match event {
        recipes::event::Event::BuildStarted { name, .. } => Some(name.clone()),
        _ => None,
    });
    runs.collect()
}

#[test]
fn what_another_machine_has_built_is_not_built_again() -> TestResult {
    let (one, two) = (Fixture::new(), Fixture::new());
    let (library, program) = chain_of_two("one");
    let path = one.build(&program)?;
    let seed = one.realise(&[&crate::fixture::seed()])?;
    for hints in [true, false] {
        let two = if hints { &two } else { &Fixture::new() };
        let mut other = Other::new(&one, two);
        if hints {
            other = other.with_plan(&program, &seed);
        }
        let done = other.realise(two, &[&program])?;
        assert_eq!(
            (done.goals[0].how, &done.goals[0].path),
            (Origin::Substituted, &path)
        );
        assert_eq!(two.read(&path, "x"), one.read(&path, "x"));
        let asked = other.asked.into_inner()?;
        assert_eq!(asked.pulled, ["library-1", "program-1"], "{hints}");
        assert_eq!(
            asked.keys,
            if hints { 0 } else { 2 },
            "one for each program"
        );
        assert_eq!(asked.plans, if hints { 1 } else { 2 });
        // It is remembered without the cache, and nothing of it is made again.
        let again = two.realise(&[&program, &library])?;
        assert!(
            again.goals.iter().all(|goal| goal.how == Origin::Cutoff),
            "{again:?}"
        );
        assert_eq!(programs_run(two), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn what_is_made_here_takes_its_inputs_from_the_cache_and_nothing_else() -> TestResult {
    let (one, two) = (Fixture::new(), Fixture::new());
    let (library, program) = chain_of_two("one");
    let unused = script("unused-1", "echo unused > $out");
    let text = format!("cat {} {} > $out", path_of(&library), path_of(&unused));
    let mine = Script {
        inputs: &[&library, &unused],
        ..Script::new("mine-1", text)
    }
    .derivation();
    one.realise(&[&program, &unused])?;
    let other = Other::new(&one, &two);
    let done = other.realise(&two, &[&mine])?;
    assert_eq!(done.goals[0].how, Origin::Built);
    assert_eq!(
        (done.counts.built, done.counts.substituted),
        (2, 2),
        "seed, mine; library, unused"
    );
    let mut pulled = other.asked.into_inner()?.pulled;
    pulled.sort();
    assert_eq!(pulled, ["library-1", "unused-1"]);
    Ok(())
}

#[test]
fn an_object_that_no_cache_has_any_more_is_made() -> TestResult {
    let (one, two) = (Fixture::new(), Fixture::new());
    let (_, program) = chain_of_two("one");
    let done = one.realise(&[&program])?;
    let mut other = Other::new(&one, &two);
    other.lost.insert(done.goals[0].id);
    let made = other.realise(&two, &[&program])?;
    assert_eq!(
        (made.goals[0].how, &made.goals[0].path),
        (Origin::Built, &done.goals[0].path)
    );
    assert_eq!(other.asked.into_inner()?.pulled, ["library-1"]);
    Ok(())
}

#[test]
fn an_input_that_becomes_what_the_cache_knows_ends_the_work_there() -> TestResult {
    let (one, two) = (Fixture::new(), Fixture::new());
    let (_, program) = chain_of_two("one");
    let path = one.build(&program)?;
    let (_, commented) = chain_of_two("two");
    let done = Other::new(&one, &two).realise(&two, &[&commented])?;
    assert_eq!(
        (done.goals[0].how, &done.goals[0].path),
        (Origin::Substituted, &path)
    );
    assert_eq!(done.counts.built, 2, "seed and library");
    Ok(())
}

#[test]
fn with_caches_alone_nothing_is_made() -> TestResult {
    let (one, two) = (Fixture::new(), Fixture::new());
    let (library, program) = chain_of_two("one");
    one.build(&library)?;
    let mut other = Other::new(&one, &two);
    other.exclusive = true;
    let error = other.realise(&two, &[&program]).unwrap_err();
    assert_eq!(error.to_string(), "no cache has `program-1`");
    assert_eq!(
        other.realise(&two, &[&library])?.goals[0].how,
        Origin::Substituted
    );
    Ok(())
}

#[test]
fn what_only_valid_objects_were_made_from_is_not_made_again() -> TestResult {
    let fixture = Fixture::new();
    let tool = script("tool-1", "echo tool > $out");
    let user = Script {
        inputs: &[&tool],
        ..Script::new("user-1", format!("cat {} > $out", path_of(&tool)))
    }
    .derivation();
    let above = Script {
        inputs: &[&user],
        ..Script::new("above-1", format!("cat {} > $out", path_of(&user)))
    }
    .derivation();
    let path = fixture.build(&user)?;
    fixture.store.add_root("user", &path, RootKind::Explicit)?;
    let cancel = AtomicBool::new(false);
    let collected = fixture
        .store
        .collect_garbage(&GcOptions::default(), &|_| (), &cancel)?;
    let left = fixture.store.find_by_prefix("")?;
    assert!(
        left.iter().all(|path| path.name().as_str() != "tool-1"),
        "{collected:?} {left:?}"
    );
    fixture.build(&above)?;
    assert_eq!(programs_run(&fixture), ["tool-1", "user-1", "above-1"]);
    Ok(())
}
