//! The work of one step, by kind of derivation, under the lock of its resolved digest.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use sandbox::Level;
use store::{
    AddSource, KnownComponents, Lease, LocalStore, MemoryNode, ObjectId, PathInfo, StorePath,
    TreeError,
};

use super::error::StepError;
use super::files::at;
use super::listing::Listing;
use super::lock::BuildLock;
use super::log::Line;
use super::options::BuildOptions;
use super::private::PrivateDirectory;
use super::program::{Failure, Input, Program, Run};
use super::realise::Tools;
use super::register::{Circumstances, Made, Rules, built_component, realise, register};
use super::smoke::SmokePlace;
use super::substitute::choose;
use crate::event::{Event, StepId, Work};
use crate::facts::LinkedOutput;
use crate::model::{
    Builder, DebTree, Derivation, Fetch, OutputRef, Platform, ResolvedDerivation, Source,
    SourceFile,
};
use crate::plan::{Outputs, RealisedOutput, find_valid};
use crate::source::deb::{DebFile, Selection, unpack};
use crate::source::{FetchRequest, Glob};

/// One step, ready to be done.
pub(super) struct Job<'a> {
    pub(super) step: StepId,
    pub(super) derivation: &'a Derivation,
    /// `None` for local files.
    pub(super) resolved: Option<Box<ResolvedDerivation>>,
    /// What the debs of a tree became, in its order.
    pub(super) debs: Vec<StorePath>,
    pub(super) tools: &'a Tools<'a>,
    pub(super) lease: &'a Lease,
    pub(super) events: &'a (dyn Fn(Event) + Sync),
    pub(super) stop: &'a AtomicBool,
    /// Whether caches may know it, and were not asked yet.
    pub(super) ask_caches: bool,
}

/// Refuses a builder that this machine cannot run.
fn check_machine(needed: Platform) -> Result<(), StepError> {
    let native = Platform::native();
    if native == Some(needed) {
        return Ok(());
    }
    let machine = native.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |platform| platform.to_string(),
    );
    Err(StepError::OtherMachine { needed, machine })
}

