//! Store paths as arguments, also of objects that are not valid.

use std::path::Path;

use store::{LocalStore, STORE_DIR, StorePath};
use thiserror::Error;

use crate::error::{CommandError, ExitStatus};

/// A text is no store path.
#[derive(Debug, Error)]
#[error("`{0}` is not a store path")]
struct NoStorePath(String);

/// Takes texts for store paths: `/pith/store/<digest>-<name>`, the same without the directory, or where the object lies.
pub(super) fn to_paths(
    texts: &[String],
    store: &LocalStore,
) -> Result<Vec<StorePath>, CommandError> {
    let real = store.store_directory();
    let parse = |text: &String| {
        let name = [Path::new(STORE_DIR), &real]
            .iter()
            .find_map(|directory| Path::new(text).strip_prefix(directory).ok()?.to_str())
            .unwrap_or(text);
        name.trim_end_matches('/')
            .parse()
            .map_err(|_| CommandError::new(ExitStatus::Usage, NoStorePath(text.clone())))
    };
    texts.iter().map(parse).collect()
}
