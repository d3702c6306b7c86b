//! What a failed build leaves behind when it is kept: its directory, and how to enter its sandbox again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sandbox::SandboxSpec;
use store::LocalStore;

use super::files::{FileFailure, at};
use super::private::{BUILD_PREFIX, FAILED_PREFIX};

/// The description of the sandbox, in the directory of the build.
const DESCRIPTION: &str = "sandbox.json";

/// The directory of a failed build.
#[derive(Clone, Debug)]
pub struct FailedDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// The sandbox in which the builder ran, with what it left.
    pub spec: SandboxSpec,
}

/// Writes down how the sandbox is made, before the builder runs.
pub(super) fn describe(directory: &Path, spec: &SandboxSpec) -> Result<(), FileFailure> {
    let path = directory.join(DESCRIPTION);
    let failed = at(&path);
    let text = serde_json::to_vec(spec).map_err(|error| failed(error.into()))?;
    fs::write(&path, text).map_err(&failed)
}

/// Returns the failed build that was kept last, of those called `name` where a name is given.
///
/// Directories without a readable description are passed over: a build that could not be prepared has nothing to enter.
pub fn find_failed(
    store: &LocalStore,
    name: Option<&str>,
) -> Result<Option<FailedDirectory>, FileFailure> {
    let temporary = store.tmp_dir();
    let entries = match fs::read_dir(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(at(&temporary))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at(&temporary))?;
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = file_name.strip_prefix(FAILED_PREFIX) else {
            continue;
        };
        // Process, number and name.
        let of = rest.splitn(3, '-').nth(2);
        if name.is_some() && of != name {
            continue;
        }
        let description = entry.path().join(DESCRIPTION);
        if let Ok(written) = fs::metadata(&description).and_then(|found| found.modified()) {
            found.push((written, entry.path(), description));
        }
    }
    found.sort();
    let Some((_, path, description)) = found.pop() else {
        return Ok(None);
    };
    let failed = at(&description);
    let text = fs::read(&description).map_err(&failed)?;
    let mut spec: SandboxSpec = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
    let renamed = path.file_name().unwrap_or_default().to_string_lossy();
    let before = temporary.join(renamed.replacen(FAILED_PREFIX, BUILD_PREFIX, 1));
    for mount in &mut spec.mounts {
        if let Ok(below) = mount.source.strip_prefix(&before) {
            mount.source = path.join(below);
        }
    }
    Ok(Some(FailedDirectory { path, spec }))
}
