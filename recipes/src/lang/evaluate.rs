//! The way in: names and directories to packages.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::collection::Collection;
use super::dialect::{EvaluationLimits, SMALL_STACK_BYTES, STACK_BYTES};
use super::error::{LangError, Problem};
use super::label::FileId;
use super::overrides::Overrides;
use super::session::{Memory, Session};
use crate::model::{Derivation, ImageDeclaration, Platform};

/// Evaluates recipes of one collection and of projects, each file once.
///
/// May be shared between threads; they take turns.
pub struct Evaluator {
    collection: Collection,
    project: Option<Arc<Path>>,
    platform: Platform,
    builder: Platform,
    limits: EvaluationLimits,
    events: Box<dyn Fn(Event) + Send + Sync>,
    memory: Mutex<Memory>,
    project_files: Mutex<BTreeMap<String, String>>,
}

/// What happens during an evaluation that a user may want to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A recipe called `print`.
    Printed {
        /// The label of the file.
        file: String,
        /// What it printed.
        text: String,
    },
}

/// A package: something to build that a recipe gives a name.
#[derive(Clone, Debug)]
pub struct Package {
    /// The name by which it is asked for, without version.
    pub name: String,
    /// The label of the file that defines it: `//zlib/recipe.star`.
    pub label: String,
    /// What is built.
    pub derivation: Arc<Derivation>,
    /// The images of the same file that are named as the package is.
    pub images: Vec<ImageDeclaration>,
}

/// A package of the collection by name, or why it has no value.
pub type CollectionEntry = (String, Result<Package, LangError>);

/// What a project's `pith.star` defines.
#[derive(Clone, Debug)]
pub struct Project {
    /// The label of the file.
    pub label: String,
    /// Its packages, sorted by name, then by version.
    pub packages: Vec<Package>,
    /// Its images, in the file's order.
    pub images: Vec<ImageDeclaration>,
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluator")
            .field("collection", &self.collection)
            .field("project", &self.project)
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}

impl Evaluator {
    /// Makes an evaluator for `collection` and, if there is one, the project in the directory `project`.
    ///
    /// Builds for the platform of this machine, or for `x86_64-linux` where pith does not build for it.
    pub fn new(collection: Collection, project: Option<&Path>) -> Self {
        let builder = Platform::native().unwrap_or(Platform::X86_64Linux);
        Self {
            collection,
            project: project.map(Arc::from),
            platform: builder,
            builder,
            limits: EvaluationLimits::default(),
            events: Box::new(|_| {}),
            memory: Mutex::default(),
            project_files: Mutex::default(),
        }
    }

