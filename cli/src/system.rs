//! A tree of Debian packages as the file system that a program sees.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pack::rootfs::RootSet;
use sandbox::{Access, File, Mount, SandboxSpec, Symlink};
use tempfile::TempDir;
use thiserror::Error;

use crate::inside::{caller_accounts, nsswitch};

/// Where programs are looked for, as Debian has it.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A part of the tree, or of what is written to, cannot be used.
#[derive(Debug, Error)]
#[error("cannot use `{}`", path.display())]
pub(crate) struct SystemError {
    path: PathBuf,
    source: io::Error,
}

/// Directories that a program may write to, forgotten when it has ended: the root of a sandbox is read-only.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: TempDir,
    count: Cell<usize>,
}

impl Scratch {
    /// A place for such directories.
    pub(crate) fn new() -> Result<Self, SystemError> {
        let directory = TempDir::new().map_err(|source| SystemError {
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self {
            directory,
            count: Cell::new(0),
        })
    }

    /// An empty directory that is shown at `target`, and that everyone may write to.
    pub(crate) fn mount(&self, target: &Path) -> Result<Mount, SystemError> {
        let number = self.count.replace(self.count.get() + 1);
        let source = self.directory.path().join(number.to_string());
        let made = fs::create_dir(&source)
            .and_then(|()| fs::set_permissions(&source, Permissions::from_mode(0o1777)));
        made.map_err(|error| SystemError {
            path: source.clone(),
            source: error,
        })?;
        Ok(Mount {
            source,
            target: target.to_path_buf(),
            access: Access::ReadWrite,
        })
    }
}

/// Adds to `spec` what lies in the tree at `real`, its accounts beside the caller's and its variables: read-only, but for the directories that its programs
/// write to, which are empty and forgotten. What `spec` has already at a place stays.
pub(crate) fn lay_out(
    spec: &mut SandboxSpec,
    real: &Path,
    set: &RootSet,
    scratch: &Scratch,
) -> Result<(), SystemError> {
    spec.files = accounts(real);
    spec.env.extend(environment(set));
    let mut taken: Vec<PathBuf> = spec.files.iter().map(|file| file.path.clone()).collect();
    taken.extend(spec.mounts.iter().map(|mount| mount.target.clone()));
    // The caller shows it to every program.
    taken.push("/tmp".into());
    let wanted = set
        .writable
        .iter()
        .map(PathBuf::from)
        .chain(["/root".into()]);
    let writable: Vec<PathBuf> = wanted.filter(|path| !taken.contains(path)).collect();
    let plan = Plan { taken, writable };
    plan.place(spec, real, Path::new("/"))?;
    for path in &plan.writable {
        spec.mounts.push(scratch.mount(path)?);
    }
    Ok(())
}

/// The environment of a program of the set.
fn environment(set: &RootSet) -> BTreeMap<OsString, OsString> {
    let own = set
        .env
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    let mut env = BTreeMap::from([("PATH".into(), SEARCH_PATH.into())]);
    env.extend(own);
    env
}

/// The accounts of the tree, and the caller's.
fn accounts(real: &Path) -> Vec<File> {
    let with_own = |(path, line): (&str, String)| {
        let own = fs::read_to_string(real.join(path.trim_start_matches('/'))).unwrap_or_default();
        File {
            path: path.into(),
            // The first line with a number is the one that counts.
            bytes: format!("{line}{own}").into_bytes(),
            mode: 0o644,
        }
    };
    let own = caller_accounts().into_iter().map(with_own);
    own.chain([nsswitch()]).collect()
}

struct Plan {
    taken: Vec<PathBuf>,
    writable: Vec<PathBuf>,
}

impl Plan {
    /// Shows a directory as a whole, unless something else has a place in it.
    fn place(&self, spec: &mut SandboxSpec, real: &Path, inside: &Path) -> Result<(), SystemError> {
        let error = |source| SystemError {
            path: real.to_path_buf(),
            source,
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(real).map_err(error)? {
            entries.push(entry.map_err(error)?);
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (source, target) = (entry.path(), inside.join(entry.file_name()));
            let is_description = inside == Path::new("/") && entry.file_name() == "root.json";
            if is_description || self.taken.contains(&target) || self.writable.contains(&target) {
                continue;
            }
            let kind = entry.file_type().map_err(error)?;
            let shared = self
                .taken
                .iter()
                .chain(&self.writable)
                .any(|path| path.starts_with(&target));
            if kind.is_symlink() {
                let link = Symlink {
                    target: fs::read_link(&source).map_err(error)?,
                    link: target,
                };
                spec.symlinks.push(link);
            } else if kind.is_dir() && shared {
                spec.directories.push(target.clone());
                self.place(spec, &source, &target)?;
            } else {
                spec.mounts.push(Mount {
                    source,
                    target,
                    access: Access::ReadOnly,
                });
            }
        }
        Ok(())
    }
}
