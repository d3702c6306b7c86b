//! Walks one store object in the order in which a layer holds it: parents first, the names of each directory bytewise ascending.

use std::{
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::LayerError;

/// One file, directory or symbolic link of a store object.
#[derive(Debug)]
pub(crate) struct WalkEntry {
    /// Where it lies on this disk.
    pub(crate) real: PathBuf,
    /// Where it lies in the image, relative to the image's root.
    pub(crate) path: Vec<u8>,
    /// What it is.
    pub(crate) kind: WalkKind,
}

/// What a [`WalkEntry`] is.
#[derive(Debug)]
pub(crate) enum WalkKind {
    /// A directory; its entries follow.
    Directory,
    /// A file.
    File {
        /// Its size when it was looked at.
        size_bytes: u64,
        /// Whether its mode in the image is 0555 rather than 0444.
        executable: bool,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: Vec<u8>,
    },
}

impl WalkEntry {
    /// Returns the permission bits that the entry has in every image.
    pub(crate) const fn mode(&self) -> u32 {
        match self.kind {
            WalkKind::Directory
            | WalkKind::File {
                executable: true, ..
            } => 0o555,
            WalkKind::File {
                executable: false, ..
            } => 0o444,
            WalkKind::Symlink { .. } => 0o777,
        }
    }
}

/// Calls `visit` for `real` and for everything below it. Reads directories and link targets, but no file.
///
/// Times, owners and all permission bits but the owner's `x` are not looked at. Nothing is followed.
pub(crate) fn walk<E: From<LayerError>>(
    real: &Path,
    path: &[u8],
    visit: &mut dyn FnMut(WalkEntry) -> Result<(), E>,
) -> Result<(), E> {
    let root = look_at(real.to_path_buf(), path.to_vec())?;
    // The entries still to visit, the next one last.
    let mut pending = vec![root];
    while let Some(entry) = pending.pop() {
        if matches!(entry.kind, WalkKind::Directory) {
            let names = read_names(&entry.real)?;
            pending.reserve(names.len());
            for name in names.iter().rev() {
                let real = entry.real.join(name);
                let path = [&entry.path, &b"/"[..], name.as_bytes()].concat();
                pending.push(look_at(real, path)?);
            }
        }
        visit(entry)?;
    }
    Ok(())
}

/// Returns the names in a directory, ascending.
fn read_names(directory: &Path) -> Result<Vec<OsString>, LayerError> {
    let error = |source| LayerError::Read {
        path: directory.to_path_buf(),
        source,
    };
    let mut names = fs::read_dir(directory)
        .map_err(error)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

fn look_at(real: PathBuf, path: Vec<u8>) -> Result<WalkEntry, LayerError> {
    let error = |source| LayerError::Read {
        path: real.clone(),
        source,
    };
    let metadata = fs::symlink_metadata(&real).map_err(error)?;
    let kind = if metadata.is_dir() {
        WalkKind::Directory
    } else if metadata.is_file() {
        WalkKind::File {
            size_bytes: metadata.len(),
            executable: metadata.permissions().mode() & 0o100 != 0,
        }
    } else if metadata.is_symlink() {
        let target = fs::read_link(&real).map_err(error)?;
        WalkKind::Symlink {
            target: target.into_os_string().into_vec(),
        }
    } else {
        return Err(LayerError::Kind { path: real });
    };
    Ok(WalkEntry { real, path, kind })
}