impl Job<'_> {
    /// Does the work, or finds that another process has done it meanwhile.
    pub(super) fn perform(&self) -> Result<(Outputs, Work), Box<Failure>> {
        let Some(resolved) = &self.resolved else {
            return Ok((self.add_local_files()?, Work::Added));
        };
        let waiting = || self.tell_waiting();
        let lock = BuildLock::acquire(&self.tools.locks, &resolved.digest, &waiting, self.stop)?;
        let Some(_lock) = lock else {
            return Err(StepError::Interrupted.into());
        };
        if let Some(outputs) =
            find_valid(self.store(), self.derivation, resolved).map_err(StepError::from)?
        {
            return Ok((outputs, Work::Shared));
        }
        if let Some(outputs) = self.substitute(resolved)? {
            return Ok((outputs, Work::Substituted));
        }
        match self.derivation.builder() {
            Builder::Fetch(fetch) => Ok((self.fetch(fetch, resolved)?, Work::Fetched)),
            Builder::DebTree(tree) => Ok((self.unpack(tree, resolved)?, Work::Built)),
            Builder::Deb(deb) => Ok((self.unpack_member(deb, resolved)?, Work::Built)),
            Builder::DebSet(set) => Ok((self.compose(set, resolved)?, Work::Built)),
            Builder::Source(Source::Embedded(source)) => {
                let made = match source.as_single_file() {
                    Some(file) => AddSource::Bytes {
                        bytes: Cow::Borrowed(&file.bytes),
                        executable: file.executable,
                    },
                    None => AddSource::Tree(tree_of(source.files()).map_err(StepError::from)?),
                };
                Ok((
                    self.register_one(made, Some(resolved), Instant::now())?,
                    Work::Added,
                ))
            }
            Builder::Source(Source::Local(_)) => Ok((self.add_local_files()?, Work::Added)),
            Builder::Program(program) => {
                check_machine(program.platform)?;
                Ok((self.run_program(resolved)?, Work::Built))
            }
        }
    }

    /// Takes the outputs from a cache, if one has all of them.
    fn substitute(&self, resolved: &ResolvedDerivation) -> Result<Option<Outputs>, StepError> {
        let Some(caches) = self.tools.caches.filter(|_| self.ask_caches) else {
            return Ok(None);
        };
        let answers = caches.find(&[resolved.digest])?.into_iter().flatten();
        let Some(told) = choose(self.derivation, &resolved.digest, answers) else {
            return Ok(None);
        };
        let wanted: Vec<(StorePath, ObjectId)> = told
            .iter()
            .map(|one| (one.path.clone(), one.object))
            .collect();
        if !caches.pull(&wanted, self.lease, self.stop)?.is_empty() {
            return Ok(None);
        }
        self.store().add_realisations(&told)?;
        Ok(Some(told.into_iter().map(RealisedOutput::from).collect()))
    }

    pub(super) fn store(&self) -> &LocalStore {
        self.tools.store
    }

    pub(super) fn options(&self) -> &BuildOptions {
        self.tools.options
    }

    fn tell_waiting(&self) {
        (self.events)(Event::Waiting {
            step: self.step,
            name: self.derivation.name().to_string(),
        });
    }

    pub(super) fn circumstances(
        &self,
        resolved: Option<&ResolvedDerivation>,
        started: Instant,
    ) -> Circumstances {
        Circumstances {
            resolved: resolved.map(|resolved| resolved.digest),
            sandbox: Level::Full.to_string(),
            built_at: (self.options().clock)(),
            duration: started.elapsed(),
            contains: Vec::new(),
            known: KnownComponents::Replace,
        }
    }

    /// Registers the single output of one of pith's own builders, which refers to nothing.
    pub(super) fn register_one(
        &self,
        source: AddSource<'_>,
        resolved: Option<&ResolvedDerivation>,
        started: Instant,
    ) -> Result<Outputs, StepError> {
        let made = vec![Made {
            source,
            scratch: None,
        }];
        let circumstances = self.circumstances(resolved, started);
        register(
            self.store(),
            self.derivation,
            made,
            Rules::default(),
            &circumstances,
            self.lease,
        )
    }

    fn fetch(&self, fetch: &Fetch, resolved: &ResolvedDerivation) -> Result<Outputs, StepError> {
        let started = Instant::now();
        let directory = self.store().tmp_dir();
        let request = FetchRequest {
            name: self.derivation.name().as_str(),
            urls: &fetch.urls,
            digest: &fetch.digest,
            location: self.derivation.origin(),
            step: self.step,
        };
        let download = self
            .tools
            .fetcher
            .fetch(&request, &directory, self.events, self.stop)?;
        let mode = if fetch.executable { 0o700 } else { 0o600 };
        let failed = at(download.path());
        fs::set_permissions(download.path(), fs::Permissions::from_mode(mode)).map_err(&failed)?;
        let parent = File::open(&directory).map_err(at(&directory))?;
        let name = download
            .path()
            .file_name()
            .unwrap_or(OsStr::new(""))
            .to_owned();
        let source = AddSource::Entry {
            parent: parent.as_fd(),
            name: &name,
        };
        let outputs = self.register_one(source, Some(resolved), started)?;
        download.remove()?;
        Ok(outputs)
    }

    fn unpack(&self, tree: &DebTree, resolved: &ResolvedDerivation) -> Result<Outputs, StepError> {
        let started = Instant::now();
        self.tell_build(1);
        self.hold(&self.debs)?;
        let selection = Selection {
            drop: globs(&tree.drop)?,
            keep: Vec::new(),
            include: globs(&tree.include)?,
            links: tree.links.clone(),
        };
        let debs: Vec<DebFile> = self
            .debs
            .iter()
            .map(|path| DebFile {
                name: path.name().to_string(),
                path: self.store().real_path(path),
            })
            .collect();
        self.in_private_directory(|directory| {
            let out = directory.add("out", 0o755)?;
            let root = File::open(&out).map_err(at(&out))?;
            unpack(&debs, &selection, root.as_fd(), self.stop)?;
            let source = AddSource::Entry {
                parent: directory.fd(),
                name: OsStr::new("out"),
            };
            self.register_one(source, Some(resolved), started)
        })
    }

    /// Runs `work` with a directory that is gone afterwards, whatever happens.
    pub(super) fn in_private_directory<T>(
        &self,
        work: impl FnOnce(&PrivateDirectory) -> Result<T, StepError>,
    ) -> Result<T, StepError> {
        let directory =
            PrivateDirectory::create(&self.store().tmp_dir(), self.derivation.name().as_str())?;
        let result = work(&directory);
        let removed = directory.remove();
        let value = result?;
        removed?;
        Ok(value)
    }

    pub(super) fn tell_build(&self, round: u32) {
        let name = self.derivation.name().to_string();
        (self.events)(Event::BuildStarted {
            step: self.step,
            name,
            round,
        });
    }

    fn run_program(&self, resolved: &ResolvedDerivation) -> Result<Outputs, Box<Failure>> {
        let started = Instant::now();
        let inputs = self.inputs(resolved)?;
        let program = self.program(resolved, &inputs)?;
        let first = self.run_round(&program, 1)?;
        for round in 2..=self.options().rounds {
            let later = match self.run_round(&program, round) {
                Ok(later) => later,
                Err(failure) => {
                    drop(first.remove());
                    return Err(failure);
                }
            };
            let differences = first.compare(&later);
            match differences {
                Ok(differences) if differences.is_empty() => later.remove()?,
                Ok(differences) => {
                    let keep = self.options().keep_failed;
                    let kept = if keep {
                        later.keep()
                    } else {
                        later.remove().err().and(None)
                    };
                    drop(first.remove());
                    let error = StepError::NotReproducible { round, differences };
                    return Err(Box::new(Failure {
                        error,
                        log: None,
                        kept,
                    }));
                }
                Err(error) => {
                    drop((later.remove(), first.remove()));
                    return Err(error.into());
                }
            }
        }
        let circumstances = Circumstances {
            sandbox: first.level.to_string(),
            duration: first.wall,
            contains: first.contains().to_vec(),
            ..self.circumstances(Some(resolved), started)
        };
        match self.register_run(resolved, &first, inputs.rules(resolved), circumstances) {
            Ok(outputs) => {
                first.remove()?;
                Ok(outputs)
            }
            Err(error) => {
                let kept = if self.options().keep_failed {
                    first.keep()
                } else {
                    first.remove().err().and(None)
                };
                Err(Box::new(Failure {
                    error,
                    log: None,
                    kept,
                }))
            }
        }
    }

    /// Adds what a run made. The objects are added first, so that what is tried and looked at is what an image would hold to the byte; only what works, and of
    /// which the facts are recorded, is known for what it was built from.
    fn register_run(
        &self,
        resolved: &ResolvedDerivation,
        run: &Run,
        rules: Rules,
        circumstances: Circumstances,
    ) -> Result<Outputs, StepError> {
        let untested = Circumstances {
            resolved: None,
            known: KnownComponents::Keep,
            ..circumstances.clone()
        };
        let outputs = register(
            self.store(),
            self.derivation,
            run.made(),
            rules,
            &untested,
            self.lease,
        )?;
        if !self.derivation.metadata().smoke.is_empty() {
            self.try_out(&outputs)?;
        }
        let linked = LinkedOutput {
            records: run.links(),
            scratch: run.scratch(),
        };
        let component = built_component(self.derivation, &circumstances);
        self.record_facts(resolved, &outputs, &component, &linked)?;
        realise(self.store(), &outputs, &circumstances)?;
        Ok(outputs)
    }

    /// Runs the smoke commands with the default output, which is the first.
    fn try_out(&self, outputs: &Outputs) -> Result<(), StepError> {
        let Some(first) = outputs.first() else {
            return Ok(());
        };
        let place = SmokePlace {
            store: self.store(),
            launcher: self.tools.launcher()?,
            weakest_level: self.options().weakest_level,
            package: &first.path,
        };
        match place.run(&self.derivation.metadata().smoke, self.stop)? {
            Some(failure) => Err(StepError::Smoke(Box::new(failure))),
            None => Ok(()),
        }
    }

    /// Runs the program again and compares with what is registered. Returns nothing when they are equal.
    pub(super) fn repeat(
        &self,
        resolved: &ResolvedDerivation,
        registered: &Outputs,
    ) -> Result<(), Box<Failure>> {
        let inputs = self.inputs(resolved)?;
        let program = self.program(resolved, &inputs)?;
        let store_directory = self.store().root().join("store");
        let parent = File::open(&store_directory).map_err(at(&store_directory))?;
        let mut known = Vec::new();
        for output in registered {
            let name = std::ffi::CString::new(output.path.to_string())
                .map_err(|error| at(&store_directory)(error.into()))?;
            let listing =
                Listing::load(parent.as_fd(), &name).map_err(|source| StepError::Output {
                    output: output.output.clone(),
                    source,
                })?;
            known.push((output.path.clone(), listing));
        }
        for round in 2..=self.options().rounds.max(2) {
            let run = self.run_round(&program, round)?;
            let differences = run.compare_registered(&known)?;
            if differences.is_empty() {
                run.remove()?;
                continue;
            }
            let kept = if self.options().keep_failed {
                run.keep()
            } else {
                run.remove().err().and(None)
            };
            return Err(Box::new(Failure {
                error: StepError::NotReproducible { round, differences },
                log: None,
                kept,
            }));
        }
        Ok(())
    }

    fn program<'p>(
        &'p self,
        resolved: &'p ResolvedDerivation,
        inputs: &'p Inputs,
    ) -> Result<Program<'p>, StepError> {
        Ok(Program {
            store: self.store(),
            launcher: self.tools.launcher()?,
            options: self.options(),
            derivation: self.derivation,
            resolved,
            closure: &inputs.visible,
            seed: inputs.seed.clone(),
        })
    }

    fn run_round(&self, program: &Program<'_>, round: u32) -> Result<Run, Box<Failure>> {
        self.tell_build(round);
        let mut watch = |line| {
            (self.events)(match line {
                Line::Phase(phase) => Event::Phase {
                    step: self.step,
                    phase,
                },
                Line::Text(line) => Event::LogLine {
                    step: self.step,
                    line,
                },
            });
        };
        program.run(&mut watch, self.stop)
    }

    /// Makes sure that what was found valid is still, and stays.
    pub(super) fn hold(&self, paths: &[StorePath]) -> Result<(), StepError> {
        let missing = self.store().hold(self.lease, paths);
        match missing.map_err(StepError::Lease)?.into_iter().next() {
            Some(path) => Err(StepError::Collected { path }),
            None => Ok(()),
        }
    }

    /// Collects what the builder sees. Everything is protected before it is asked for, so that it cannot go meanwhile.
    fn inputs(&self, resolved: &ResolvedDerivation) -> Result<Inputs, StepError> {
        let named = resolved.inputs.iter().chain(&resolved.seed);
        let roots: Vec<StorePath> = named.map(|(path, _)| path.clone()).collect();
        self.hold(&roots)?;
        let extra = resolved.extra_references.iter();
        self.hold(&extra.map(|(path, _)| path.clone()).collect::<Vec<_>>())?;
        let closure = self.store().closure(&roots)?;
        let is_input = |path: &StorePath| resolved.inputs.iter().any(|(input, _)| input == path);
        let seed = resolved.seed.as_ref().map(|(path, _)| path);
        let mut inputs = Inputs {
            visible: Vec::new(),
            infos: closure.infos().to_vec(),
            seed: None,
        };
        inputs.seed = seed.map(|path| self.store().real_path(path));
        for info in closure.infos() {
            // The seed shows at /usr only, unless it is an input as well.
            if seed != Some(&info.path) || is_input(&info.path) {
                let (path, real, root) = (
                    info.path.clone(),
                    self.store().real_path(&info.path),
                    info.root.clone(),
                );
                inputs.visible.push(Input { path, real, root });
            }
        }
        Ok(inputs)
    }
}

