//! All objects, or some, in parallel; and what only a look at the whole store finds.

use std::collections::BTreeSet;

use nix::fcntl::FlockArg;
use rayon::prelude::*;

use super::{
    Finding, Problem, VerifyError,
    object::{check_contents, check_place},
};
use crate::{
    db::{Database, ObjectState, StoredObject},
    id::StorePath,
    info::PathInfo,
    local::{
        LocalStore,
        record::{self, RecordState},
        watch::Watch,
    },
    sys::{
        FileError,
        files::{at, inspect_at, list, os},
        lock::{Lock, lock_file},
    },
    tree::{Node, Tree},
};

/// Objects whose rows are in memory at once.
const PAGE: u32 = 1024;

/// How thoroughly objects are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyDepth {
    /// Places, modes and records.
    #[default]
    Records,
    /// All bytes too.
    Contents,
}

/// What to verify, and how.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// These objects only; all, and the store itself, when empty.
    pub paths: Vec<StorePath>,
    /// How thoroughly.
    pub depth: VerifyDepth,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// How many objects were looked at.
    pub objects: u64,
    /// The sum of their sizes.
    pub size_bytes: u64,
    /// What is wrong, by entry.
    pub findings: Vec<Finding>,
    /// The objects that must not be used, and are not valid from now on unless the store cannot be written; ascending.
    pub damaged: BTreeSet<StorePath>,
}

impl LocalStore {
    /// Compares the store with its database and its records, and takes validity from objects with wrong bytes.
    ///
    /// Reads in parallel, over objects and inside of large files; takes memory for one listing of a directory and one record for each thread.
    pub fn verify(
        &self,
        options: &VerifyOptions,
        watch: &Watch<'_>,
    ) -> Result<VerifyReport, VerifyError> {
        let mut report = VerifyReport::default();
        if options.paths.is_empty() {
            let (objects, bytes) = self.read(Database::count_stored)?;
            watch.started(objects, bytes);
            let mut after = None;
            loop {
                let page = self.read(|database| database.list_stored(after.as_ref(), PAGE))?;
                let Some(last) = page.last() else { break };
                after = Some(*last.info.path.digest());
                self.verify_page(&page, options.depth, watch, &mut report)?;
            }
            self.verify_whole(&mut report)?;
        } else {
            let paths: BTreeSet<&StorePath> = options.paths.iter().collect();
            let find = |path: &&StorePath| {
                let found = self.read(|database| database.find_stored(path))?;
                found.ok_or_else(|| VerifyError::Unknown {
                    path: (*path).clone(),
                    store: self.root().to_owned(),
                })
            };
            let page: Vec<StoredObject> = paths.iter().map(find).collect::<Result<_, _>>()?;
            let bytes = page
                .iter()
                .fold(0u64, |sum, row| sum.saturating_add(row.info.size_bytes));
            watch.started(page.len() as u64, bytes);
            self.verify_page(&page, options.depth, watch, &mut report)?;
        }
        let dangling = self.read(Database::list_dangling)?;
        for (path, reference) in dangling {
            if options.paths.is_empty() || options.paths.contains(&path) {
                let problem = Problem::Dangling { reference };
                report.findings.push(Finding::new(path, problem));
            }
        }
        report.findings.sort();
        Ok(report)
    }

    fn verify_page(
        &self,
        page: &[StoredObject],
        depth: VerifyDepth,
        watch: &Watch<'_>,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyError> {
        let results: Vec<Option<Verdict>> = page
            .par_iter()
            .map(|row| self.verify_object(row, depth, watch))
            .collect::<Result<_, _>>()?;
        if watch.is_cancelled() {
            return Err(VerifyError::Interrupted);
        }
        let mut verdicts = Vec::with_capacity(results.len());
        for mut verdict in results.into_iter().flatten() {
            if self.verify_record_again(&mut verdict)? {
                verdicts.push(verdict);
            }
        }
        let damaged: Vec<&StoredObject> = verdicts
            .iter()
            .filter(|verdict| verdict.problems.iter().any(Problem::is_damage))
            .map(|verdict| verdict.object)
            .collect();
        let new = damaged
            .iter()
            .filter(|object| object.state == ObjectState::Valid);
        let new: Vec<&StorePath> = new.map(|object| &object.info.path).collect();
        // Of a store that cannot be written it is only told.
        if !new.is_empty() && !self.is_read_only() {
            self.mark_unclean()?;
            for path in &new {
                // Nothing that is added from now on may share their files.
                self.unpool_whatever(path);
            }
            self.write(|write| new.iter().try_for_each(|path| write.mark_damaged(path)))?;
        }
        let paths = damaged.into_iter().map(|object| &object.info.path);
        report.damaged.extend(paths.cloned());
        for verdict in verdicts {
            report.objects += 1;
            report.size_bytes = report
                .size_bytes
                .saturating_add(verdict.object.info.size_bytes);
            let path = &verdict.object.info.path;
            let findings = verdict.problems.into_iter();
            report
                .findings
                .extend(findings.map(|problem| Finding::new(path, problem)));
            self.verify_statements(&verdict.object.info, report)?;
        }
        Ok(())
    }

