//! A collection and a project of a few lines, in a temporary directory.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use recipes::lang::{Collection, EvaluationLimits, Evaluator, LangError};
use snapbox::data::Inline;
use snapbox::{IntoData, assert_data_eq};
use tempfile::TempDir;

/// What tests return.
pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// 64 digits that are a digest of nothing.
pub(crate) const SHA256: &str = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b";

/// A directory with `collection/` and `project/`.
pub(crate) struct World {
    directory: TempDir,
}

impl World {
    /// Makes a world with these files: path → text; `SHA256` in a text stands for a digest.
    pub(crate) fn new(files: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let world = Self {
            directory: tempfile::tempdir()?,
        };
        fs::create_dir_all(world.collection())?;
        fs::create_dir_all(world.project())?;
        for (path, text) in files {
            world.write(path, text)?;
        }
        Ok(world)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) -> TestResult {
        let path = self.directory.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, text.replace("SHA256", SHA256))?)
    }

    /// Returns the collection's directory.
    pub(crate) fn collection(&self) -> PathBuf {
        self.directory.path().join("collection")
    }

    /// Returns the project's directory.
    pub(crate) fn project(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    /// Returns an evaluator for the collection, with bounds that tests reach quickly.
    pub(crate) fn evaluator(&self) -> Evaluator {
        let limits = EvaluationLimits {
            steps: 20_000,
            heap_bytes: 16 << 20,
            call_depth: 50,
            file_depth: 20,
        };
        Evaluator::new(Collection::directory(&self.collection()), None)
            .with_limits(limits)
            .with_platform(recipes::model::Platform::X86_64Linux)
    }

    /// Returns what a user reads about an error, with the temporary directory left out.
    pub(crate) fn show(&self, error: &LangError) -> String {
        let mut text = format!("error: {error}\n");
        let mut cause = Error::source(error);
        while let Some(inner) = cause {
            text.push_str("  caused by: ");
            text.push_str(&inner.to_string());
            text.push('\n');
            cause = inner.source();
        }
        if let Some(hint) = error.hint() {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        text.replace(&self.directory.path().display().to_string(), "")
    }
}

/// Returns what a user reads when the recipe of package `x` is `text` and cannot be evaluated.
pub(crate) fn error_of(text: &str) -> Result<String, Box<dyn Error>> {
    error_with(&[("collection/x/recipe.star", text)])
}

/// Returns what a user reads when package `x` of these files cannot be evaluated.
pub(crate) fn error_with(files: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
    let world = World::new(files)?;
    match world.evaluator().evaluate_package("x") {
        Ok(package) => Err(format!("{} has no error", package.derivation.name()).into()),
        Err(error) => Ok(world.show(&error)),
    }
}

/// Asserts that `text` is exactly the snapshot; `SNAPSHOTS=overwrite` takes it over.
#[track_caller]
pub(crate) fn assert_reads(text: impl Into<String>, expected: Inline) {
    assert_data_eq!(text.into(), expected.raw());
}
