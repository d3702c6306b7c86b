//! What was composed, on disk, for the store to take.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::compose::RootFile;
use super::glue::Added;
use super::members::{Kind, Union};
use super::{CompositionError, at};

/// Writes a set: `root.json`, and what was added in `root/`.
pub(super) fn write_set(
    out: &Path,
    file: &RootFile,
    added: &BTreeMap<String, Added>,
) -> Result<(), CompositionError> {
    write_json(&out.join("root.json"), file)?;
    let root = out.join("root");
    fs::create_dir(&root).map_err(at(&root))?;
    write_added(&root, added)
}

/// Writes everything as one tree, with the accounts that an image would have.
pub(super) fn write_tree(
    out: &Path,
    file: &RootFile,
    union: &Union,
    added: &BTreeMap<String, Added>,
) -> Result<(), CompositionError> {
    for (place, placed) in &union.places {
        let path = out.join(place);
        match &placed.kind {
            Kind::Directory => fs::create_dir(&path).map_err(at(&path))?,
            Kind::Symlink { target } => symlink(target, &path).map_err(at(&path))?,
            // The store makes an inode of its own of it; a link only saves writing it twice.
            Kind::File { .. } => {
                if fs::hard_link(&placed.real, &path).is_err() {
                    fs::copy(&placed.real, &path).map_err(at(&path))?;
                }
            }
        }
    }
    write_added(out, added)?;
    let (passwd, group) = account_files(file);
    for (path, text) in [("etc/passwd", passwd), ("etc/group", group)] {
        let path = out.join(path);
        if !path.exists() {
            fs::write(&path, text).map_err(at(&path))?;
        }
    }
    write_json(&out.join("root.json"), file)
}

fn write_json(path: &Path, file: &RootFile) -> Result<(), CompositionError> {
    // `RootFile` has its fields in the order of the alphabet.
    let mut text = serde_json::to_string(file).map_err(|error| at(path)(error.into()))?;
    text.push('\n');
    fs::write(path, text).map_err(at(path))
}

fn write_added(root: &Path, added: &BTreeMap<String, Added>) -> Result<(), CompositionError> {
    for (place, added) in added {
        let path = root.join(place);
        // In a set, the directories of packages are not there yet.
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        match added {
            Added::Directory => fs::create_dir_all(&path),
            Added::File(bytes) => fs::write(&path, bytes),
            Added::Symlink(target) => symlink(target, &path),
        }
        .map_err(at(&path))?;
    }
    Ok(())
}

fn account_files(file: &RootFile) -> (String, String) {
    let mut passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n".to_owned();
    let mut group = "root:x:0:\nnogroup:x:65534:\n".to_owned();
    for user in file.users() {
        let (name, id, home) = (&user.name, user.uid, &user.home);
        // Writing to a String cannot fail.
        let _ = writeln!(
            passwd,
            "{name}:x:{id}:{}:{name}:{home}:/usr/sbin/nologin",
            user.gid
        );
        let _ = writeln!(group, "{name}:x:{}:", user.gid);
    }
    for one in file.groups() {
        let _ = writeln!(group, "{}:x:{}:", one.name, one.gid);
    }
    (passwd, group)
}
