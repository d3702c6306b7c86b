//! Objects that want to lie at the root of an image: packages of a distribution, put together.
//!
//! Format: `ROOT.md` of the crate that composes them. What counts here is that the object has a file `root.json`, which
//! names further objects, and that `root/` of each lies at `/`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use store::StorePath;

use super::{RootFsError, RootPath, User};

/// The file by which a set is known.
const FILE: &str = "root.json";
/// The only version of it.
const VERSION: u32 = 1;
/// What lies at the root of the image, in a set and in each of its members.
pub(crate) const ROOT_DIRECTORY: &str = "root";

/// A system user of a set, with a group of the same name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SetUser {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
    /// The home directory.
    pub home: String,
}

/// A further group of a set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SetGroup {
    /// The name.
    pub name: String,
    /// The number.
    pub gid: u32,
}

/// An object whose `root/` lies at `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct SetMember {
    path: String,
    directories: Vec<String>,
}

/// What a set says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RootSet {
    version: u32,
    members: Vec<SetMember>,
    /// The directories of the set itself, each before what is in it.
    pub directories: Vec<String>,
    /// System users.
    pub users: Vec<SetUser>,
    /// Further groups.
    pub groups: Vec<SetGroup>,
    /// Directories that programs write to.
    pub writable: Vec<String>,
    /// The program and its fixed arguments.
    pub entrypoint: Vec<String>,
    /// Arguments that a user replaces.
    pub cmd: Vec<String>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Who the program is, by name.
    pub user: Option<String>,
    /// Ports that the program listens on.
    pub ports: Vec<String>,
    /// The signal that ends it.
    pub stop_signal: Option<String>,
}

impl RootSet {
    /// Reads the set that lies at `real`; `None` where the object is something else.
    pub fn load(real: &Path) -> Result<Option<Self>, RootFsError> {
        let path = real.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(source) => return Err(RootFsError::Read { path, source }),
        };
        let damaged = |problem: String| RootFsError::Set {
            path: path.clone(),
            problem,
        };
        let set: Self =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if set.version != VERSION {
            return Err(damaged(format!(
                "it has version {}, not {VERSION}",
                set.version
            )));
        }
        for path in &set.writable {
            RootPath::parse(path)?;
        }
        let members = set.members()?;
        let of_members = members.iter().flat_map(|(_, directories)| *directories);
        for path in of_members.chain(&set.directories) {
            RootPath::parse(&format!("/{path}"))?;
        }
        Ok(Some(set))
    }

    /// Returns the store paths of the members, in their order, with the directories of each.
    pub fn members(&self) -> Result<Vec<(StorePath, &[String])>, RootFsError> {
        let parse = |member: &SetMember| {
            let name = member.path.rsplit('/').next().unwrap_or_default();
            name.parse().map_err(|_| RootFsError::Set {
                path: FILE.into(),
                problem: format!("`{}` is no store path", member.path.escape_debug()),
            })
        };
        let pair = |member| Ok((parse(member)?, member.directories.as_slice()));
        self.members.iter().map(pair).collect()
    }

    /// Returns who the program is, if the set says so.
    pub fn user(&self) -> Option<User> {
        let name = self.user.as_deref()?;
        match self.users.iter().find(|user| user.name == name) {
            Some(user) => Some(User::system(&user.name, user.uid, user.gid)),
            None => name.parse().ok(),
        }
    }
}

/// The links at the top of a system with merged `/usr`, behind which nothing may be put by another name.
const MERGED: [&str; 5] = ["bin", "sbin", "lib", "lib32", "lib64"];

/// Returns where a path of an image lies when there is a set: `/bin/x` is `/usr/bin/x`.
pub(crate) fn merged(path: &str) -> String {
    let inner = path.trim_start_matches('/');
    let first = inner.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) && inner.len() > first.len() {
        format!("/usr/{inner}")
    } else {
        path.to_owned()
    }
}
