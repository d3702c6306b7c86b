//! Names of files: what stands in `load(…)` and before the line number of a message.
//!
//! A [`FileId`] never leads out of its root: it is made of checked parts, not of a path that was cleaned up.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A recipe file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct FileId {
    pub(super) root: Root,
    /// Below the root, with slashes; every part is a plain name.
    pub(super) path: String,
}

/// Where a file's path starts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Root {
    Collection,
    Project(Arc<Path>),
}

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It has neither of the two forms.
    #[error(
        "`{label}` is no label; write `//dir/file.star` for the collection or `:file.star` beside this file"
    )]
    Form {
        /// The label as it was written.
        label: String,
    },
    /// It does not name a Starlark file.
    #[error("`{label}` does not end in `.star`")]
    Extension {
        /// The label as it was written.
        label: String,
    },
    /// It leads out of its root, or could.
    #[error("`{label}` leads out of its directory: no part of a label may be empty, `.` or `..`")]
    Escape {
        /// The label as it was written.
        label: String,
    },
    /// It has a character that no file of a collection has.
    #[error("`{label}` has the character {character:?}, which no label may have")]
    Character {
        /// The label as it was written.
        label: String,
        /// The first such character.
        character: char,
    },
}

impl FileId {
    /// Returns the recipe of a package of the collection.
    pub(super) fn of_package(package: &str) -> Self {
        Self {
            root: Root::Collection,
            path: format!("{package}/recipe.star"),
        }
    }

    /// Returns the file of a project.
    pub(super) fn of_project(directory: &Arc<Path>) -> Self {
        Self {
            root: Root::Project(Arc::clone(directory)),
            path: "pith.star".to_owned(),
        }
    }

    /// Returns the file that `label` names in a file `self`.
    pub(super) fn resolve(&self, label: &str) -> Result<Self, LabelError> {
        let written = || label.to_owned();
        let (root, path) = if let Some(path) = label.strip_prefix("//") {
            (Root::Collection, path.to_owned())
        } else if let Some(path) = label.strip_prefix(':') {
            (self.root.clone(), join(self.directory(), path))
        } else {
            return Err(LabelError::Form { label: written() });
        };
        check_path(&path).map_err(|problem| match problem {
            PathProblem::Escape => LabelError::Escape { label: written() },
            PathProblem::Character(character) => LabelError::Character {
                label: written(),
                character,
            },
        })?;
        if !path.ends_with(".star") {
            return Err(LabelError::Extension { label: written() });
        }
        Ok(Self { root, path })
    }

    /// Returns what it is called wherever it lies: as it is printed, but in a project its path there.
    pub(super) fn label(&self) -> String {
        match &self.root {
            Root::Collection => self.to_string(),
            Root::Project(_) => self.path.clone(),
        }
    }

    /// Returns the directory of the file below its root, empty for the root itself.
    pub(super) fn directory(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory)
    }

    /// Returns the file's place on this machine, if it is in a project.
    pub(super) fn project_path(&self) -> Option<PathBuf> {
        match &self.root {
            Root::Collection => None,
            Root::Project(directory) => Some(directory.join(&self.path)),
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.project_path() {
            None => write!(f, "//{}", self.path),
            Some(path) => write!(f, "{}", path.strip_prefix(".").unwrap_or(&path).display()),
        }
    }
}

/// What is wrong with a relative path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathProblem {
    Escape,
    Character(char),
}

/// Checks that every part of a path is a plain name.
pub(super) fn check_path(path: &str) -> Result<(), PathProblem> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-@".contains(c);
    for part in path.split('/') {
        if matches!(part, "" | "." | "..") {
            return Err(PathProblem::Escape);
        }
        if let Some(character) = part.chars().find(|c| !is_plain(*c)) {
            return Err(PathProblem::Character(character));
        }
    }
    Ok(())
}

/// Returns `path` below `directory`, where an empty directory is the root.
pub(super) fn join(directory: &str, path: &str) -> String {
    if directory.is_empty() {
        path.to_owned()
    } else {
        format!("{directory}/{path}")
    }
}
