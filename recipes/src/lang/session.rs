//! The files that have been evaluated and the derivations they made: each file once, each derivation once.
//!
//! A session belongs to one thread. Built-in functions reach it through their file's context, and so come back into it
//! while a file is being evaluated: `package("zlib")` evaluates zlib's recipe in the middle of the caller's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use starlark::environment::{FrozenModule, Module};
use starlark::eval::{Evaluator as StarlarkEvaluator, ReturnFileLoader};
use starlark::syntax::AstModule;
use starlark::values::Value;
use store::PathDigest;

use super::changes::{Changes, Variant};
use super::collection::{Collection, MAX_FILE_BYTES, read_text_below};
use super::context::FileContext;
use super::dialect::{DIALECT, EvaluationLimits, GLOBALS};
use super::error::{LangError, Limit, Problem};
use super::label::{FileId, Root};
use super::values::PackageValue;
use super::watch::{Progress, watch};
use super::{Event, explain, guard, place, variant};
use crate::model::{
    Builder, Derivation, DerivationId, DerivationSpec, ImageDeclaration, ModelError, OutputRef,
    Platform, RecipeText, RecipeTexts, Replacement, Rewriter, Text,
};
use crate::suggest;

/// What outlives a session: it is only touched by one at a time.
#[derive(Default)]
pub(super) struct Memory {
    /// A file has other values for each platform.
    files: HashMap<(Platform, FileId), Arc<EvaluatedFile>>,
    derivations: HashMap<DerivationId, Vec<Arc<Derivation>>>,
    placeholders: HashMap<PathDigest, OutputRef>,
    /// What recipes made when they were asked to do something otherwise.
    changed: Vec<Changed>,
}

/// A package that its recipe made with changes.
struct Changed {
    platform: Platform,
    file: FileId,
    name: String,
    changes: Changes,
    package: Arc<Derivation>,
}

/// A file that has been evaluated.
pub(super) struct EvaluatedFile {
    pub(super) module: FrozenModule,
    /// Its text, then those of all that it loads, by label.
    recipe: RecipeTexts,
    pub(super) images: Vec<ImageDeclaration>,
}

/// One visit to the memory, with what it needs.
pub(super) struct Session<'a> {
    pub(super) collection: &'a Collection,
    /// What is evaluated at the moment is for this platform.
    pub(super) platform: Cell<Platform>,
    /// The platform of the machine that builds.
    pub(super) builder: Platform,
    pub(super) limits: EvaluationLimits,
    pub(super) events: &'a (dyn Fn(Event) + Sync),
    pub(super) memory: RefCell<Memory>,
    /// What was read of projects, by path.
    pub(super) project_files: &'a Mutex<BTreeMap<String, String>>,
    /// The files being evaluated, the outermost first.
    pub(super) stack: RefCell<Vec<(Platform, FileId)>>,
}

