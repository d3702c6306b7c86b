//! Members to a set, or to one tree.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CompositionError;
use super::accounts::{Account, Group, assign};
use super::defaults::{Service, fill, fill_pairs, find};
use super::glue::{Glue, writable};
use super::members::Union;
use super::scripts::ScriptFacts;
use super::write::{write_set, write_tree};

/// One unpacked package.
#[derive(Clone, Debug)]
pub(crate) struct MemberObject {
    /// How messages call it.
    pub(crate) name: String,
    /// Its store path, `/pith/store/…`.
    pub(crate) logical: String,
    /// Where it lies on this disk.
    pub(crate) real: PathBuf,
}

/// What is made of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object that names them.
    Set,
    /// One tree with all of their files.
    Tree,
}

/// What is composed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Composition<'a> {
    /// The packages, sorted by name.
    pub(crate) members: &'a [MemberObject],
    /// The packages that were asked for; the first one is what runs.
    pub(crate) requested: &'a [String],
    /// The codename of the Debian that they are from.
    pub(crate) release: &'a str,
    /// What is made.
    pub(crate) shape: Shape,
}

/// A member in `root.json`.
#[derive(Debug, Serialize)]
struct Member {
    directories: Vec<String>,
    path: String,
}

/// `root.json`.
#[derive(Debug, Serialize)]
pub(super) struct RootFile {
    cmd: Vec<String>,
    directories: Vec<String>,
    entrypoint: Vec<String>,
    env: BTreeMap<String, String>,
    groups: Vec<Group>,
    members: Vec<Member>,
    ports: Vec<String>,
    stop_signal: Option<String>,
    user: Option<String>,
    users: Vec<Account>,
    version: u32,
    writable: Vec<String>,
}

impl RootFile {
    pub(super) fn users(&self) -> &[Account] {
        &self.users
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }
}

impl Composition<'_> {
    /// Makes the object in the empty directory `out`.
    pub(crate) fn write(&self, out: &Path) -> Result<(), CompositionError> {
        let union = Union::read(self.members)?;
        let mut facts = ScriptFacts::default();
        for package in &union.packages {
            facts.read(&package.postinst);
        }
        let service = self.requested.first().and_then(|name| find(name));
        let mut glue = Glue::new(&union);
        if let Some((service, number)) = &service {
            facts.users.extend(fill_pairs(service.users, number));
            facts.directories.extend(fill(service.directories, number));
            for (link, target) in fill_pairs(service.links, number) {
                // Devices are not packaged, so these lead nowhere yet.
                glue.link(&link, &target);
            }
        }
        glue.add_top();
        glue.add_alternatives(&facts.alternatives);
        glue.add_links(&facts.links);
        glue.add_certificates()?;
        glue.add_release(self.release);
        glue.add_status();
        let mut file = self.root_file(&union, &glue, &facts, service);
        for directory in &file.writable {
            glue.directory(directory);
        }
        file.directories = glue.directories();
        match self.shape {
            Shape::Set => write_set(out, &file, &glue.added),
            Shape::Tree => write_tree(out, &file, &union, &glue.added),
        }
    }

    fn root_file(
        &self,
        union: &Union,
        glue: &Glue<'_>,
        facts: &ScriptFacts,
        service: Option<(&Service, String)>,
    ) -> RootFile {
        let (users, groups) = assign(&facts.users, &facts.groups);
        let mut file = RootFile {
            cmd: Vec::new(),
            directories: Vec::new(),
            entrypoint: Vec::new(),
            env: BTreeMap::new(),
            groups,
            members: self.list_members(union),
            ports: Vec::new(),
            stop_signal: None,
            user: None,
            users,
            version: 1,
            writable: writable(union, facts).into_iter().collect(),
        };
        match service {
            Some((service, number)) => {
                file.entrypoint = fill(service.entrypoint, &number);
                file.cmd = fill(service.cmd, &number);
                file.env = fill_pairs(service.env, &number);
                file.ports = fill(service.ports, &number);
                file.user = service.user.map(str::to_owned);
                file.stop_signal = service.stop_signal.map(str::to_owned);
            }
            None => file.entrypoint.extend(self.main_program(union, glue)),
        }
        file
    }

    /// The members with the directories of each, of which several may have the same.
    fn list_members(&self, union: &Union) -> Vec<Member> {
        let directories = union.directories.iter().cloned();
        let members = self.members.iter().zip(directories);
        members
            .map(|(member, directories)| Member {
                directories,
                path: member.logical.clone(),
            })
            .collect()
    }

    /// The program that is called as the first package is, with or without its version; else the only one that the
    /// package has.
    fn main_program(&self, union: &Union, glue: &Glue<'_>) -> Option<String> {
        let name = self.requested.first()?;
        let short = name
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
            .trim_end_matches('-');
        let named = [name.as_str(), short].into_iter().flat_map(|name| {
            ["usr/bin", "usr/sbin", "usr/games"].map(|directory| format!("{directory}/{name}"))
        });
        let mut named =
            named.filter(|place| union.is_program(place) || glue.leads_somewhere(place));
        if let Some(place) = named.next() {
            return Some(format!("/{place}"));
        }
        let number = union
            .packages
            .iter()
            .position(|package| package.name == *name)?;
        let own = union.places.iter().filter(|(place, placed)| {
            let directory = place.rsplit_once('/').map(|(directory, _)| directory);
            placed.owner == number
                && matches!(directory, Some("usr/bin" | "usr/sbin" | "usr/games"))
                && union.is_program(place)
        });
        let own: Vec<&String> = own.map(|(place, _)| place).collect();
        match own.as_slice() {
            [only] => Some(format!("/{only}")),
            _ => None,
        }
    }
}
