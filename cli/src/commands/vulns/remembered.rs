//! How many records each database had when it was last relied on: a small file for each below `var/databases` of the store, called for the database's path.
//!
//! It is no part of what is true of the store: without it only a loss of records is not noticed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use pack::vulns::Snapshot;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::error::CommandError;
use crate::output::Printer;
use crate::whole_file::write_whole;

/// A database when it was last relied on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    path: PathBuf,
    records: u64,
    digest: String,
}

/// What was remembered is no longer readable.
#[derive(Debug, Error)]
enum RememberedError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is damaged", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// Returns the records that a database had; none where it was never read.
pub(super) fn records_before(
    store_root: &Path,
    database: &Path,
) -> Result<Option<u64>, CommandError> {
    let path = file(store_root, database);
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Known>(&bytes) {
            Ok(known) => Ok(Some(known.records)),
            Err(source) => Err(
                CommandError::failed(RememberedError::Damaged { path, source })
                    .hint("without the file, nothing is known of the database's earlier size"),
            ),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CommandError::failed(RememberedError::Read { path, source })),
    }
}

/// Keeps what a database that can be relied on is like. Who may not write to the store remembers nothing.
pub(super) fn remember(
    store_root: &Path,
    snapshot: &Snapshot,
    printer: &Printer,
) -> Result<(), CommandError> {
    let path = file(store_root, &snapshot.path);
    let known = Known {
        path: snapshot.path.clone(),
        records: snapshot.records,
        digest: snapshot.digest.clone(),
    };
    let before = fs::read(&path).ok();
    let before = before.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
    if before.as_ref() == Some(&known) {
        return Ok(());
    }
    if let Err(error) = fs::create_dir_all(store_root.join(DIRECTORY)) {
        let path = snapshot.path.display();
        printer.detail(&format!(
            "the size of `{path}` cannot be kept in the store, and a loss of records will not be noticed: {error}"
        ));
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&known).map_err(CommandError::failed)?;
    write_whole(&path, &text)
}

const DIRECTORY: &str = "var/databases";

fn file(store_root: &Path, database: &Path) -> PathBuf {
    let name = Snapshot::key_of(database);
    store_root.join(DIRECTORY).join(format!("{name}.json"))
}
