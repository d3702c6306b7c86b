//! A store in a temporary directory, a seed made of this machine's shell, and derivations by script.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use recipes::build::{BuildError, BuildOptions, Builder, FailedStep, Realisations};
use recipes::event::Event;
use recipes::model::{
    Builder as Kind, ContentDigest, Derivation, DerivationSpec, Fetch, Limits, LocalSource,
    Location, Metadata, OutputRef, Platform, Program, RecipeTexts, Source, Text,
};
use recipes::plan::Goal;
use store::{LocalStore, StoreOptions, StorePath};
use tempfile::TempDir;

pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;

/// What scripts may call.
const TOOLS: [&str; 17] = [
    "sh", "cat", "chmod", "cp", "date", "dd", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "mv",
    "nproc", "rm", "sleep", "touch",
];

pub(crate) struct Fixture {
    directory: Arc<TempDir>,
    pub(crate) store: LocalStore,
    pub(crate) options: BuildOptions,
    pub(crate) events: Mutex<Vec<Event>>,
    pub(crate) cancel: AtomicBool,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::at(Arc::new(
            tempfile::tempdir().expect("a temporary directory"),
        ))
    }

    /// Another user of the same store, as separate as another process.
    pub(crate) fn sharing(other: &Self) -> Self {
        Self::at(Arc::clone(&other.directory))
    }

    fn at(directory: Arc<TempDir>) -> Self {
        let store = LocalStore::open(directory.path(), StoreOptions::new(|| 1)).expect("a store");
        let helper = PathBuf::from(env!("CARGO_BIN_EXE_recipes-helper"));
        let options = BuildOptions {
            jobs: 2,
            ..BuildOptions::new(helper, || 1)
        };
        Self {
            directory,
            store,
            options,
            events: Mutex::default(),
            cancel: AtomicBool::new(false),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn realise(&self, goals: &[&Arc<Derivation>]) -> Result<Realisations, BuildError> {
        let goals: Vec<Goal> = goals
            .iter()
            .map(|derivation| Goal {
                derivation: Arc::clone(derivation),
                outputs: derivation
                    .outputs()
                    .iter()
                    .map(|output| output.name().to_owned())
                    .collect(),
            })
            .collect();
        Builder::new(&self.store, self.options.clone()).realise(
            &goals,
            &|event| self.events.lock().expect("no listener panics").push(event),
            &self.cancel,
        )
    }

    /// Realises one derivation and returns the path of its first output.
    pub(crate) fn build(&self, derivation: &Arc<Derivation>) -> Result<StorePath, BuildError> {
        Ok(self.realise(&[derivation])?.goals.swap_remove(0).path)
    }

    /// Realises a derivation that must fail, and returns how.
    pub(crate) fn failure(&self, derivation: &Arc<Derivation>) -> FailedStep {
        match self.realise(&[derivation]) {
            Err(BuildError::Step(step)) => *step,
            other => panic!("instead of failing: {other:?}"),
        }
    }

    pub(crate) fn read(&self, path: &StorePath, below: &str) -> String {
        let file = self.store.real_path(path).join(below);
        let file = if below.is_empty() {
            self.store.real_path(path)
        } else {
            file
        };
        fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }

    /// Directories of builds and partial files that are left in `var/tmp`.
    pub(crate) fn left_overs(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.store.tmp_dir())
            .expect("the store has a directory for temporary files")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }
}

/// The message of an error and of all of its causes, one a line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text.push('\n');
        text.push_str(&current.to_string());
        cause = current.source();
    }
    text
}

pub(crate) fn origin() -> Location {
    Location {
        file: "//test/recipe.star".to_owned(),
        line: 3,
        column: 1,
    }
}

fn derivation(name: &str, outputs: &[&str], builder: Kind) -> Arc<Derivation> {
    described(name, outputs, Metadata::default(), builder)
}

fn described(name: &str, outputs: &[&str], metadata: Metadata, builder: Kind) -> Arc<Derivation> {
    Derivation::new(DerivationSpec {
        name: name.parse().expect("a store name"),
        outputs: outputs.iter().map(|output| (*output).to_owned()).collect(),
        builder,
        limits: Limits::default(),
        metadata,
        origin: origin(),
        recipe: RecipeTexts::default(),
    })
    .expect("a derivation")
}

