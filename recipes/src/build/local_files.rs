//! The files of a project into the store, without reading what has not changed and without adding what is there.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Instant;

use store::object::{ModuloNode, ObjectSeal, seal};
use store::{AddSource, ObjectId, StorePath};

use super::error::StepError;
use super::perform::{Job, globs};
use crate::model::{Builder, LocalSource, Source};
use crate::plan::{Outputs, RealisedOutput};
use crate::source::local::{KNOWN_PREFIX, KnownFiles, LocalError, LocalRules, Survey};

/// How often files are read that change meanwhile, as when somebody's editor writes them.
const ATTEMPTS: u32 = 3;
/// Digits of the derivation's id in the name of the file of what is known; two that share them would only read files again.
const DIGITS: usize = 32;

impl Job<'_> {
    /// Adds the files that the derivation names, or finds that they are there.
    pub(super) fn add_local_files(&self) -> Result<Outputs, StepError> {
        let Builder::Source(Source::Local(source)) = self.derivation.builder() else {
            return Err(StepError::Interrupted);
        };
        let mut attempts = 1;
        loop {
            match self.add_files(source) {
                Err(StepError::Local(LocalError::Changed { .. })) if attempts < ATTEMPTS => {
                    attempts += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn add_files(&self, source: &LocalSource) -> Result<Outputs, StepError> {
        let started = Instant::now();
        let listed = i64::try_from((self.options().clock)()).unwrap_or(0);
        let (exclude, allow_secrets) = (globs(&source.exclude)?, globs(&source.allow_secrets)?);
        let rules = LocalRules {
            project: &source.project,
            store: &self.store().root().join("store"),
            exclude: &exclude,
            allow_secrets: &allow_secrets,
        };
        let survey = Survey::new(&source.real_path(), &rules)?;
        let file = self.known_files();
        let known = KnownFiles::load(&file);
        let contents = survey.contents(&rules, &known, listed)?;
        let id = seal(&ObjectSeal {
            name: self.derivation.default_output().store_name(),
            root: &ModuloNode::Plain(contents.root),
            references: &[],
        });
        let outputs = match self.find_object(id)? {
            Some(outputs) => outputs,
            None => self.in_private_directory(|directory| {
                survey.copy(&directory.path().join("out"))?;
                let source = AddSource::Entry {
                    parent: directory.fd(),
                    name: OsStr::new("out"),
                };
                self.register_one(source, None, started)
            })?,
        };
        if contents.known != known && outputs.iter().all(|output| output.id == id) {
            // Without it, the next build reads the files again.
            drop(contents.known.save(&file));
        }
        Ok(outputs)
    }

    /// Returns where it is kept what these files were when they were read last.
    fn known_files(&self) -> PathBuf {
        let id = self.derivation.id().to_string();
        let digits: String = id.chars().skip("blake3:".len()).take(DIGITS).collect();
        self.store()
            .tmp_dir()
            .join(format!("{KNOWN_PREFIX}{digits}"))
    }

    /// Returns the object, which then stays, if it is there.
    fn find_object(&self, id: ObjectId) -> Result<Option<Outputs>, StepError> {
        let output = self.derivation.default_output();
        let path = StorePath::new(id.path_digest(), output.store_name().clone());
        let missing = self.store().hold(self.lease, std::slice::from_ref(&path));
        if !missing.map_err(StepError::Lease)?.is_empty() {
            return Ok(None);
        }
        let output = output.name().to_owned();
        Ok(Some(vec![RealisedOutput { output, path, id }]))
    }
}
