//! Any text is a recipe or an error, never a panic, and ends within its bounds.
//!
//! `cargo +nightly fuzz run evaluate fuzz/corpus/evaluate collection/*/ -- -dict=fuzz/recipe.dict`, in `recipes/`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use recipes::lang::{Collection, EvaluationLimits, Evaluator, Problem};
use tempfile::TempDir;

/// The one project, whose `pith.star` each run writes anew.
static PROJECT: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a directory for temporary files is there"));

fuzz_target!(|text: &str| -> Corpus {
    let directory = PROJECT.path();
    std::fs::write(directory.join("pith.star"), text).expect("the directory is ours");
    let limits = EvaluationLimits { steps: 20_000, heap_bytes: 16 << 20, call_depth: 50, file_depth: 20 };
    let evaluator = Evaluator::new(Collection::embedded(), None).with_limits(limits);
    match evaluator.evaluate_project(directory) {
        Ok(project) => {
            for package in &project.packages {
                assert!(package.derivation.plan_digest(&|_| None).is_some() || text.contains("source"));
            }
        }
        Err(error) => {
            assert!(!matches!(error.problem(), Problem::Internal { .. }), "{error}");
            let shown = format!("{error} {:?}", error.hint());
            assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
    Corpus::Keep
});
