//! What no derivation can be: the rules that [`Derivation::new`](super::Derivation::new) holds its parts to.

use std::collections::{BTreeMap, BTreeSet};

use store::StoreName;

use super::{Builder, ModelError, Piece, Source, Text};

/// The longest name of an output.
const MAX_OUTPUT_NAME: usize = 32;

pub(super) fn check_outputs(name: &StoreName, outputs: &[String]) -> Result<(), ModelError> {
    if outputs.is_empty() {
        return Err(ModelError::NoOutputs {
            name: name.to_string(),
        });
    }
    let mut seen = BTreeSet::new();
    for output in outputs {
        let letters = output
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let first = output
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase());
        if !letters || !first || output.len() > MAX_OUTPUT_NAME {
            return Err(ModelError::OutputName {
                name: output.clone(),
            });
        }
        if !seen.insert(output) {
            return Err(ModelError::DuplicateOutput {
                name: output.clone(),
            });
        }
    }
    Ok(())
}

pub(super) fn check_builder(outputs: &[String], builder: &Builder) -> Result<(), ModelError> {
    match builder {
        Builder::Program(program) => {
            if program
                .argv
                .first()
                .is_none_or(|program| program.pieces().is_empty())
            {
                return Err(ModelError::NoProgram);
            }
            check_environment(outputs, &program.env)?;
            program
                .argv
                .iter()
                .try_for_each(|text| check_no_nul("builder", text))
        }
        Builder::Fetch(fetch) if fetch.urls.is_empty() => Err(ModelError::NoUrls),
        Builder::Source(Source::Local(local)) if !stays_below(&local.path) => {
            Err(ModelError::PathEscape {
                path: local.path.clone(),
            })
        }
        _ => Ok(()),
    }
}

fn check_environment(outputs: &[String], env: &BTreeMap<String, Text>) -> Result<(), ModelError> {
    for (name, value) in env {
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !letters || name.bytes().next().is_none_or(|b| b.is_ascii_digit()) {
            return Err(ModelError::VariableName { name: name.clone() });
        }
        if outputs.contains(name) {
            return Err(ModelError::VariableIsOutput { name: name.clone() });
        }
        check_no_nul(name, value)?;
    }
    Ok(())
}

fn check_no_nul(field: &str, text: &Text) -> Result<(), ModelError> {
    let has_nul = |piece: &Piece| matches!(piece, Piece::Literal(text) if text.contains('\0'));
    if text.pieces().iter().any(has_nul) {
        return Err(ModelError::Nul {
            field: field.to_owned(),
        });
    }
    Ok(())
}

/// Returns whether a path names something below the directory it is relative to, by its text alone.
fn stays_below(path: &str) -> bool {
    path == "."
        || path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != ".." && !part.contains('\0'))
}