impl Session<'_> {
    /// Returns a file's values, evaluating it and what it loads if that has not been done.
    pub(super) fn load(&self, file: &FileId) -> Result<Arc<EvaluatedFile>, LangError> {
        let key = (self.platform.get(), file.clone());
        if let Some(known) = self.memory.borrow().files.get(&key) {
            return Ok(Arc::clone(known));
        }
        self.check_stack(file)?;
        let text = self.read(file)?.ok_or_else(|| self.unknown_file(file))?;
        self.stack.borrow_mut().push(key.clone());
        let evaluated = self.evaluate(file, text, None);
        self.stack.borrow_mut().pop();
        let evaluated = Arc::new(evaluated?);
        self.memory
            .borrow_mut()
            .files
            .insert(key, Arc::clone(&evaluated));
        Ok(evaluated)
    }

    /// Returns the package of the collection with this name, evaluating its recipe if that has not been done.
    pub(super) fn package(&self, name: &str) -> Result<Arc<Derivation>, LangError> {
        let file = FileId::of_package(name);
        let plain = super::label::check_path(name).is_ok() && !name.contains('/');
        if !plain || !self.exists(&file)? {
            return Err(LangError::new(Problem::UnknownPackage {
                name: name.to_owned(),
                known: self.collection.packages().map_err(LangError::new)?,
            }));
        }
        let evaluated = self.load(&file)?;
        evaluated.find_package(name, &file)
    }

    /// Returns the package that the recipe of `package` makes for the machine that builds.
    pub(super) fn native(&self, package: &Arc<Derivation>) -> Result<Arc<Derivation>, LangError> {
        if self.platform.get() == self.builder {
            return Ok(Arc::clone(package));
        }
        let name = &package.metadata().name;
        let label = &package.origin().file;
        let Some(file) = self.find_file(|file| file.to_string() == *label) else {
            return Err(LangError::new(Problem::NotNative { name: name.clone() }));
        };
        let platform = self.platform.replace(self.builder);
        let evaluated = self.load(&file);
        self.platform.set(platform);
        evaluated?.find_package(name, &file)
    }

    /// Makes a derivation, or returns the one that was made alike.
    ///
    /// One that differs only in what no digest covers is kept apart, so that each package shows its own metadata; its
    /// placeholders stand for the first one, as they are the same.
    pub(super) fn intern(&self, spec: DerivationSpec) -> Result<Arc<Derivation>, ModelError> {
        let derivation = Derivation::new(spec)?;
        let mut memory = self.memory.borrow_mut();
        let Memory {
            derivations,
            placeholders,
            ..
        } = &mut *memory;
        let alike = derivations.entry(derivation.id()).or_default();
        let equal = |known: &&Arc<Derivation>| {
            known.metadata() == derivation.metadata() && known.limits() == derivation.limits()
        };
        if let Some(known) = alike.iter().find(equal) {
            return Ok(Arc::clone(known));
        }
        if alike.is_empty() {
            for output in derivation.outputs() {
                let reference = OutputRef::new(Arc::clone(&derivation), output.name())?;
                placeholders.insert(*output.placeholder().digest(), reference);
            }
        }
        alike.push(Arc::clone(&derivation));
        Ok(derivation)
    }

    /// Splits a text of a recipe at the placeholders in it.
    pub(super) fn parse_text(&self, text: &str) -> Result<Text, LangError> {
        let memory = self.memory.borrow();
        Text::parse(text, |digest| memory.placeholders.get(digest).cloned()).map_err(LangError::new)
    }

    /// Returns the evaluated file for which `is` holds.
    pub(super) fn find_file(&self, is: impl Fn(&FileId) -> bool) -> Option<FileId> {
        let memory = self.memory.borrow();
        let mut files: Vec<&FileId> = memory
            .files
            .keys()
            .map(|(_, file)| file)
            .filter(|file| is(file))
            .collect();
        files.sort();
        files.first().map(|file| (*file).clone())
    }

    /// Returns what the recipe of `package` makes with `changes` in the call that makes it.
    pub(super) fn change(
        &self,
        package: &Arc<Derivation>,
        changes: Changes,
    ) -> Result<Arc<Derivation>, LangError> {
        let label = &package.origin().file;
        let cannot = |reason: String| {
            LangError::new(Problem::CannotChange {
                name: package.metadata().name.clone(),
                reason,
            })
        };
        if self
            .stack
            .borrow()
            .iter()
            .any(|(_, open)| open.to_string() == *label)
        {
            let reason = format!("`{label}` makes it itself; change the call that does");
            return Err(cannot(reason));
        }
        let Some(file) = self.find_file(|file| file.to_string() == *label) else {
            return Err(cannot("no recipe makes it".to_owned()));
        };
        let (name, changes) = match self.changes_of(&file, package) {
            Some((name, before)) => (name, before.then(changes)),
            None if self
                .load(&file)?
                .packages()
                .iter()
                .any(|(_, one)| one == package) =>
            {
                (package.metadata().name.clone(), changes)
            }
            None => {
                let reason = format!(
                    "it is not what `{label}` defines; `.override` comes before `.rewrite`"
                );
                return Err(cannot(reason));
            }
        };
        let platform = self.platform.get();
        let known = |one: &&Changed| {
            one.platform == platform
                && (&one.file, &one.name, &one.changes) == (&file, &name, &changes)
        };
        if let Some(known) = self.memory.borrow().changed.iter().find(known) {
            return Ok(Arc::clone(&known.package));
        }
        let text = self.read(&file)?.ok_or_else(|| self.unknown_file(&file))?;
        self.stack.borrow_mut().push((platform, file.clone()));
        let evaluated = self.evaluate(&file, text, Some((&name, &changes)));
        self.stack.borrow_mut().pop();
        let changed = evaluated?.find_package(changes.new_name().unwrap_or(&name), &file)?;
        self.memory.borrow_mut().changed.push(Changed {
            platform,
            file,
            name,
            changes,
            package: Arc::clone(&changed),
        });
        Ok(changed)
    }

    /// Returns the name that a package of `file` had before it was changed, and the changes.
    fn changes_of(&self, file: &FileId, package: &Arc<Derivation>) -> Option<(String, Changes)> {
        let memory = self.memory.borrow();
        let is_it = |one: &&Changed| one.file == *file && one.package == *package;
        let found = memory.changed.iter().find(is_it)?;
        Some((found.name.clone(), found.changes.clone()))
    }

    /// Exchanges derivations in everything that `package` is made from, and the package itself.
    pub(super) fn rewrite(
        &self,
        package: &Arc<Derivation>,
        replacements: &[Replacement],
    ) -> Result<Arc<Derivation>, LangError> {
        let make = |spec| self.intern(spec);
        let mut rewriter = Rewriter::new(replacements, &make);
        rewriter.derivation(package).map_err(LangError::new)
    }

    fn check_stack(&self, file: &FileId) -> Result<(), LangError> {
        let stack = self.stack.borrow();
        let open = |(platform, open): &(Platform, FileId)| {
            *platform == self.platform.get() && open == file
        };
        if let Some(from) = stack.iter().position(open) {
            let chain = stack
                .iter()
                .skip(from)
                .map(|(_, open)| open)
                .chain([file])
                .map(ToString::to_string)
                .collect();
            return Err(LangError::new(Problem::Cycle { chain }));
        }
        if stack.len() >= self.limits.file_depth {
            return Err(LangError::new(Problem::Limit(Limit::FileDepth(
                self.limits.file_depth,
            ))));
        }
        Ok(())
    }

    pub(super) fn read(&self, file: &FileId) -> Result<Option<String>, LangError> {
        match &file.root {
            Root::Collection => {
                let text = self.collection.read_text(&file.path);
                text.map_err(LangError::new)
            }
            Root::Project(directory) => self.read_project(directory, &file.path, MAX_FILE_BYTES),
        }
    }

    /// Reads a text of at most `max_bytes` below a project's directory.
    pub(super) fn read_project(
        &self,
        directory: &Path,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<String>, LangError> {
        let text = read_text_below(directory, path, max_bytes).map_err(LangError::new)?;
        if let Some(text) = &text {
            // A map is whole whoever was interrupted.
            let files = self.project_files.lock();
            let mut files = files.unwrap_or_else(PoisonError::into_inner);
            files.insert(path.to_owned(), text.clone());
        }
        Ok(text)
    }

    fn exists(&self, file: &FileId) -> Result<bool, LangError> {
        let key = (self.platform.get(), file.clone());
        Ok(self.memory.borrow().files.contains_key(&key) || self.read(file)?.is_some())
    }

    fn unknown_file(&self, file: &FileId) -> LangError {
        let known = match file.root {
            Root::Collection => self.collection.labels().unwrap_or_default(),
            Root::Project(_) => Vec::new(),
        };
        let label = file.to_string();
        let near = suggest::nearest(&label, known.iter().map(String::as_str));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        LangError::new(Problem::UnknownFile { label }).with_hint(hint)
    }

    /// Evaluates a file; for a package of it with changes, if there are any.
    fn evaluate(
        &self,
        file: &FileId,
        text: String,
        changes: Option<(&str, &Changes)>,
    ) -> Result<EvaluatedFile, LangError> {
        let label = file.to_string();
        let shape = match guard::check(&text) {
            Ok(shape) => shape,
            Err((limit, offset)) => {
                let place = place::at_offset(label, text, offset);
                return Err(LangError::new(Problem::Limit(limit)).at(place));
            }
        };
        let own = RecipeText {
            label: file.label(),
            text: text.as_str().into(),
        };
        let ast = AstModule::parse(&label, text, &DIALECT)
            .map_err(|error| explain::syntax(error, shape))?;
        if let Some(error) = explain::forbidden_statement(&ast) {
            return Err(error);
        }
        let loaded = self.load_all(file, &ast)?;
        let recipe = recipe_texts(own, loaded.iter().map(|(_, file)| &file.recipe));
        let loaded = loaded
            .into_iter()
            .map(|(label, file)| match changes {
                Some(_) => Ok((label, variant::with_stand_ins(&file.module)?)),
                None => Ok((label, file.module.clone())),
            })
            .collect::<Result<Vec<(String, FrozenModule)>, LangError>>()?;
        let modules = loaded
            .iter()
            .map(|(label, module)| (label.as_str(), module))
            .collect();
        let ast = explain::guard_products(ast);
        let context = FileContext {
            session: self,
            file: file.clone(),
            recipe: Arc::clone(&recipe),
            images: RefCell::new(Vec::new()),
            variant: changes.map(|(name, changes)| Variant::new(name, changes)),
        };
        let printer = Printer {
            label: &label,
            events: self.events,
        };
        let progress = Rc::new(Progress::default());
        let module = Module::with_temp_heap(|module| {
            {
                let loader = ReturnFileLoader { modules: &modules };
                let mut evaluator = StarlarkEvaluator::new(&module);
                evaluator.set_loader(&loader);
                evaluator.set_print_handler(&printer);
                evaluator.extra = Some(&context);
                watch(&mut evaluator, self.limits, &progress)?;
                evaluator.eval_module(ast, &GLOBALS).map_err(|error| {
                    let names: Vec<String> = module
                        .names()
                        .map(|name| name.as_str().to_owned())
                        .collect();
                    let parameters = |function: &str| self.parameters(&module, function);
                    let known = explain::Known {
                        limits: &self.limits,
                        names: &names,
                        parameters: &parameters,
                    };
                    explain::evaluation(error, &known, progress.last())
                })?;
            }
            module.freeze().map_err(explain::freeze)
        })?;
        if let Some(variant) = context.variant.filter(|variant| !variant.applied.get()) {
            return Err(LangError::new(Problem::CannotChange {
                name: variant.name.to_owned(),
                reason: format!("`{file}` has no call with `name = \"{}\"`", variant.name),
            }));
        }
        Ok(EvaluatedFile {
            module,
            recipe,
            images: context.images.into_inner(),
        })
    }

    /// Evaluates what `ast` loads.
    fn load_all(
        &self,
        file: &FileId,
        ast: &AstModule,
    ) -> Result<Vec<(String, Arc<EvaluatedFile>)>, LangError> {
        ast.loads()
            .into_iter()
            .map(|load| {
                let loaded = file
                    .resolve(load.module_id)
                    .map_err(LangError::new)
                    .and_then(|id| self.load(&id));
                let at = || place::place(&load.span);
                let loaded = loaded.map_err(|error| match error.place() {
                    None => error.at(Some(at())),
                    Some(_) => error.called_from([at().location]),
                })?;
                Ok((load.module_id.to_owned(), loaded))
            })
            .collect()
    }

    /// Returns the parameters of the function of this name, in the module or in any file evaluated before.
    fn parameters(&self, module: &Module<'_>, function: &str) -> Vec<String> {
        if let Some(value) = module.get(function) {
            return explain::parameters(value);
        }
        let memory = self.memory.borrow();
        let mut files: Vec<(&(Platform, FileId), &Arc<EvaluatedFile>)> =
            memory.files.iter().collect();
        files.sort_by_key(|(id, _)| *id);
        let found = files.into_iter().find_map(|(_, file)| {
            let value = file.module.get_any_visibility(function).ok()?.0;
            Some(explain::parameters(value.value()))
        });
        found.unwrap_or_default()
    }
}