    /// Compares realisations and signatures with their records, and once more while nobody writes any if they differ.
    fn verify_statements(
        &self,
        info: &PathInfo,
        report: &mut VerifyReport,
    ) -> Result<(), VerifyError> {
        let mut findings = self.compare_statements(info)?;
        if !findings.is_empty() && !self.is_read_only() {
            let _settled = self.settle_changes()?;
            findings = self.write(|_| self.compare_statements(info))?;
        }
        report.findings.extend(findings);
        Ok(())
    }

    fn compare_statements(&self, info: &PathInfo) -> Result<Vec<Finding>, VerifyError> {
        let mut findings = Vec::new();
        let mut tell = |entry: String, is_same: Option<bool>| {
            let problem = match is_same {
                Some(true) => return,
                Some(false) => Problem::RecordDifferent,
                None => Problem::RecordMissing,
            };
            findings.push(Finding::new(entry, problem));
        };
        let realisations = self.read(|database| database.list_realisations_of(&info.id))?;
        for realisation in realisations {
            let (place, is_same) = record::compare_realisation(self.meta_fd(), &realisation);
            tell(place, is_same);
        }
        let signatures = self.find_signatures(&info.id)?;
        if !signatures.is_empty() {
            let recorded = record::read_signatures(self.meta_fd(), info.path.digest());
            let is_same = recorded.map(|recorded| recorded == signatures);
            tell(record::name_of_signatures(&info.path), is_same);
        }
        Ok(findings)
    }

