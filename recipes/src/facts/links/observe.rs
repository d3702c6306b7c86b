//! From the files of an output to what each was linked of.

use rayon::prelude::*;
use store::facts::{FileFacts, LinkFacts, Linked};
use store::{LocalStore, StorePath};

use super::inputs::classify;
use super::needs::{Needs, needs};
use super::record::Records;
use crate::facts::ObserveError;
use crate::facts::error::at;

/// What is known of the links of a build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkedOutput<'a> {
    /// What the linker has recorded.
    pub(crate) records: &'a Records,
    /// The paths that the outputs had while they were built.
    pub(crate) scratch: &'a [StorePath],
}

/// Returns what the programs, libraries and scripts among the files of a valid output were linked of and need; sorted by file.
pub(in crate::facts) fn links(
    store: &LocalStore,
    output: &StorePath,
    files: &[FileFacts],
    linked: &LinkedOutput<'_>,
) -> Result<Vec<LinkFacts>, ObserveError> {
    let references = references_of(store, output)?;
    let found = files
        .par_iter()
        .map(|file| link(store, output, &references, file, linked))
        .collect::<Result<Vec<Option<LinkFacts>>, ObserveError>>()?;
    Ok(found.into_iter().flatten().collect())
}

fn references_of(store: &LocalStore, output: &StorePath) -> Result<Vec<StorePath>, ObserveError> {
    let info = store.path_info(output)?;
    let references = info.into_iter().flat_map(|info| info.references);
    Ok(references.map(|reference| reference.path).collect())
}

fn link(
    store: &LocalStore,
    output: &StorePath,
    references: &[StorePath],
    file: &FileFacts,
    linked: &LinkedOutput<'_>,
) -> Result<Option<LinkFacts>, ObserveError> {
    let real = store.real_path(output).join(&file.path);
    // A name that is not UTF-8 is told with a replacement, by which the file is not found.
    if !file.path.is_empty() && !real.exists() {
        return Ok(None);
    }
    let needs = needs(store, output, references, &file.path, file.executable).map_err(at(&real))?;
    let (known, mut inputs) = match needs {
        Needs::Nothing => return Ok(None),
        // Nothing is in a script but the script.
        Needs::Script(interpreter) => (Linked::Recorded, vec![interpreter]),
        Needs::Linked(inputs, code) => {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let record = code.and_then(|code| linked.records.find(&code, name));
            match record {
                Some(record) => {
                    let mut all = classify(record, store, linked.scratch);
                    all.extend(inputs);
                    (Linked::Recorded, all)
                }
                None => (Linked::Unrecorded, inputs),
            }
        }
    };
    inputs.sort();
    inputs.dedup();
    Ok(Some(LinkFacts {
        file: file.path.clone(),
        linked: known,
        inputs,
    }))
}