impl EvaluatedFile {
    /// Returns the packages that the file defines: its public values that are built, sorted by name of the variable.
    pub(super) fn packages(&self) -> Vec<(String, Arc<Derivation>)> {
        let mut names: Vec<String> = self
            .module
            .names()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort();
        let package = |name: String| {
            let value = self.module.get(&name).ok()?;
            let package = value.value();
            let derivation = as_package(package)?;
            Some((name, derivation))
        };
        names.into_iter().filter_map(package).collect()
    }

    /// Returns the package whose name is `name`.
    pub(super) fn find_package(
        &self,
        name: &str,
        file: &FileId,
    ) -> Result<Arc<Derivation>, LangError> {
        let packages = self.packages();
        let mut found = packages
            .iter()
            .filter(|(_, derivation)| derivation.metadata().name == name);
        let label = file.to_string();
        let problem = match found.next() {
            Some((_, first)) if found.all(|(_, other)| other == first) => {
                return Ok(Arc::clone(first));
            }
            Some(_) => Problem::AmbiguousPackage {
                name: name.to_owned(),
                label,
            },
            None => {
                let mut known: Vec<String> = packages
                    .iter()
                    .map(|(_, derivation)| derivation.metadata().name.clone())
                    .collect();
                known.sort();
                known.dedup();
                Problem::PackageNotDefined {
                    name: name.to_owned(),
                    label,
                    known,
                }
            }
        };
        Err(LangError::new(problem))
    }
}

