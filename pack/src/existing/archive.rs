//! What is where in an archive.
//!
//! Whoever unpacks an archive cleans the names of its members, follows links, and keeps the last of those that have one name. So names are cleaned here too, and
//! whatever makes one archive two different ones for two readers is a problem: it may hide an image behind one that is signed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom, Take},
    path::Path,
};

use super::SourceError;
use crate::layer::{Dialect, Member, TarReader};

/// Links to links that are followed.
const MAX_LINKS: usize = 8;

/// An archive, of which nothing is read but where its members are.
#[derive(Debug)]
pub(crate) struct ArchiveIndex {
    members: BTreeMap<String, Place>,
    /// Symbolic and hard links, to the whole names of what they lead to.
    links: BTreeMap<String, String>,
    /// What may be another file for another reader: names, and what is wrong with them.
    pub(crate) problems: Vec<(String, &'static str)>,
}

/// Where the contents of a member are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) size_bytes: u64,
}

impl Place {
    /// Opens what is there.
    pub(crate) fn open(self, path: &Path) -> io::Result<Take<File>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        Ok(file.take(self.size_bytes))
    }
}

impl ArchiveIndex {
    /// Reads the headers of an archive.
    pub(crate) fn read(path: &Path) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|source| SourceError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let error = |source| SourceError::Archive {
            path: path.to_path_buf(),
            source,
        };
        let mut reader = TarReader::of(BufReader::with_capacity(1 << 16, file), Dialect::Any);
        let mut index = Self {
            members: BTreeMap::new(),
            links: BTreeMap::new(),
            problems: Vec::new(),
        };
        let mut names = Names::default();
        while let Some(member) = reader.seek_member().map_err(error)? {
            index.add(&member, &mut names);
        }
        reader.finish().map_err(error)?;
        index.judge(&names);
        Ok(index)
    }

    fn add(&mut self, member: &Member, names: &mut Names) {
        let written = String::from_utf8_lossy(&member.path).into_owned();
        let Some(name) = resolve("", &written) else {
            self.problems.push((written, "leads out of the archive"));
            return;
        };
        // Tar before POSIX had no other sign of a directory.
        let is_directory = member.flag == b'5' || (member.flag == b'0' && written.ends_with('/'));
        if (is_directory || matches!(member.flag, b'1'..=b'6')) && member.size_bytes > 0 {
            // Some skip them, and some look for the next member there.
            self.problems
                .push((name.clone(), "has contents although it is no file"));
        }
        if is_directory {
            names.directories.insert(name);
            return;
        }
        if !names.others.insert(name.clone()) {
            let problem = "is in the archive more than once";
            self.problems.push((name.clone(), problem));
        }
        match member.flag {
            // POSIX: who knows no contiguous files takes them for others.
            b'0' | b'7' => {
                let place = Place {
                    offset: member.offset,
                    size_bytes: member.size_bytes,
                };
                self.members.insert(name, place);
            }
            b'1' | b'2' => {
                let target = String::from_utf8_lossy(&member.target).into_owned();
                let directory = name.rsplit_once('/').map_or("", |(above, _)| above);
                let target = match member.flag {
                    b'2' if target.starts_with('/') => None,
                    b'2' => resolve(directory, &target),
                    _ => resolve("", &target),
                };
                match target {
                    Some(target) => drop(self.links.insert(name, target)),
                    None => self.problems.push((name, "leads out of the archive")),
                }
            }
            _ => {
                let problem = "is neither a file nor a link nor a directory";
                self.problems.push((name, problem));
            }
        }
    }

    /// Looks at what only the whole archive tells.
    fn judge(&mut self, names: &Names) {
        for name in names.others.union(&names.directories) {
            let mut above = name.match_indices('/').map(|(end, _)| &name[..end]);
            if above.any(|above| names.others.contains(above)) {
                let problem = "lies below what is no directory";
                self.problems.push((name.clone(), problem));
            }
            if names.others.contains(name) && names.directories.contains(name) {
                let problem = "is in the archive as a directory too";
                self.problems.push((name.clone(), problem));
            }
        }
        for name in self.links.keys() {
            if self.find(name).is_none() {
                let problem = "leads to no file of the archive";
                self.problems.push((name.clone(), problem));
            }
        }
    }

    /// Returns where a member is; links are followed.
    pub(crate) fn find(&self, name: &str) -> Option<Place> {
        let name = resolve("", name)?;
        let mut name = &name;
        for _ in 0..MAX_LINKS {
            if let Some(place) = self.members.get(name) {
                return Some(*place);
            }
            name = self.links.get(name)?;
        }
        None
    }

    /// Gives what is at a place another name.
    pub(crate) fn alias(&mut self, name: String, place: Place) {
        self.members.insert(name, place);
    }
}