/// A derivation that runs a shell script; `inputs` are the derivations that its text may name.
pub(crate) struct Script<'a> {
    pub(crate) name: &'a str,
    pub(crate) outputs: &'a [&'a str],
    pub(crate) inputs: &'a [&'a Arc<Derivation>],
    pub(crate) forbidden: &'a [&'a Arc<Derivation>],
    pub(crate) text: String,
}

impl<'a> Script<'a> {
    pub(crate) fn new(name: &'a str, text: impl Into<String>) -> Self {
        Self {
            name,
            outputs: &["out"],
            inputs: &[],
            forbidden: &[],
            text: text.into(),
        }
    }

    pub(crate) fn derivation(&self) -> Arc<Derivation> {
        self.derivation_with(Metadata::default())
    }

    pub(crate) fn derivation_with(&self, metadata: Metadata) -> Arc<Derivation> {
        let find = |digest: &store::PathDigest| {
            self.inputs
                .iter()
                .flat_map(|derivation| outputs(derivation))
                .find(|output| output.placeholder().contains(&digest.to_string()))
        };
        let text = |text: &str| Text::parse(text, find).expect("every store path is an input");
        described(
            self.name,
            self.outputs,
            metadata,
            Kind::Program(Program {
                argv: ["/bin/sh", "-eu", "-c", &self.text].map(text).to_vec(),
                env: BTreeMap::new(),
                platform: "x86_64-linux".parse::<Platform>().expect("a platform"),
                seed: Some(OutputRef::default_of(seed())),
                inputs: Vec::new(),
                forbidden: self
                    .forbidden
                    .iter()
                    .flat_map(|derivation| outputs(derivation))
                    .collect(),
                extra_references: Vec::new(),
            }),
        )
    }
}

fn outputs(derivation: &Arc<Derivation>) -> Vec<OutputRef> {
    let names = derivation
        .outputs()
        .iter()
        .map(|output| output.name().to_owned());
    names
        .map(|name| OutputRef::new(Arc::clone(derivation), &name).expect("it has that output"))
        .collect()
}

pub(crate) fn script(name: &str, text: &str) -> Arc<Derivation> {
    Script::new(name, text).derivation()
}

/// The placeholder of a derivation's first output.
pub(crate) fn path_of(derivation: &Arc<Derivation>) -> String {
    OutputRef::default_of(Arc::clone(derivation)).placeholder()
}

pub(crate) fn local(name: &str, project: &Path, exclude: &[&str]) -> Arc<Derivation> {
    let exclude = exclude
        .iter()
        .map(|pattern| (*pattern).to_owned())
        .collect();
    let source = LocalSource {
        path: ".".to_owned(),
        exclude,
        allow_secrets: Vec::new(),
        project: project.to_owned(),
    };
    derivation(name, &["out"], Kind::Source(Source::Local(source)))
}

pub(crate) fn fetch(name: &str, urls: &[String], digest: ContentDigest) -> Arc<Derivation> {
    derivation(
        name,
        &["out"],
        Kind::Fetch(Fetch {
            urls: urls.to_vec(),
            digest,
            executable: false,
        }),
    )
}

pub(crate) fn built_in(name: &str, builder: Kind) -> Arc<Derivation> {
    derivation(name, &["out"], builder)
}

/// A seed with the shell and a few tools of this machine.
pub(crate) fn seed() -> Arc<Derivation> {
    static SEED: OnceLock<(TempDir, Arc<Derivation>)> = OnceLock::new();
    let (_, seed) = SEED.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        copy_tools(directory.path());
        let seed = local("seed", directory.path(), &[]);
        (directory, seed)
    });
    Arc::clone(seed)
}

fn copy_tools(to: &Path) {
    for directory in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(to.join(directory)).expect("a directory");
    }
    let mut libraries = BTreeSet::new();
    for tool in TOOLS {
        let from = ["/usr/bin", "/bin"].map(|directory| Path::new(directory).join(tool));
        let from = from
            .iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("this machine has no `{tool}`"));
        fs::copy(from, to.join("usr/bin").join(tool)).expect("a copy");
        let ldd = Command::new("ldd").arg(from).output().expect("ldd runs");
        let words = String::from_utf8_lossy(&ldd.stdout).into_owned();
        libraries.extend(
            words
                .split_whitespace()
                .filter(|word| word.starts_with("/lib"))
                .map(str::to_owned),
        );
    }
    for library in libraries {
        let place = to.join(format!("usr{library}"));
        fs::create_dir_all(place.parent().expect("a file lies in a directory"))
            .expect("a directory");
        fs::copy(&library, place).expect("a copy");
    }
}