    /// Sets the platform that packages are for, unless they say otherwise.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Sets how much an evaluation may take.
    #[must_use]
    pub fn with_limits(mut self, limits: EvaluationLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets who is told what happens.
    #[must_use]
    pub fn with_events(mut self, events: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.events = Box::new(events);
        self
    }

    /// Returns the platform that packages are for.
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// Returns the recipes and lock files of projects that evaluations have read so far: path in the project and text, sorted. What only `source(…)` covers is
    /// not among them.
    pub fn project_files_read(&self) -> Vec<(String, String)> {
        // A map is whole whoever was interrupted.
        let files = self.project_files.lock();
        let files = files.unwrap_or_else(PoisonError::into_inner);
        files.clone().into_iter().collect()
    }

    /// Returns the collection.
    pub fn collection(&self) -> &Collection {
        &self.collection
    }

    /// Returns the package of this name: the project's if it defines one, else the collection's.
    pub fn evaluate_package(&self, name: &str) -> Result<Package, LangError> {
        self.visit(|session| {
            let mut overrides = None;
            if let Some(directory) = &self.project {
                overrides = Some(Overrides::of(session, &FileId::of_project(directory))?);
                let project = load_project(session, directory)?;
                if let Some(package) = project
                    .packages
                    .into_iter()
                    .find(|package| package.name == name)
                {
                    return Ok(package);
                }
            }
            let mut derivation = session.package(name)?;
            let file = FileId::of_package(name);
            let mut images = session.load(&file)?.images.clone();
            if let Some(overrides) = overrides {
                derivation = overrides.derivation(session, &derivation)?;
                images = overrides.images(session, &images)?;
            }
            Ok(package_of(&file.to_string(), derivation, &images))
        })
    }

    /// Returns what the `pith.star` in `directory` defines.
    pub fn evaluate_project(&self, directory: &Path) -> Result<Project, LangError> {
        let directory = Arc::from(directory);
        self.visit(|session| load_project(session, &directory))
    }

    /// Returns every package of the collection, sorted by name, each with why it has no value if so.
    pub fn evaluate_collection(&self) -> Result<Vec<CollectionEntry>, LangError> {
        let names = self.collection.packages().map_err(LangError::new)?;
        self.visit(|session| {
            let evaluate = |name: String| {
                let file = FileId::of_package(&name);
                let package = session
                    .package(&name)
                    .map(|derivation| package_of(&file.to_string(), derivation, &[]));
                (name, package)
            };
            Ok(names.into_iter().map(evaluate).collect())
        })
    }

    /// Returns the text of a file that has been evaluated, by the label that places in it have.
    pub fn text_of(&self, label: &str) -> Option<String> {
        let text = self.visit(|session| {
            let file = session.find_file(|file| file.to_string() == label);
            file.map_or(Ok(None), |file| session.read(&file))
        });
        text.ok().flatten()
    }

    /// Runs `work` in a session, on a thread with a stack for deep values.
    fn visit<T: Send>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, LangError> + Send,
    ) -> Result<T, LangError> {
        let failed = |message: String| Err(LangError::new(Problem::Internal { message }));
        let work = Mutex::new(Some(work));
        let visit = || {
            // Taken out while it is in use: a panic leaves an empty memory, never half a one.
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            let session = Session {
                collection: &self.collection,
                platform: Cell::new(self.platform),
                builder: self.builder,
                limits: self.limits,
                events: &*self.events,
                memory: RefCell::new(std::mem::take(&mut memory)),
                project_files: &self.project_files,
                stack: RefCell::default(),
            };
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            let result =
                work.map_or_else(|| failed("nothing to do".to_owned()), |work| work(&session));
            *memory = session.memory.into_inner();
            result
        };
        std::thread::scope(|scope| {
            let spawn = |stack_bytes| {
                let builder = std::thread::Builder::new()
                    .name("evaluate".to_owned())
                    .stack_size(stack_bytes);
                builder.spawn_scoped(scope, visit)
            };
            let thread = spawn(STACK_BYTES).or_else(|_| spawn(SMALL_STACK_BYTES));
            match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => failed(panic_message(&*panic)),
                Err(error) => failed(format!("no thread for the evaluation: {error}")),
            }
        })
    }
}

fn load_project(session: &Session<'_>, directory: &Arc<Path>) -> Result<Project, LangError> {
    let file = FileId::of_project(directory);
    let evaluated = session.load(&file)?;
    let label = file.to_string();
    let overrides = Overrides::of(session, &file)?;
    let images = overrides.images(session, &evaluated.images)?;
    let mut packages = Vec::new();
    for (_, derivation) in evaluated.packages() {
        let derivation = overrides.derivation(session, &derivation)?;
        packages.push(package_of(&label, derivation, &images));
    }
    packages.sort_by(|a, b| {
        let key = |package: &Package| {
            (
                package.name.clone(),
                package.derivation.metadata().version.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    packages.dedup_by(|a, b| a.derivation == b.derivation);
    Ok(Project {
        label,
        packages,
        images,
    })
}

fn package_of(label: &str, derivation: Arc<Derivation>, images: &[ImageDeclaration]) -> Package {
    let name = derivation.metadata().name.clone();
    let images = images
        .iter()
        .filter(|image| image.name == name)
        .cloned()
        .collect();
    Package {
        name,
        label: label.to_owned(),
        derivation,
        images,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
