//! One run of a derivation's program: prepare, run, and check what it left.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sandbox::{Launcher, Level, Status};
use store::{ContainedComponent, LocalStore, Node, STORE_DIR, StorePath};

use super::compare::{Difference, compare};
use super::contained;
use super::environment::{BuildLimits, Place, sandbox_spec, scratch_paths};
use super::error::{BuilderEnd, BuilderFailure, LogEnd, StepError};
use super::files::at;
use super::kept;
use super::lint;
use super::listing::{self, Listing};
use super::log::{Line, LogWriter};
use super::options::BuildOptions;
use super::private::PrivateDirectory;
use super::register::Made;
use super::space::Space;
use crate::facts::{Records, load_links};
use crate::model::{Derivation, ResolvedDerivation};

/// An object that the builder sees.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) path: StorePath,
    pub(super) real: PathBuf,
    pub(super) root: Node,
}

/// Everything about a build that does not change between its rounds.
pub(super) struct Program<'a> {
    pub(super) store: &'a LocalStore,
    pub(super) launcher: &'a Launcher,
    pub(super) options: &'a BuildOptions,
    pub(super) derivation: &'a Derivation,
    pub(super) resolved: &'a ResolvedDerivation,
    /// The closure of the inputs.
    pub(super) closure: &'a [Input],
    pub(super) seed: Option<PathBuf>,
}

/// What a failed run leaves for the user.
pub(super) struct Failure {
    pub(super) error: StepError,
    pub(super) log: Option<LogEnd>,
    pub(super) kept: Option<PathBuf>,
}

impl<E: Into<StepError>> From<E> for Box<Failure> {
    fn from(error: E) -> Self {
        Self::new(Failure {
            error: error.into(),
            log: None,
            kept: None,
        })
    }
}

/// The checked outputs of one run, still in its private directory.
pub(super) struct Run {
    directory: PrivateDirectory,
    left: Left,
    pub(super) level: Level,
    pub(super) wall: Duration,
}

/// What a builder left, in the order of the outputs.
struct Left {
    /// The directory that was shown at `/pith/store`.
    store: File,
    scratch: Vec<StorePath>,
    /// The names of the outputs in it.
    names: Vec<CString>,
    outputs: Vec<(String, Listing)>,
    contains: Vec<ContainedComponent>,
    links: Records,
}

impl Run {
    /// Returns the outputs as the store takes them.
    pub(super) fn made(&self) -> Vec<Made<'_>> {
        let parent: BorrowedFd<'_> = self.left.store.as_fd();
        self.left
            .scratch
            .iter()
            .zip(&self.left.names)
            .map(|(scratch, name)| Made {
                source: store::AddSource::Entry {
                    parent,
                    name: OsStr::from_bytes(name.as_bytes()),
                },
                scratch: Some(scratch.clone()),
            })
            .collect()
    }

    /// Returns what the builder says is in the outputs; sorted, no duplicates.
    pub(super) fn contains(&self) -> &[ContainedComponent] {
        &self.left.contains
    }

    /// Returns what the linker has recorded.
    pub(super) fn links(&self) -> &Records {
        &self.left.links
    }

    /// Returns the paths that the outputs had while they were built.
    pub(super) fn scratch(&self) -> &[StorePath] {
        &self.left.scratch
    }

    /// Compares with a later run.
    pub(super) fn compare(&self, later: &Self) -> Result<Vec<Difference>, StepError> {
        let mut differences = Vec::new();
        for ((name, one), (_, two)) in self.left.outputs.iter().zip(&later.left.outputs) {
            differences.extend(compare(name, one, two, &[]).map_err(at(later.directory.path()))?);
        }
        Ok(differences)
    }

    /// Compares with what is registered, given in the order of the outputs.
    pub(super) fn compare_registered(
        &self,
        registered: &[(StorePath, Listing)],
    ) -> Result<Vec<Difference>, StepError> {
        let renames: Vec<(Vec<u8>, Vec<u8>)> = self
            .left
            .scratch
            .iter()
            .zip(registered)
            .map(|(scratch, (path, _))| {
                (
                    scratch.digest().to_string().into_bytes(),
                    path.digest().to_string().into_bytes(),
                )
            })
            .collect();
        let mut differences = Vec::new();
        for ((name, fresh), (_, known)) in self.left.outputs.iter().zip(registered) {
            differences
                .extend(compare(name, known, fresh, &renames).map_err(at(self.directory.path()))?);
        }
        Ok(differences)
    }

    pub(super) fn remove(self) -> Result<(), StepError> {
        Ok(self.directory.remove()?)
    }

    pub(super) fn keep(self) -> Option<PathBuf> {
        self.directory.keep().ok()
    }
}

