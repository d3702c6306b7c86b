//! What may help where a lock file cannot be used.

use super::{LockError, LockProblem};

impl LockError {
    /// Returns what may help.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match &self.problem {
            LockProblem::VersionControl { .. } => {
                "depend on a published version, or keep the dependency's files in the project and depend on their path"
            }
            LockProblem::NotVendored { .. } => {
                "`go mod vendor` brings it there; keep the folder with the sources"
            }
            LockProblem::NoDigest {
                field: "--hash", ..
            }
            | LockProblem::NamelessFiles { .. }
            | LockProblem::Unpinned { .. } => {
                "`uv pip compile requirements.txt -o pylock.toml` (or `pip lock -r requirements.txt`) writes a lock file that names each file and its digest"
            }
            LockProblem::NoDigest { .. } | LockProblem::Missing { .. } => {
                "let the package manager write the lock file anew; it adds what is missing"
            }
            LockProblem::NoWheel { .. } => {
                "only wheels can be used; the release has none for this platform, or is for another Python"
            }
            LockProblem::NoPython { .. } => {
                "`python = package(\"python313\")` as an argument of `python_app` takes that one all the same"
            }
            LockProblem::Registry { .. } => {
                "keep the dependency's files in the project and depend on their path"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