/// Returns the texts of a file and of all that it loads, directly or not.
fn recipe_texts<'a>(own: RecipeText, loaded: impl Iterator<Item = &'a RecipeTexts>) -> RecipeTexts {
    let mut texts: Vec<RecipeText> = loaded.flat_map(|texts| texts.iter().cloned()).collect();
    texts.sort();
    texts.dedup();
    texts.insert(0, own);
    texts.into()
}

/// Returns the derivation of a value that is something to build, rather than a download or a file.
pub(super) fn as_package(value: Value<'_>) -> Option<Arc<Derivation>> {
    let derivation = PackageValue::from_value(value)?.derivation();
    match derivation.builder() {
        Builder::Program(_) | Builder::DebTree(_) | Builder::DebSet(_) => {
            Some(Arc::clone(derivation))
        }
        Builder::Fetch(_) | Builder::Source(_) | Builder::Deb(_) => None,
    }
}

/// Turns what a recipe prints into events.
struct Printer<'a> {
    label: &'a str,
    events: &'a (dyn Fn(Event) + Sync),
}

impl starlark::PrintHandler for Printer<'_> {
    fn println(&self, text: &str) -> starlark::Result<()> {
        (self.events)(Event::Printed {
            file: self.label.to_owned(),
            text: text.to_owned(),
        });
        Ok(())
    }
}
