//! What the members of a set say they are for: dpkg's words, where a set keeps them for scanners of images.

use std::{fs, io, path::Path};

use super::{ROOT_DIRECTORY, RootFsError};

/// One file for each package, below the root of a set.
const STATUS: &str = "var/lib/dpkg/status.d";
const FIELD: &str = "Architecture:";

/// Returns the packages of the set that lies at `real`, each with its architecture in dpkg's words; sorted by package.
pub(crate) fn list_architectures(real: &Path) -> Result<Vec<(String, String)>, RootFsError> {
    let directory = real.join(ROOT_DIRECTORY).join(STATUS);
    let error = |source| RootFsError::Read {
        path: directory.clone(),
        source,
    };
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(error)?;
        let text = fs::read_to_string(entry.path()).map_err(error)?;
        let architecture = text.lines().find_map(|line| line.strip_prefix(FIELD));
        if let Some(architecture) = architecture {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, architecture.trim().to_owned()));
        }
    }
    found.sort_unstable();
    Ok(found)
}
