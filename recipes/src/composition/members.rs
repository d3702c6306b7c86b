//! What lies where, over all members, and who has it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::compose::MemberObject;
use super::{CompositionError, at};
use crate::debian::stanzas;

/// What lies at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { executable: bool },
    Symlink { target: String },
}

/// One place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The number of the member, the first one of a directory.
    pub(super) owner: usize,
    pub(super) kind: Kind,
    /// Where it lies on this disk.
    pub(super) real: PathBuf,
}

/// All members, over each other.
#[derive(Debug, Default)]
pub(super) struct Union {
    /// By place, `usr/bin/x`; a directory before what is in it.
    pub(super) places: BTreeMap<String, Placed>,
    /// Name and control file of each member.
    pub(super) packages: Vec<Package>,
    /// The directories of each member, a directory before what is in it.
    pub(super) directories: Vec<Vec<String>>,
}

/// What a member says about itself.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) control: String,
    pub(super) postinst: String,
}

impl Union {
    /// Reads members, in their order. Reads directories and the small files of `control/`.
    pub(super) fn read(members: &[MemberObject]) -> Result<Self, CompositionError> {
        let mut union = Self::default();
        for (number, member) in members.iter().enumerate() {
            union.packages.push(package(member)?);
            union.directories.push(Vec::new());
            let root = member.real.join("root");
            if !root.is_dir() {
                return Err(missing(member, "root"));
            }
            union.walk(number, &root, "", members)?;
        }
        Ok(union)
    }

    fn walk(
        &mut self,
        owner: usize,
        directory: &Path,
        place: &str,
        members: &[MemberObject],
    ) -> Result<(), CompositionError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(at(directory))? {
            entries.push(entry.map_err(at(directory))?.path());
        }
        entries.sort();
        for real in entries {
            let name = real
                .file_name()
                .and_then(|name| name.to_str())
                .ok_or_else(|| CompositionError::Kind { path: real.clone() })?;
            let place = if place.is_empty() {
                name.to_owned()
            } else {
                format!("{place}/{name}")
            };
            let kind = kind(&real)?;
            let is_directory = kind == Kind::Directory;
            self.add(
                &place,
                Placed {
                    owner,
                    kind,
                    real: real.clone(),
                },
                members,
            )?;
            if is_directory {
                if let Some(own) = self.directories.last_mut() {
                    own.push(place.clone());
                }
                self.walk(owner, &real, &place, members)?;
            }
        }
        Ok(())
    }

    /// Only directories may be there twice, as for dpkg; a layer of an image cannot even have equal links twice.
    fn add(
        &mut self,
        place: &str,
        placed: Placed,
        members: &[MemberObject],
    ) -> Result<(), CompositionError> {
        let Some(known) = self.places.get(place) else {
            self.places.insert(place.to_owned(), placed);
            return Ok(());
        };
        if known.kind == Kind::Directory && placed.kind == Kind::Directory {
            return Ok(());
        }
        let name = |owner: usize| {
            members
                .get(owner)
                .map_or_else(String::new, |member| member.name.clone())
        };
        Err(CompositionError::Conflict {
            path: place.to_owned(),
            first: name(known.owner),
            second: name(placed.owner),
        })
    }

    pub(super) fn has(&self, place: &str) -> bool {
        self.places.contains_key(place)
    }

    /// Returns whether a place is a file, or a link, that could be run or read.
    pub(super) fn is_program(&self, place: &str) -> bool {
        self.places
            .get(place)
            .is_some_and(|placed| match placed.kind {
                Kind::File { executable } => executable,
                Kind::Symlink { .. } => true,
                Kind::Directory => false,
            })
    }

    /// Returns the text of a file of the members.
    pub(super) fn read_text(&self, place: &str) -> Result<String, CompositionError> {
        match self.places.get(place) {
            Some(placed) => fs::read_to_string(&placed.real).map_err(at(&placed.real)),
            None => Ok(String::new()),
        }
    }

    /// Returns the directories in which nothing lies, below `top`.
    pub(super) fn empty_directories(&self, top: &str) -> Vec<String> {
        let prefix = format!("{top}/");
        let below = self
            .places
            .range(prefix.clone()..)
            .take_while(|(place, _)| place.starts_with(&prefix));
        below
            .filter(|(place, placed)| {
                let inside = format!("{place}/");
                let next = self.places.range(inside.clone()..).next();
                placed.kind == Kind::Directory
                    && next.is_none_or(|(next, _)| !next.starts_with(&inside))
            })
            .map(|(place, _)| place.clone())
            .collect()
    }
}

fn kind(real: &Path) -> Result<Kind, CompositionError> {
    let metadata = fs::symlink_metadata(real).map_err(at(real))?;
    if metadata.is_dir() {
        return Ok(Kind::Directory);
    }
    if metadata.is_file() {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        return Ok(Kind::File { executable });
    }
    let wrong = || CompositionError::Kind {
        path: real.to_owned(),
    };
    if !metadata.is_symlink() {
        return Err(wrong());
    }
    let target = fs::read_link(real).map_err(at(real))?;
    Ok(Kind::Symlink {
        target: target.to_str().ok_or_else(wrong)?.to_owned(),
    })
}

fn package(member: &MemberObject) -> Result<Package, CompositionError> {
    let control = fs::read_to_string(member.real.join("control/control"))
        .map_err(|_| missing(member, "control/control"))?;
    let name = stanzas(&control)
        .next()
        .and_then(|stanza| stanza.field("Package").map(str::to_owned));
    let name = name.ok_or_else(|| missing(member, "control/control"))?;
    let script = member.real.join("control/postinst");
    // Some are programs rather than texts; they say nothing that could be read.
    let postinst = fs::read(&script)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(Package {
        name,
        control,
        postinst: postinst.unwrap_or_default(),
    })
}

fn missing(member: &MemberObject, missing: &'static str) -> CompositionError {
    CompositionError::NoMember {
        member: member.name.clone(),
        missing,
    }
}
