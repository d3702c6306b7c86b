//! Where recipe files come from: the collection inside this program, a checkout of it, or a project's directory.
//!
//! Nothing outside the root is ever read, not even through a symbolic link.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::SourceFile;

include!(concat!(env!("OUT_DIR"), "/collection.rs"));

/// The largest file that is read as a recipe or taken in as embedded source.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most files that one embedded source may have.
const MAX_SOURCE_FILES: usize = 10_000;

/// A file compiled into this program.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedFile {
    /// The path below the collection, with slashes.
    pub path: &'static str,
    /// Whether the file is executable.
    pub executable: bool,
    /// The content.
    pub bytes: &'static [u8],
}

/// A set of recipes: one folder a package, `lib/` for what they share.
#[derive(Debug, Clone)]
pub struct Collection {
    files: Files,
    /// What was read, by path.
    read: Arc<Mutex<BTreeMap<String, SourceFile>>>,
}

#[derive(Debug, Clone)]
enum Files {
    /// Sorted by path.
    Embedded(&'static [EmbeddedFile]),
    Directory(PathBuf),
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file's real place is outside its root.
    #[error("`{}` is a symbolic link out of `{}`", path.display(), root.display())]
    Escape {
        /// The file.
        path: PathBuf,
        /// The directory that it should not leave.
        root: PathBuf,
    },
    /// The file is larger than a recipe can be.
    #[error("`{path}` has {size_bytes} bytes; it may have {max_bytes}")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        size_bytes: u64,
        /// What it may have.
        max_bytes: u64,
    },
    /// A source has more files than it may.
    #[error("`{path}` has more than {MAX_SOURCE_FILES} files")]
    TooManyFiles {
        /// The directory.
        path: String,
    },
    /// The file is not a text.
    #[error("`{path}` is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: String,
    },
}

impl Collection {
    /// Returns the collection that is part of this program.
    pub fn embedded() -> Self {
        Self::from_files(EMBEDDED)
    }

    /// Returns the collection of these files, which must be sorted by path.
    pub fn from_files(files: &'static [EmbeddedFile]) -> Self {
        Self {
            files: Files::Embedded(files),
            read: Arc::default(),
        }
    }

    /// Returns the collection in a directory.
    pub fn directory(path: &Path) -> Self {
        Self {
            files: Files::Directory(path.to_owned()),
            read: Arc::default(),
        }
    }