/// Names of members, cleaned.
#[derive(Default)]
struct Names {
    directories: BTreeSet<String>,
    /// Files, links, and what no archive of an image has.
    others: BTreeSet<String>,
}

/// Returns where a link in `directory` leads, if that is in the archive: a name without `.`, `..` and empty parts.
fn resolve(directory: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_other_members_and_to_nothing_outside() {
        for (directory, target, expected) in [
            ("a", "../b/layer.tar", Some("b/layer.tar")),
            ("", "b", Some("b")),
            ("a/b", "./c", Some("a/b/c")),
            ("a", "../../etc", None),
        ] {
            assert_eq!(resolve(directory, target).as_deref(), expected, "{target}");
        }
    }

    /// Indexes an archive of members: name, type, and the target of a link.
    fn index(members: &[(&str, u8, &str)]) -> ArchiveIndex {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, flag, target) in members {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::new(*flag));
            header.set_size(0);
            let bytes = header.as_mut_bytes();
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            bytes[157..157 + target.len()].copy_from_slice(target.as_bytes());
            header.set_cksum();
            builder.append(&header, &[][..]).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        ArchiveIndex::read(&path).unwrap()
    }

    #[test]
    fn what_may_be_another_file_for_another_reader_is_a_problem() {
        let list = ("manifest.json", b'0', "");
        let twice = "is in the archive more than once";
        for (members, expected) in [
            (vec![list, ("a", b'0', "")], None),
            (vec![list, ("./b", b'2', "a"), ("a", b'0', "")], None),
            (
                vec![("a/", b'5', ""), ("./a/", b'5', ""), ("a/b", b'0', "")],
                None,
            ),
            (
                vec![list, ("manifest.json", b'0', "")],
                Some(("manifest.json", twice)),
            ),
            (
                vec![list, ("././manifest.json", b'0', "")],
                Some(("manifest.json", twice)),
            ),
            (
                vec![list, ("/manifest.json", b'7', "")],
                Some(("manifest.json", twice)),
            ),
            (
                vec![list, ("x/../manifest.json", b'0', "")],
                Some(("manifest.json", twice)),
            ),
            (
                vec![list, ("e", b'0', ""), ("manifest.json", b'2', "e")],
                Some(("manifest.json", twice)),
            ),
            (
                vec![("e", b'0', ""), ("manifest.json", b'1', "e"), list],
                Some(("manifest.json", twice)),
            ),
            (
                vec![list, ("../manifest.json", b'0', "")],
                Some(("../manifest.json", "leads out of the archive")),
            ),
            (
                vec![list, ("a", b'2', "../a")],
                Some(("a", "leads out of the archive")),
            ),
            (
                vec![list, ("a", b'2', "/etc/passwd")],
                Some(("a", "leads out of the archive")),
            ),
            (
                vec![list, ("a", b'2', "b")],
                Some(("a", "leads to no file of the archive")),
            ),
            (
                vec![list, ("a", b'0', ""), ("a/b", b'0', "")],
                Some(("a/b", "lies below what is no directory")),
            ),
            (
                vec![list, ("a/", b'5', ""), ("a", b'0', "")],
                Some(("a", "is in the archive as a directory too")),
            ),
            (
                vec![list, ("a", b'6', "")],
                Some(("a", "is neither a file nor a link nor a directory")),
            ),
        ] {
            let expected = expected.map(|(name, problem)| (name.to_owned(), problem));
            assert_eq!(
                index(&members).problems,
                Vec::from_iter(expected),
                "{members:?}"
            );
        }
        // Through a link to a directory, to any name at all.
        let found = index(&[list, ("d", b'2', "."), ("d/manifest.json", b'0', "")]).problems;
        assert!(found.contains(&(
            "d/manifest.json".to_owned(),
            "lies below what is no directory"
        )));
    }

    #[test]
    fn contents_that_one_reader_skips_and_another_looks_at_are_a_problem() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        for name in ["a", "a/"] {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            let flag = if name == "a" { b'2' } else { b'5' };
            header.set_entry_type(tar::EntryType::new(flag));
            header.set_path(name).unwrap();
            header.set_link_name(".").unwrap();
            header.set_size(512);
            header.set_cksum();
            builder.append(&header, &[1; 512][..]).unwrap();
            std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
            let found = ArchiveIndex::read(&path).unwrap().problems;
            let problem = "has contents although it is no file";
            assert!(found.contains(&("a".to_owned(), problem)), "{found:?}");
        }
    }
}
