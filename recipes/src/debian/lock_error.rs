//! What can be wrong with a lock file.

/// Why a lock file cannot be used. Each names the file and the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// It is no TOML, or has a field that it may not have, or lacks one.
    #[error("{file}:{line}: {problem}")]
    Text {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It is of a version that this program does not know.
    #[error(
        "{file}:{line}: this lock file has version {found}, and this pith reads versions up to {known}"
    )]
    Version {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The version that it says.
        found: i64,
        /// The highest version that is known.
        known: i64,
    },
    /// Something is needed that it does not list.
    #[error(
        "{file}:{line}: `{name}` is needed{} but not locked{}",
        by.as_ref().map_or_else(String::new, |by| format!(" by `{by}`")),
        architecture.as_ref().map_or_else(String::new, |name| format!(" for {name}"))
    )]
    Missing {
        /// The file.
        file: String,
        /// The line on which it is needed.
        line: usize,
        /// What is missing.
        name: String,
        /// What needs it, if it was not asked for itself.
        by: Option<String>,
        /// The architecture, in a file that has several.
        architecture: Option<String>,
    },
    /// A package is listed twice.
    #[error("{file}:{line}: `{name}` is locked twice")]
    Twice {
        /// The file.
        file: String,
        /// The line of the second one.
        line: usize,
        /// The package.
        name: String,
    },
}