/// The objects of one build.
struct Inputs {
    visible: Vec<Input>,
    /// The closure of inputs and seed, references first.
    infos: Vec<PathInfo>,
    seed: Option<PathBuf>,
}

impl Inputs {
    /// References are looked for among all that was there, what is forbidden and what is added. Forbidden are also the
    /// seed, always, and what refers to anything forbidden.
    fn rules(&self, resolved: &ResolvedDerivation) -> Rules {
        let mut candidates: BTreeMap<StorePath, ObjectId> = self
            .infos
            .iter()
            .map(|info| (info.path.clone(), info.id))
            .collect();
        candidates.extend(
            resolved
                .forbidden
                .iter()
                .chain(&resolved.extra_references)
                .cloned(),
        );
        let mut forbidden: BTreeSet<StorePath> = resolved
            .forbidden
            .iter()
            .chain(&resolved.seed)
            .map(|(path, _)| path.clone())
            .collect();
        // References come first, so one pass finds everything above.
        for info in &self.infos {
            if info
                .references
                .iter()
                .any(|reference| forbidden.contains(&reference.path))
            {
                forbidden.insert(info.path.clone());
            }
        }
        Rules {
            candidates: candidates.into_iter().collect(),
            extra: resolved
                .extra_references
                .iter()
                .map(|(path, _)| path.clone())
                .collect(),
            forbidden: forbidden.into_iter().collect(),
        }
    }
}

pub(super) fn globs(patterns: &[String]) -> Result<Vec<Glob>, StepError> {
    Ok(patterns
        .iter()
        .map(|pattern| pattern.parse())
        .collect::<Result<_, _>>()?)
}

fn tree_of(files: &[SourceFile]) -> Result<MemoryNode, TreeError> {
    let mut tree = MemoryNode::directory();
    for file in files {
        let bytes = file.bytes.to_vec();
        tree.insert(
            &file.path,
            MemoryNode::File {
                bytes,
                executable: file.executable,
            },
        )?;
    }
    Ok(tree)
}

/// The debs of a tree, or the members of a set, for the caller that knows what they became.
pub(super) fn debs_of(derivation: &Derivation) -> &[OutputRef] {
    match derivation.builder() {
        Builder::DebTree(tree) => &tree.debs,
        Builder::Deb(deb) => std::slice::from_ref(&deb.deb),
        Builder::DebSet(set) => &set.members,
        _ => &[],
    }
}
