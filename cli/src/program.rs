//! Which program of a package is meant when none is named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use store::StorePath;
use thiserror::Error;

/// Why no program could be chosen.
#[derive(Debug, Error)]
pub(crate) enum ProgramError {
    /// There is none.
    #[error("`{0}` has no program in its `bin`")]
    NoProgram(String),
    /// There are several, none called as the package is.
    #[error("`{path}` has more than one program: {}", programs.join(", "))]
    Several {
        /// The store path.
        path: String,
        /// Their names, sorted.
        programs: Vec<String>,
    },
    /// A set of packages does not say what it runs.
    #[error("`{0}` does not say which of its programs runs")]
    NoDefault(String),
    /// The directory cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The program in `bin` of the object at `real` that is called `name`, or the only one there is.
pub(crate) fn default_program(
    real: &Path,
    path: &StorePath,
    name: &str,
) -> Result<String, ProgramError> {
    let bin = real.join("bin");
    let entries = match fs::read_dir(&bin) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(ProgramError::NoProgram(path.to_logical()));
        }
        Err(source) => return Err(ProgramError::Read { path: bin, source }),
    };
    let mut programs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| ProgramError::Read {
            path: bin.clone(),
            source,
        })?;
        programs.extend(entry.file_name().into_string());
    }
    programs.sort();
    if programs.iter().any(|program| program == name) {
        return Ok(name.to_owned());
    }
    match programs.as_slice() {
        [] => Err(ProgramError::NoProgram(path.to_logical())),
        [only] => Ok(only.clone()),
        _ => Err(ProgramError::Several {
            path: path.to_logical(),
            programs,
        }),
    }
}