    /// Returns the names of the packages: the folders with a `recipe.star`; sorted.
    pub fn packages(&self) -> Result<Vec<String>, ReadError> {
        let mut names = Vec::new();
        match &self.files {
            Files::Embedded(files) => names.extend(
                files
                    .iter()
                    .filter_map(|file| file.path.strip_suffix("/recipe.star"))
                    .filter(|folder| !folder.contains('/'))
                    .map(str::to_owned),
            ),
            Files::Directory(root) => {
                for entry in read_directory(root)? {
                    let has_recipe = root.join(&entry).join("recipe.star").is_file();
                    if has_recipe && super::label::check_path(&entry).is_ok() {
                        names.push(entry);
                    }
                }
            }
        }
        // `glibc-source/recipe.star` comes before `glibc/recipe.star`, and the names do not.
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the labels of all recipe files and of those in `lib/`, for hints.
    pub(super) fn labels(&self) -> Result<Vec<String>, ReadError> {
        let lib = self.find_source("lib")?.unwrap_or_default();
        let lib = lib
            .iter()
            .filter(|file| file.path.ends_with(".star"))
            .map(|file| format!("//lib/{}", file.path));
        let packages = self
            .packages()?
            .into_iter()
            .map(|name| format!("//{name}/recipe.star"));
        Ok(lib.chain(packages).collect())
    }

    /// Returns every file that evaluations have read so far, by path below the collection; those that are only listed are not among them.
    pub fn files_read(&self) -> Vec<SourceFile> {
        self.read().values().cloned().collect()
    }

    /// Returns the text of a file, or `None` when there is none.
    pub(super) fn read_text(&self, path: &str) -> Result<Option<String>, ReadError> {
        let found = match &self.files {
            Files::Embedded(files) => match find_embedded(files, path) {
                Some(file) => Some(text(path, file.bytes.to_vec())?),
                None => None,
            },
            Files::Directory(root) => read_text_below(root, path, MAX_FILE_BYTES)?,
        };
        if let Some(found) = &found {
            let bytes = Cow::Owned(found.clone().into_bytes());
            self.record(path.to_owned(), false, bytes);
        }
        Ok(found)
    }

    /// Returns the files that `path` is: the one file, or those below the directory; `None` when there is neither.
    pub(super) fn read_source(&self, path: &str) -> Result<Option<Vec<SourceFile>>, ReadError> {
        let found = self.find_source(path)?;
        for file in found.iter().flatten() {
            let place = if file.path.is_empty() {
                path.to_owned()
            } else {
                super::label::join(path, &file.path)
            };
            self.record(place, file.executable, file.bytes.clone());
        }
        Ok(found)
    }

    fn find_source(&self, path: &str) -> Result<Option<Vec<SourceFile>>, ReadError> {
        match &self.files {
            Files::Embedded(files) => Ok(embedded_source(files, path)),
            Files::Directory(root) => source_below(root, path),
        }
    }

    fn record(&self, path: String, executable: bool, bytes: Cow<'static, [u8]>) {
        let file = SourceFile {
            path: path.clone(),
            executable,
            bytes,
        };
        self.read().insert(path, file);
    }

    fn read(&self) -> MutexGuard<'_, BTreeMap<String, SourceFile>> {
        // A map is whole whoever was interrupted.
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find_embedded(files: &'static [EmbeddedFile], path: &str) -> Option<&'static EmbeddedFile> {
    files
        .binary_search_by(|file| file.path.cmp(path))
        .ok()
        .and_then(|index| files.get(index))
}

fn embedded_source(files: &'static [EmbeddedFile], path: &str) -> Option<Vec<SourceFile>> {
    let source_file = |file: &EmbeddedFile, below: &str| SourceFile {
        path: below.to_owned(),
        executable: file.executable,
        bytes: Cow::Borrowed(file.bytes),
    };
    if let Some(file) = find_embedded(files, path) {
        return Some(vec![source_file(file, "")]);
    }
    let below =
        |file: &EmbeddedFile| Some(file.path.strip_prefix(path)?.strip_prefix('/')?.to_owned());
    let found: Vec<SourceFile> = files
        .iter()
        .filter_map(|file| below(file).map(|path| source_file(file, &path)))
        .collect();
    (!found.is_empty()).then_some(found)
}

/// Returns the text of a file below `root` of at most `max_bytes`, or `None` when there is none.
pub(super) fn read_text_below(
    root: &Path,
    path: &str,
    max_bytes: u64,
) -> Result<Option<String>, ReadError> {
    match read_below(root, path, max_bytes)? {
        Some((bytes, _)) => text(path, bytes).map(Some),
        None => Ok(None),
    }
}

/// Returns the real place of something below `root`, or `None` when there is nothing.
pub(super) fn real_path_below(root: &Path, path: &str) -> Result<Option<PathBuf>, ReadError> {
    let joined = root.join(path);
    let real = match joined.canonicalize() {
        Ok(real) => real,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(source) => {
            return Err(ReadError::Io {
                path: joined,
                source,
            });
        }
    };
    let real_root = root.canonicalize().map_err(|source| ReadError::Io {
        path: root.to_owned(),
        source,
    })?;
    if !real.starts_with(&real_root) {
        return Err(ReadError::Escape {
            path: joined,
            root: root.to_owned(),
        });
    }
    Ok(Some(real))
}

fn read_below(
    root: &Path,
    path: &str,
    max_bytes: u64,
) -> Result<Option<(Vec<u8>, bool)>, ReadError> {
    let Some(real) = real_path_below(root, path)? else {
        return Ok(None);
    };
    let failed = |source| ReadError::Io {
        path: root.join(path),
        source,
    };
    let metadata = real.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.len() > max_bytes {
        return Err(ReadError::TooLarge {
            path: path.to_owned(),
            size_bytes: metadata.len(),
            max_bytes,
        });
    }
    let bytes = std::fs::read(&real).map_err(failed)?;
    Ok(Some((bytes, metadata.permissions().mode() & 0o100 != 0)))
}

fn source_below(root: &Path, path: &str) -> Result<Option<Vec<SourceFile>>, ReadError> {
    if let Some((bytes, executable)) = read_below(root, path, MAX_FILE_BYTES)? {
        return Ok(Some(vec![SourceFile {
            path: String::new(),
            executable,
            bytes: Cow::Owned(bytes),
        }]));
    }
    if real_path_below(root, path)?.is_none() {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut pending = vec![String::new()];
    while let Some(directory) = pending.pop() {
        let place = super::label::join(path, &directory);
        for name in read_directory(&root.join(place.trim_end_matches('/')))? {
            let below = super::label::join(&directory, &name);
            let whole = super::label::join(path, &below);
            match read_below(root, &whole, MAX_FILE_BYTES)? {
                Some((bytes, executable)) => {
                    found.push(SourceFile {
                        path: below,
                        executable,
                        bytes: Cow::Owned(bytes),
                    });
                }
                None => pending.push(below),
            }
            if found.len() + pending.len() > MAX_SOURCE_FILES {
                return Err(ReadError::TooManyFiles {
                    path: path.to_owned(),
                });
            }
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Returns the names in a directory that are UTF-8, sorted.
fn read_directory(path: &Path) -> Result<Vec<String>, ReadError> {
    let failed = |source| ReadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string());
    }
    names.sort();
    Ok(names)
}

fn text(path: &str, bytes: Vec<u8>) -> Result<String, ReadError> {
    String::from_utf8(bytes).map_err(|_| ReadError::NotUtf8 {
        path: path.to_owned(),
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
