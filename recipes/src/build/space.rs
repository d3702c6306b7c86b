//! The store as a finished build will see it: its own outputs, not yet added, and the closure of its inputs.
//!
//! Paths are looked up by their logical names, one part after the other, and symbolic links are followed by these rules
//! too; the machine's own files are never reached.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::listing::{Entry, Listing};
use store::{STORE_DIR, StorePath};

/// Links that one lookup may follow, as many as Linux allows.
const MAX_LINKS: usize = 40;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Yes,
    /// In the store, but not in this part of it.
    No,
    /// Not in the store at all.
    Outside,
}

/// The outputs of a build and its inputs; see the module.
pub(super) struct Space<'a> {
    /// The directory parts of the store paths that the outputs have for now, with their contents, in the order of outputs.
    own: Vec<(String, &'a Listing)>,
    /// Real places of the closure, by the part of the path below the store directory.
    inputs: BTreeMap<String, PathBuf>,
}

impl<'a> Space<'a> {
    pub(super) fn new(
        own: impl IntoIterator<Item = (StorePath, &'a Listing)>,
        inputs: impl IntoIterator<Item = (StorePath, PathBuf)>,
    ) -> Self {
        Self {
            own: own
                .into_iter()
                .map(|(path, listing)| (path.to_string(), listing))
                .collect(),
            inputs: inputs
                .into_iter()
                .map(|(path, real)| (path.to_string(), real))
                .collect(),
        }
    }

    /// Returns the logical path of an output.
    pub(super) fn output_path(&self, index: usize) -> Vec<u8> {
        let name = self.own.get(index).map_or("", |(name, _)| name);
        format!("{STORE_DIR}/{name}").into_bytes()
    }

    /// Returns whether `path`, taken as it is written, lies in a store path of this build.
    pub(super) fn is_inside(&self, path: &[u8]) -> bool {
        let Some(parts) = normalise(path) else {
            return false;
        };
        let (Some(store), Some(object)) = (parts.get(..2), parts.get(2)) else {
            return false;
        };
        let object = String::from_utf8_lossy(object);
        store == [b"pith".as_slice(), b"store"]
            && (self.own.iter().any(|(name, _)| *name == object)
                || self.inputs.contains_key(object.as_ref()))
    }

    /// Looks for a file or directory, following links within the store.
    pub(super) fn find(&self, path: &[u8]) -> Found {
        let mut path = path.to_vec();
        for _ in 0..MAX_LINKS {
            match self.step(&path) {
                Step::Found => return Found::Yes,
                Step::Missing => return Found::No,
                Step::Outside => return Found::Outside,
                Step::Link(next) => path = next,
            }
        }
        Found::No
    }

    /// Follows the path up to its first link.
    fn step(&self, path: &[u8]) -> Step {
        let Some(parts) = normalise(path) else {
            return Step::Outside;
        };
        let Some(([b"pith", b"store"], parts)) = parts
            .split_first_chunk::<2>()
            .map(|(store, rest)| (*store, rest))
        else {
            return Step::Outside;
        };
        let Some((object, below)) = parts.split_first() else {
            return Step::Missing;
        };
        let object = String::from_utf8_lossy(object).into_owned();
        for end in 0..=below.len() {
            let (head, rest) = below.split_at(end);
            match self.entry(&object, head) {
                None => return Step::Missing,
                Some(Node::Link(target)) => {
                    let mut base = format!("{STORE_DIR}/{object}").into_bytes();
                    for part in head {
                        base.push(b'/');
                        base.extend_from_slice(part);
                    }
                    let mut next = if target.starts_with(b"/") {
                        target
                    } else {
                        let parent = base.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                        base.truncate(parent + 1);
                        base.extend_from_slice(&target);
                        base
                    };
                    for part in rest {
                        next.push(b'/');
                        next.extend_from_slice(part);
                    }
                    return Step::Link(next);
                }
                Some(Node::Directory) => {}
                Some(Node::File) if rest.is_empty() => {}
                Some(Node::File) => return Step::Missing,
            }
        }
        Step::Found
    }

    fn entry(&self, object: &str, below: &[&[u8]]) -> Option<Node> {
        if let Some((_, listing)) = self.own.iter().find(|(name, _)| name == object) {
            return listing
                .entries
                .get(&below.join(&b'/'))
                .map(|entry| match entry {
                    Entry::Directory => Node::Directory,
                    Entry::File { .. } => Node::File,
                    Entry::Symlink { target } => Node::Link(target.clone()),
                });
        }
        let mut real = self.inputs.get(object)?.clone();
        real.extend(below.iter().map(|part| std::ffi::OsStr::from_bytes(part)));
        // A valid object does not change, and no part before the last is a link: those were looked at before.
        let metadata = fs::symlink_metadata(&real).ok()?;
        if metadata.is_symlink() {
            return fs::read_link(&real)
                .ok()
                .map(|target| Node::Link(target.into_os_string().into_vec()));
        }
        Some(if metadata.is_dir() {
            Node::Directory
        } else {
            Node::File
        })
    }
}

enum Step {
    Found,
    Missing,
    Outside,
    Link(Vec<u8>),
}

enum Node {
    Directory,
    File,
    Link(Vec<u8>),
}

/// The parts of an absolute path without `.` and with `..` applied as written; `None` for a relative path.
fn normalise(path: &[u8]) -> Option<Vec<&[u8]>> {
    let path = path.strip_prefix(b"/")?;
    let mut parts = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    fn store_path(letter: &str, name: &str) -> StorePath {
        StorePath::new(letter.repeat(40).parse().unwrap(), name.parse().unwrap())
    }

    #[test]
    fn links_are_followed_within_the_store_and_never_into_the_machine() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("input");
        fs::create_dir_all(input.join("lib")).unwrap();
        fs::write(input.join("lib/libz.so.1"), "").unwrap();
        symlink("libz.so.1", input.join("lib/libz.so")).unwrap();
        symlink("/etc", input.join("etc")).unwrap();
        symlink("loop", input.join("loop")).unwrap();
        let out = directory.path().join("out");
        fs::create_dir(&out).unwrap();
        let (own, other) = (store_path("0", "own"), store_path("1", "input"));
        symlink(format!("{}/lib", other.to_logical()), out.join("lib64")).unwrap();
        let listing = Listing::load(File::open(directory.path()).unwrap().as_fd(), c"out").unwrap();
        let space = Space::new([(own.clone(), &listing)], [(other.clone(), input)]);
        let find = |path: &StorePath, below: &str| {
            space.find(format!("{}{below}", path.to_logical()).as_bytes())
        };
        assert_eq!(find(&own, "/lib64/libz.so"), Found::Yes);
        assert_eq!(find(&other, "/lib/../lib/libz.so"), Found::Yes);
        assert_eq!(find(&other, "/lib/libz.so.1/x"), Found::No);
        assert_eq!(find(&other, "/etc/passwd"), Found::Outside);
        assert_eq!(find(&other, "/loop"), Found::No);
        assert_eq!(find(&store_path("2", "else"), ""), Found::No);
        assert_eq!(space.find(b"/usr/bin/sh"), Found::Outside);
        assert_eq!(space.find(b"lib"), Found::Outside);
        assert!(space.is_inside(format!("{}/nowhere", own.to_logical()).as_bytes()));
        assert!(!space.is_inside(format!("{}/../../x", own.to_logical()).as_bytes()));
    }
}
