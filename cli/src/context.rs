//! What a command works with: settings, the printer, and the store, the evaluator and the sandbox opened when needed.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use recipes::lang::{Collection, Evaluator, Event};
use recipes::model::Platform;
use sandbox::Launcher;
use store::{LocalStore, StoreEvent, StoreOptions};

use crate::clock::seconds_now;
use crate::error::CommandError;
use crate::output::Printer;
use crate::settings::Settings;

/// Everything that commands share.
#[derive(Debug)]
pub(crate) struct Context {
    settings: Settings,
    printer: Printer,
    cancel: Arc<AtomicBool>,
    directory: PathBuf,
}

impl Context {
    /// A context for a command started in `directory`; `cancel` becomes true when the user interrupts it.
    pub(crate) fn new(
        settings: Settings,
        printer: Printer,
        cancel: Arc<AtomicBool>,
        directory: PathBuf,
    ) -> Self {
        Self {
            settings,
            printer,
            cancel,
            directory,
        }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The printer.
    pub(crate) fn printer(&self) -> &Printer {
        &self.printer
    }

    /// Whether the user has interrupted the command.
    pub(crate) fn cancel(&self) -> &AtomicBool {
        &self.cancel
    }

    /// The working directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the store, which is created where there is none.
    pub(crate) fn open_store(&self) -> Result<LocalStore, CommandError> {
        let options = self.store_options();
        Ok(LocalStore::open(&self.settings.store_root, options)?)
    }

    /// Whether there is a store already.
    pub(crate) fn has_store(&self) -> bool {
        self.settings.store_root.is_dir()
    }

    /// Opens the store for a command that deletes from it, however full the disk is.
    pub(crate) fn open_store_to_delete(&self) -> Result<LocalStore, CommandError> {
        let options = self.store_options();
        Ok(LocalStore::open_to_delete(
            &self.settings.store_root,
            options,
        )?)
    }

    /// How the store is opened: what happens in it is told.
    pub(crate) fn store_options(&self) -> StoreOptions {
        let printer = self.printer.clone();
        let tell = move |event| match event {
            StoreEvent::WaitingForDatabase => {
                printer.note("waiting for another pith that writes to the store");
            }
            StoreEvent::Recovering => {
                printer.detail("the store was not closed properly; putting it right");
            }
            StoreEvent::Rebuilding => {
                printer.note("the store's database is gone; making it again from the records");
            }
            StoreEvent::Damaged { path } => {
                printer.always(&format!(
                    "warning: {path} was damaged when the machine went down and is no longer valid"
                ));
            }
        };
        StoreOptions {
            on_event: Some(Arc::new(tell)),
            ..StoreOptions::new(seconds_now)
        }
    }

    /// An evaluator for the collection and the project that the command was started in.
    pub(crate) fn evaluator(&self) -> Evaluator {
        self.evaluator_of(
            self.settings.collection.as_deref(),
            self.settings.project.as_deref(),
        )
    }

    /// The same for packages that run on `platform`.
    pub(crate) fn evaluator_for(&self, platform: Platform) -> Evaluator {
        self.evaluator().with_platform(platform)
    }

    /// An evaluator for a checkout of the collection, or for the one inside the binary, and a project.
    pub(crate) fn evaluator_of(
        &self,
        collection: Option<&Path>,
        project: Option<&Path>,
    ) -> Evaluator {
        let collection = match collection {
            Some(directory) => Collection::directory(directory),
            None => Collection::embedded(),
        };
        let printer = self.printer.clone();
        Evaluator::new(collection, project).with_events(move |event| {
            let Event::Printed { file, text } = event;
            printer.note(&format!("{file}: {text}"));
        })
    }

    /// Starts the sandbox's helper, which is this program once more.
    pub(crate) fn launcher(&self) -> Result<Launcher, CommandError> {
        let program = env::current_exe().map_err(CommandError::failed)?;
        Ok(Launcher::new(&program)?)
    }
}
