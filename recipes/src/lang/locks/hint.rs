//! What may help where a lock file cannot be used.

use super::{LockError, LockProblem};

impl LockError {
    /// Returns what may help.
    pub(in crate::lang) fn hint(&self) -> Option<String> {
        let text = match &self.problem {
            LockProblem::VersionControl { .. } => {
                "depend on a published version, or keep the dependency's files in the project and depend on their path"
            }
            LockProblem::NotVendored { .. } => {
                "`go mod vendor` brings it there; keep the folder with the sources"
            }
            LockProblem::NoDigest { .. } | LockProblem::Missing { .. } => {
                "let the package manager write the lock file anew; it adds what is missing"
            }
            LockProblem::NamelessFiles { .. } => {
                "a lock file that names the files does: uv.lock, poetry.lock or pylock.toml"
            }
            LockProblem::NoWheel { .. } => {
                "only wheels can be used; the release has none for this platform, or is for another Python"
            }
            LockProblem::Registry { .. } => {
                "keep the dependency's files in the project and depend on their path"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