impl Program<'_> {
    /// Runs the builder once and checks its outputs. `watch` sees every line of its log.
    pub(super) fn run(
        &self,
        watch: &mut dyn FnMut(Line),
        cancel: &AtomicBool,
    ) -> Result<Run, Box<Failure>> {
        let directory =
            PrivateDirectory::create(&self.store.tmp_dir(), self.derivation.name().as_str())?;
        let mut log = None;
        let error = match self.run_in(&directory, &mut log, watch, cancel) {
            Ok((left, level, wall)) => {
                return Ok(Run {
                    directory,
                    left,
                    level,
                    wall,
                });
            }
            Err(error) => error,
        };
        let keep = self.options.keep_failed && !error.is_interruption();
        // The failure of the build is worth more to the user than one of removing its directory, which the next command
        // tries again.
        let kept = if keep {
            directory.keep().ok()
        } else {
            drop(directory.remove());
            None
        };
        Err(Box::new(Failure { error, log, kept }))
    }

    fn run_in(
        &self,
        directory: &PrivateDirectory,
        log_end: &mut Option<LogEnd>,
        watch: &mut dyn FnMut(Line),
        cancel: &AtomicBool,
    ) -> Result<(Left, Level, Duration), StepError> {
        let work = directory.add("build", 0o755)?;
        let temporary = work.join("tmp");
        fs::create_dir(&temporary).map_err(at(&temporary))?;
        let work_handle = File::open(&work).map_err(at(&work))?;
        let store_path = directory.add("store", 0o755)?;
        self.make_mount_points(&store_path)?;
        let store = File::open(&store_path).map_err(at(&store_path))?;
        let closure: Vec<(StorePath, PathBuf)> = self
            .closure
            .iter()
            .map(|input| (input.path.clone(), input.real.clone()))
            .collect();
        let spec = sandbox_spec(
            self.derivation,
            self.resolved,
            &Place {
                work: &work,
                store: &store_path,
                closure: &closure,
                seed: self.seed.as_deref(),
                cores: self.options.cores,
                limits: &self.options.limits,
                timeout: self.options.timeout,
                weakest_level: self.options.weakest_level,
            },
        );
        if self.options.keep_failed {
            kept::describe(directory.path(), &spec)?;
        }
        let mut log = LogWriter::create(
            &self.store.logs_dir(),
            &self.resolved.digest,
            directory.path(),
        )?;
        let mut log_failure = None;
        let outcome = self.launcher.run(
            &spec,
            &mut |bytes| {
                if let Err(error) = log.write(bytes, watch) {
                    log_failure.get_or_insert(error);
                }
            },
            cancel,
        );
        let finished = log.finish(watch)?;
        let phase = finished.phase.clone();
        *log_end = Some(LogEnd {
            path: finished.path,
            tail: finished.tail,
            phase: finished.phase,
        });
        let outcome = outcome?;
        if let Some(error) = log_failure {
            return Err(error.into());
        }
        if let Some(end) = builder_end(outcome.status, &spec.limits, &self.options.limits) {
            return Err(end.map_or(StepError::Interrupted, |end| {
                StepError::Builder(BuilderFailure { end, phase })
            }));
        }
        let left = Left {
            contains: contained::load(work_handle.as_fd())?,
            links: load_links(work_handle.as_fd()).map_err(at(&work))?,
            ..self.check(
                store,
                &closure,
                lint::Scope::of_builder(work_handle.as_fd()).map_err(at(&work))?,
            )?
        };
        Ok((left, outcome.level, outcome.wall))
    }

    /// Makes what the inputs are mounted on. A link is not mounted but made again, by the sandbox.
    fn make_mount_points(&self, store: &std::path::Path) -> Result<(), StepError> {
        for input in self.closure {
            let place = store.join(input.path.to_string());
            match input.root {
                Node::Directory { .. } => fs::create_dir(&place).map_err(at(&place))?,
                Node::File { .. } => drop(File::create(&place).map_err(at(&place))?),
                Node::Symlink { .. } => {}
            }
        }
        Ok(())
    }

    /// Everything that must be true of what the builder left. All of its processes are dead.
    fn check(
        &self,
        store: File,
        closure: &[(StorePath, PathBuf)],
        scope: lint::Scope,
    ) -> Result<Left, StepError> {
        let scratch = scratch_paths(self.derivation);
        let expected: Vec<String> = scratch.iter().map(ToString::to_string).collect();
        let shown = || PathBuf::from(STORE_DIR);
        for name in listing::names(store.as_fd()).map_err(at(&shown()))? {
            let text = name.to_string_lossy();
            let is_input = closure.iter().any(|(path, _)| path.to_string() == text);
            if !is_input && !expected.iter().any(|name| *name == text) {
                return Err(StepError::WroteOutside {
                    path: format!("{STORE_DIR}/{}", text.escape_debug()),
                });
            }
        }
        let mut names = Vec::new();
        let mut outputs = Vec::new();
        for (output, name) in self.derivation.outputs().iter().zip(expected) {
            let refused = |source| StepError::Output {
                output: output.name().to_owned(),
                source,
            };
            let name = CString::new(name).map_err(|error| at(&shown())(error.into()))?;
            outputs.push((
                output.name().to_owned(),
                Listing::load(store.as_fd(), &name).map_err(refused)?,
            ));
            names.push(name);
        }
        let own = scratch
            .iter()
            .cloned()
            .zip(outputs.iter().map(|(_, listing)| listing));
        let findings = lint::lint(&outputs, &Space::new(own, closure.iter().cloned()), scope);
        if !findings.is_empty() {
            return Err(StepError::Lint { findings });
        }
        Ok(Left {
            store,
            scratch,
            names,
            outputs,
            contains: Vec::new(),
            links: Records::default(),
        })
    }
}

/// Returns how the builder failed: `None` for success, `Some(None)` for an interruption.
fn builder_end(
    status: Status,
    spec: &sandbox::Limits,
    limits: &BuildLimits,
) -> Option<Option<BuilderEnd>> {
    Some(match status {
        Status::Exited(0) => return None,
        Status::Exited(status) => Some(BuilderEnd::Exited(status)),
        Status::Signaled(signal) => Some(BuilderEnd::Signaled(signal)),
        Status::TimedOut => Some(BuilderEnd::TimedOut(spec.wall.unwrap_or(limits.timeout))),
        Status::Silent => Some(BuilderEnd::Silent(spec.silence.unwrap_or_default())),
        Status::LogLimit => Some(BuilderEnd::LogLimit(limits.log_bytes)),
        Status::DiskLimit => Some(BuilderEnd::DiskLimit(limits.disk_bytes)),
        Status::Cancelled => None,
    })
}
