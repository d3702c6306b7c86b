//! The project of a target in a bundle: the recipes that were evaluated in it, and the files that it builds from, where they lie in the project.
//!
//! Where the project lies on this machine is in no bundle: steps are described as if it were in one and the same place everywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pack::audit::sources::{Bundle, BundledRecipe, Content, Gap};
use pack::oci::Digest;
use recipes::lang::Evaluator;
use recipes::model::{
    Builder, Derivation, DerivationSpec, LocalSource, Replacement, Rewriter, Source,
};
use recipes::plan::{Goal, Graph};
use recipes::source::Glob;
use recipes::source::local::{LocalRules, Survey};
use store::LocalStore;
use tempfile::TempDir;

use crate::error::CommandError;

/// The folder of a bundle that has the project.
pub(super) const FOLDER: &str = "project";
/// Where steps are described to have the project.
const DIRECTORY: &str = "/project";

/// The project's part of a bundle.
#[derive(Debug, Default)]
pub(super) struct ProjectFiles {
    /// What the bundle says of the files, by place.
    pub(super) files: Vec<BundledRecipe>,
    /// What a bundle cannot hold: links and empty directories, by their place in the project.
    left_out: Vec<String>,
    _copies: Vec<TempDir>,
}

impl ProjectFiles {
    /// Returns what is missing of the project for an image.
    pub(super) fn gap(&self, title: &str) -> Option<Gap> {
        (!self.left_out.is_empty()).then(|| Gap {
            component: title.to_owned(),
            license: None,
            reason: format!(
                "the project has what a bundle cannot hold: {}",
                self.left_out.join(", ")
            ),
        })
    }
}

/// Returns the files of the project that goals are built from.
pub(super) fn local_sources(goals: &[Goal]) -> Result<Vec<LocalSource>, CommandError> {
    let graph = Graph::new(goals).map_err(CommandError::failed)?;
    let sources = graph.derivations().iter();
    let sources = sources.filter_map(|one| match one.builder() {
        Builder::Source(Source::Local(source)) => Some(source.clone()),
        _ => None,
    });
    Ok(sources.collect())
}

/// Returns goals as they are wherever the project lies.
pub(super) fn placeless(goals: &[Goal]) -> Result<Vec<Goal>, CommandError> {
    let graph = Graph::new(goals).map_err(CommandError::failed)?;
    let mut replacements = Vec::new();
    for one in graph.derivations() {
        let Builder::Source(Source::Local(source)) = one.builder() else {
            continue;
        };
        let outputs = one.outputs().iter();
        let to = Derivation::new(DerivationSpec {
            name: one.name().clone(),
            outputs: outputs.map(|output| output.name().to_owned()).collect(),
            builder: Builder::Source(Source::Local(LocalSource {
                project: PathBuf::from(DIRECTORY),
                ..source.clone()
            })),
            limits: one.limits(),
            metadata: one.metadata().clone(),
            origin: one.origin().clone(),
            recipe: one.recipe().into(),
        })?;
        replacements.push(Replacement {
            name: one.name().to_string(),
            from: one.id(),
            to,
        });
    }
    let mut rewriter = Rewriter::new(&replacements, &Derivation::new);
    let changed = goals.iter().map(|goal| {
        let derivation = rewriter.derivation(&goal.derivation);
        Ok(Goal {
            derivation: derivation.map_err(CommandError::failed)?,
            outputs: goal.outputs.clone(),
        })
    });
    changed.collect()
}

/// Adds the project's files to a bundle.
pub(super) fn add(
    bundle: &mut Bundle,
    sources: &[LocalSource],
    evaluator: &Evaluator,
    store: &LocalStore,
) -> Result<ProjectFiles, CommandError> {
    let mut project = ProjectFiles::default();
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for source in sources {
        let copies = tempfile::tempdir().map_err(CommandError::failed)?;
        let copy = copies.path().join("copy");
        let (exclude, allow_secrets) = (globs(&source.exclude)?, globs(&source.allow_secrets)?);
        let rules = LocalRules {
            project: &source.project,
            store: &store.root().join("store"),
            exclude: &exclude,
            allow_secrets: &allow_secrets,
        };
        let survey = Survey::new(&source.real_path(), &rules).map_err(CommandError::failed)?;
        survey.copy(&copy).map_err(CommandError::failed)?;
        let place = if source.path == "." {
            String::new()
        } else {
            source.path.clone()
        };
        walk(&copy, &place, &mut found, &mut project.left_out)?;
        project._copies.push(copies);
    }
    for (place, real) in found {
        let place = format!("{FOLDER}/{place}");
        let bytes = fs::read(&real).map_err(CommandError::failed)?;
        let metadata = real.metadata().map_err(CommandError::failed)?;
        project.files.push(BundledRecipe {
            file: place.clone(),
            sha256: Digest::of(&bytes).to_hex(),
        });
        let is_program = metadata.permissions().mode() & 0o100 != 0;
        let content = match is_program {
            true => Content::Script(bytes),
            false => Content::File(real),
        };
        bundle.add(place, content);
    }
    for (path, text) in evaluator.project_files_read() {
        let place = format!("{FOLDER}/{path}");
        let bytes = text.into_bytes();
        project.files.push(BundledRecipe {
            file: place.clone(),
            sha256: Digest::of(&bytes).to_hex(),
        });
        bundle.add(place, Content::Bytes(bytes));
    }
    project.files.sort_by(|a, b| a.file.cmp(&b.file));
    project.files.dedup();
    project.left_out.sort();
    project.left_out.dedup();
    Ok(project)
}

/// Lists the files below a copy, which is one of `place` in the project.
fn walk(
    real: &Path,
    place: &str,
    found: &mut Vec<(String, PathBuf)>,
    left_out: &mut Vec<String>,
) -> Result<(), CommandError> {
    let metadata = real.symlink_metadata().map_err(CommandError::failed)?;
    if metadata.is_file() {
        found.push((place.to_owned(), real.to_path_buf()));
        return Ok(());
    }
    if !metadata.is_dir() {
        left_out.push(format!("the link `{place}`"));
        return Ok(());
    }
    let mut is_empty = true;
    for entry in fs::read_dir(real).map_err(CommandError::failed)? {
        let entry = entry.map_err(CommandError::failed)?;
        is_empty = false;
        let Ok(name) = entry.file_name().into_string() else {
            left_out.push(format!("`{place}/{}`", entry.file_name().display()));
            continue;
        };
        let below = if place.is_empty() {
            name
        } else {
            format!("{place}/{name}")
        };
        walk(&entry.path(), &below, found, left_out)?;
    }
    if is_empty {
        left_out.push(format!("the empty directory `{place}`"));
    }
    Ok(())
}

fn globs(patterns: &[String]) -> Result<Vec<Glob>, CommandError> {
    let parsed = patterns.iter().map(|pattern| pattern.parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(CommandError::failed)
}
