//! Which files of a project belong to a source.
//!
//! Ignore files are read as git reads them, from the project's directory down and nowhere else: what git is set up to ignore
//! on one machine, or in one clone, must not decide what is built.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use store::STORE_DIR;

use super::LocalError;
use crate::source::Glob;

/// What version control keeps for itself; never part of a source, whatever an ignore file says.
const VERSION_CONTROL: &[&str] = &[".git", ".hg", ".jj", ".svn"];
/// What lies at the top of a source for Pith itself. A change of these alone builds nothing anew.
const OWN_FILES: &[&str] = &["/.pithignore", "/debian.lock", "/pith.star", "/pith.toml"];
/// Ignore files, the stronger first.
const IGNORE_FILES: [&str; 2] = [".pithignore", ".gitignore"];

/// Which files of a project belong to a source.
#[derive(Clone, Copy, Debug)]
pub struct LocalRules<'a> {
    /// The project's directory; ignore files above it do not count.
    pub project: &'a Path,
    /// Where the store's objects really are. Links into it are what `build -o` made, and left out.
    pub store: &'a Path,
    /// What is left out. A pattern of one part, such as `*.o`, is meant for any depth; any other from the source on.
    pub exclude: &'a [Glob],
    /// What may look like a secret; as `exclude`.
    pub allow_secrets: &'a [Glob],
}

impl LocalRules<'_> {
    /// Returns whether a name is never part of a source.
    pub(super) fn is_excluded(&self, path: &str, name: &str) -> bool {
        VERSION_CONTROL.contains(&name) || is_covered(self.exclude, path, name)
    }

    /// Returns whether a link with this target leads to an object.
    pub(super) fn is_store_link(&self, target: &Path) -> bool {
        target.starts_with(STORE_DIR) || target.starts_with(self.store)
    }

    pub(super) fn may_look_secret(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        is_covered(self.allow_secrets, path, name)
    }
}

/// Returns whether a pattern is meant for the file called `name` at `path`.
fn is_covered(globs: &[Glob], path: &str, name: &str) -> bool {
    globs
        .iter()
        .any(|glob| glob.covers(path) || (glob.is_single_part() && glob.covers(name)))
}

/// The ignore files of a directory and of those above it.
///
/// The deepest that has a word on a file decides; a `.pithignore` of any directory goes before all `.gitignore`s.
#[derive(Debug)]
pub(super) struct IgnoreStack {
    /// By depth, in the order of [`IGNORE_FILES`].
    levels: Vec<[Option<Gitignore>; 2]>,
    own: Gitignore,
}

impl IgnoreStack {
    /// Reads the ignore files of the directories from the project's down to the one above the source `from`.
    pub(super) fn above(from: &Path, project: &Path) -> Result<Self, LocalError> {
        let mut own = GitignoreBuilder::new(from);
        for line in OWN_FILES {
            own.add_line(None, line)
                .expect("a plain name is a pattern of an ignore file");
        }
        let mut stack = Self {
            levels: Vec::new(),
            own: own.build().expect("plain names make an ignore file"),
        };
        let inside = |directory: &&Path| directory.starts_with(project);
        let mut above: Vec<&Path> = from.ancestors().skip(1).take_while(inside).collect();
        above.reverse();
        for directory in above {
            stack.enter(directory)?;
        }
        Ok(stack)
    }

    /// Goes down into a directory.
    pub(super) fn enter(&mut self, directory: &Path) -> Result<(), LocalError> {
        let [strong, weak] = IGNORE_FILES.map(|name| load(directory, name));
        self.levels.push([strong?, weak?]);
        Ok(())
    }

    /// Goes back up.
    pub(super) fn leave(&mut self) {
        self.levels.pop();
    }

    /// Returns whether the file or directory at `path`, which lies in the directory that was entered last, is ignored.
    pub(super) fn is_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let of_kind = |kind: usize| {
            self.levels
                .iter()
                .rev()
                .filter_map(move |level| level.get(kind)?.as_ref())
        };
        let by_strength = (0..IGNORE_FILES.len()).flat_map(of_kind).chain([&self.own]);
        for ignored in by_strength {
            match ignored.matched(path, is_directory) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

/// Reads the ignore file `name` of a directory, if it has one.
fn load(directory: &Path, name: &str) -> Result<Option<Gitignore>, LocalError> {
    let path = directory.join(name);
    let failed = |source| LocalError::Io {
        path: path.clone(),
        source,
    };
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_symlink() => return Err(LocalError::IgnoreLink { path }),
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let text = fs::read_to_string(&path).map_err(failed)?;
    parse(directory, &path, &text).map(Some)
}

fn parse(directory: &Path, path: &Path, text: &str) -> Result<Gitignore, LocalError> {
    let wrong = |line, source| LocalError::Pattern {
        path: PathBuf::from(path),
        line,
        source: Box::new(source),
    };
    let mut builder = GitignoreBuilder::new(directory);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = 0;
    for (line, number) in text.lines().zip(1..) {
        lines = number;
        builder
            .add_line(None, line)
            .map_err(|error| wrong(number, error))?;
    }
    builder.build().map_err(|error| wrong(lines, error))
}