    /// Returns what is wrong with an object; `None` for one that is being deleted, or is gone by now. What is said of its record is not certain yet.
    fn verify_object<'a>(
        &self,
        object: &'a StoredObject,
        depth: VerifyDepth,
        watch: &Watch<'_>,
    ) -> Result<Option<Verdict<'a>>, VerifyError> {
        let is_kept = matches!(object.state, ObjectState::Valid | ObjectState::Damaged);
        if !is_kept || watch.is_cancelled() {
            return Ok(None);
        }
        let mut problems = self.find_problems(object, depth, watch);
        let of_record = self.find_record_problem(&object.info);
        let is_fine = |problem: &Problem| matches!(problem, Problem::Damaged | Problem::Whole);
        if !problems.iter().all(is_fine) {
            // It may be in the middle of being deleted.
            match self.read(|database| database.find_stored(&object.info.path))? {
                Some(now) if now.state == object.state => {
                    problems = self.find_problems(&now, depth, &Watch::nobody());
                }
                _ => return Ok(None),
            }
        }
        problems.extend(of_record);
        Ok(Some(Verdict { object, problems }))
    }

    /// Looks again at the record of an object that may just have been getting another component, of which the record comes before the row. Tells whether the
    /// object is still there.
    ///
    /// Locks are held meanwhile, so this is never done by a thread that other work of this process may be given to.
    fn verify_record_again(&self, verdict: &mut Verdict<'_>) -> Result<bool, VerifyError> {
        if !verdict.problems.iter().any(Problem::is_of_record) {
            return Ok(true);
        }
        let _settled = self.settle_changes()?;
        let path = &verdict.object.info.path;
        match self.read(|database| database.find_stored(path))? {
            Some(now) if now.state == verdict.object.state => {
                verdict.problems.retain(|problem| !problem.is_of_record());
                let problem = self.find_record_problem(&now.info);
                verdict.problems.extend(problem);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Finds what is wrong with the object itself.
    fn find_problems(
        &self,
        object: &StoredObject,
        depth: VerifyDepth,
        watch: &Watch<'_>,
    ) -> Vec<Problem> {
        let info = &object.info;
        let mut problems = match depth {
            VerifyDepth::Records => check_place(self.store_fd(), info),
            VerifyDepth::Contents => {
                let contents = record::read_contents(self.meta_fd(), info);
                check_contents(self.store_fd(), info, contents.as_ref(), watch)
            }
        };
        let whole = !problems.iter().any(Problem::is_damage);
        if object.state == ObjectState::Damaged {
            problems.push(if whole && depth == VerifyDepth::Contents {
                Problem::Whole
            } else {
                Problem::Damaged
            });
        }
        problems
    }

    /// Finds what is wrong with the record of an object.
    fn find_record_problem(&self, info: &PathInfo) -> Option<Problem> {
        match record::compare(self.meta_fd(), info) {
            RecordState::Same => None,
            RecordState::Missing => Some(Problem::RecordMissing),
            RecordState::Different => Some(Problem::RecordDifferent),
            RecordState::WithoutContents => Some(Problem::RecordWithoutContents),
            RecordState::Unreadable(error) => {
                match Problem::unreadable(record::name_of(&info.path), &error) {
                    // The object itself is as good as before.
                    Problem::Unreadable { file, error, .. } => Some(Problem::Unreadable {
                        file,
                        error,
                        medium: false,
                    }),
                    other => Some(other),
                }
            }
        }
    }

    /// Finds what lies in the store without being registered, and damage of the database itself.
    fn verify_whole(&self, report: &mut VerifyReport) -> Result<(), VerifyError> {
        let mut unregistered = Vec::new();
        for (name, _) in list(self.store_fd()).map_err(at("list", self.store_directory()))? {
            match name
                .to_str()
                .and_then(|name| name.parse::<StorePath>().ok())
            {
                Some(path) => {
                    if self.read(|database| database.find_stored(&path))?.is_none() {
                        unregistered.push(path);
                    }
                }
                None if [".staging", ".trash", ".pool"]
                    .iter()
                    .any(|own| name == *own) => {}
                None => report
                    .findings
                    .push(Finding::new(name.display(), Problem::Foreign)),
            }
        }
        let mut differences = self.compare_roots()?;
        let settled = if unregistered.is_empty() && differences.is_empty() {
            None
        } else {
            self.settle_changes()?
        };
        if settled.is_some() {
            differences = self.compare_roots()?;
        }
        for path in unregistered {
            let name = path.to_string();
            if self.read(|database| database.find_stored(&path))?.is_none()
                && inspect_at(self.store_fd(), os(name.as_bytes())).is_ok()
            {
                report
                    .findings
                    .push(Finding::new(name, Problem::Unregistered));
            }
        }
        for difference in differences {
            let problem = if difference.is_recorded {
                Problem::RecordDifferent
            } else {
                Problem::RecordMissing
            };
            report
                .findings
                .push(Finding::new(difference.record, problem));
        }
        for message in self.read(Database::find_damage)? {
            let problem = Problem::Database { message };
            report.findings.push(Finding::new("var/db.sqlite", problem));
        }
        Ok(())
    }

    /// Takes the files of a damaged object out of the pool, also if it cannot be looked at: then by what its record says.
    pub(in crate::local) fn unpool_whatever(&self, path: &StorePath) {
        if self.unpool(path).is_ok() {
            return;
        }
        let contents = record::read_info(self.meta_fd(), path)
            .and_then(|info| record::read_contents(self.meta_fd(), &info));
        let trees = contents
            .iter()
            .flat_map(|contents| contents.bundle.trees.values());
        for entry in trees.flat_map(Tree::entries) {
            if let Node::File {
                blob, executable, ..
            } = &entry.node
            {
                // What stays in the pool is a file that could not be looked at; who links to it compares what can be compared.
                let _discarded: Result<bool, FileError> = self.pool().discard(*blob, *executable);
            }
        }
    }

    /// Returns once nobody is between two steps of a change, be it alive or dead, and keeps it so while the locks live. Nobody waits for a store that
    /// cannot be written.
    ///
    /// A process that died since this store was opened has left what the next who opens it puts right; that is no damage, and done here.
    fn settle_changes(&self) -> Result<Option<[Lock; 2]>, VerifyError> {
        if self.is_read_only() {
            return Ok(None);
        }
        loop {
            let publishing = lock_file(&self.publish_lock_path(), FlockArg::LockExclusive)?;
            let changing = self.lock_roots()?;
            if !self.has_died()? {
                return Ok(Some([publishing, changing]));
            }
            drop((publishing, changing));
            self.recover(false).map_err(Box::new)?;
        }
    }
}

/// What was found out about one object.
#[derive(Debug)]
struct Verdict<'a> {
    object: &'a StoredObject,
    problems: Vec<Problem>,
}
