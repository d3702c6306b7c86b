//! What lies where in an image that is not made yet.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File},
    io::{Cursor, Read, Seek},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::PermissionsExt as _,
    },
    path::{Component, Path, PathBuf},
};

use store::STORE_DIR;

use super::StartError;
use crate::{
    base::{BaseEntry, BaseTree},
    layer::{ObjectPlace, Patched, StoredObject},
    rootfs::{ROOT_DIRECTORY, RootEntry, RootPath, RootTree},
};

/// How many links Linux follows on one way (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// The generated entries and the objects of an image as one tree.
pub(crate) struct View<'a> {
    root: &'a RootTree,
    /// By the last name of the store path.
    stored: BTreeMap<String, &'a StoredObject>,
    /// The directories of the objects at the root, relative to it, each with the objects that have it.
    at_root: BTreeMap<&'a str, Vec<&'a StoredObject>>,
    /// What lies below all that.
    base: Option<&'a BaseTree>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum Thing<'a> {
    Directory,
    Link(PathBuf),
    File { bytes: Bytes<'a>, executable: bool },
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub(super) enum Bytes<'a> {
    Disk(PathBuf),
    /// On this disk, with other digests.
    Changed(PathBuf, &'a StoredObject),
    Memory(&'a [u8]),
    /// In a layer of the base: what a file there needs, the base has or has not.
    Base,
}

/// What can be read and sought in.
pub(super) trait Readable: Read + Seek {}

impl<T: Read + Seek> Readable for T {}

impl<'a> Bytes<'a> {
    pub(super) fn open(&self) -> Result<Box<dyn Readable + 'a>, StartError> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(Cursor::new(*bytes))),
            Self::Base => Ok(Box::new(Cursor::new(&[][..]))),
            Self::Disk(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(source) => Err(self.error(source)),
            },
            Self::Changed(path, object) => {
                let patches = object.patches_of(path).map_err(Box::new)?;
                match File::open(path) {
                    Ok(file) => Ok(Box::new(Patched::new(file, patches))),
                    Err(source) => Err(self.error(source)),
                }
            }
        }
    }

    pub(super) fn error(&self, source: std::io::Error) -> StartError {
        let path = match self {
            Self::Memory(_) | Self::Base => PathBuf::new(),
            Self::Disk(path) | Self::Changed(path, _) => path.clone(),
        };
        StartError::Read { path, source }
    }
}

impl<'a> View<'a> {
    pub(crate) fn new(
        root: &'a RootTree,
        objects: impl Iterator<Item = &'a StoredObject>,
        base: Option<&'a BaseTree>,
    ) -> Self {
        let mut view = Self {
            root,
            stored: BTreeMap::new(),
            at_root: BTreeMap::new(),
            base,
        };
        for object in objects {
            match &object.place {
                ObjectPlace::Store => {
                    view.stored.insert(object.in_image().to_string(), object);
                }
                ObjectPlace::Root { directories } => {
                    let names = directories.iter().map(String::as_str);
                    for name in names.chain([""]) {
                        view.at_root.entry(name).or_default().push(object);
                    }
                }
            }
        }
        view
    }

    /// Follows the links of `path`, which is absolute, and returns where it leads and what is there; `None` where that is nothing.
    pub(super) fn resolve(&self, path: &Path) -> Option<(PathBuf, Thing<'a>)> {
        let mut names = names_of(path);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = names.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(name);
            match self.look(&next)? {
                Thing::Directory => at = next,
                Thing::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        at = PathBuf::from("/");
                    }
                    names.extend(names_of(&target));
                }
                file @ Thing::File { .. } => return names.is_empty().then_some((next, file)),
            }
        }
        Some((at, Thing::Directory))
    }

    /// What is at a path none of whose directories is a link.
    fn look(&self, path: &Path) -> Option<Thing<'a>> {
        if Path::new(STORE_DIR).starts_with(path) {
            return Some(Thing::Directory);
        }
        if let Ok(inner) = path.strip_prefix(STORE_DIR) {
            let mut names = inner.components();
            let object = names.next()?.as_os_str().to_str()?;
            let Some(object) = self.stored.get(object).copied() else {
                return self.in_base(path);
            };
            let real = &object.real;
            // With nothing to join, a path would get a slash at its end, and a link would be followed.
            return match names.as_path() {
                rest if rest.as_os_str().is_empty() => on_disk(real.clone(), object),
                rest => on_disk(real.join(rest), object),
            };
        }
        let text = path.to_str()?;
        if let Some(entry) = RootPath::parse(text)
            .ok()
            .and_then(|path| self.root.get(&path))
        {
            return Some(generated(entry));
        }
        let inner = text.strip_prefix('/')?;
        let parent = inner.rsplit_once('/').map_or("", |(parent, _)| parent);
        let objects = self.at_root.get(parent).into_iter().flatten();
        let mut found =
            objects.map(|object| on_disk(object.real.join(ROOT_DIRECTORY).join(inner), object));
        let found = found.find_map(|found| found);
        found.or_else(|| self.in_base(path))
    }

    /// What the base has at a path.
    fn in_base(&self, path: &Path) -> Option<Thing<'a>> {
        let inner = path.strip_prefix("/").ok()?;
        Some(of_base(self.base?.get(inner.as_os_str().as_bytes())?))
    }
}

fn generated(entry: &RootEntry) -> Thing<'_> {
    match entry {
        RootEntry::Directory { .. } => Thing::Directory,
        RootEntry::Symlink { target } => {
            Thing::Link(PathBuf::from(OsString::from_vec(target.clone())))
        }
        RootEntry::File { contents, mode } => Thing::File {
            bytes: Bytes::Memory(contents),
            executable: is_executable(*mode),
        },
    }
}

fn of_base<'a>(entry: BaseEntry<'_>) -> Thing<'a> {
    match entry {
        BaseEntry::Directory { .. } => Thing::Directory,
        BaseEntry::Symlink { target } => {
            Thing::Link(PathBuf::from(OsString::from_vec(target.into_owned())))
        }
        BaseEntry::File { executable } => Thing::File {
            bytes: Bytes::Base,
            executable,
        },
    }
}

fn on_disk(real: PathBuf, object: &StoredObject) -> Option<Thing<'_>> {
    let found = fs::symlink_metadata(&real).ok()?;
    if found.is_symlink() {
        let target = fs::read_link(&real).ok()?.into_os_string().into_vec();
        // What cannot be replaced fails when the link is written.
        let target = object.target_in_image(&real, &target).ok()?.into_owned();
        return Some(Thing::Link(OsString::from_vec(target).into()));
    }
    if found.is_dir() {
        return Some(Thing::Directory);
    }
    Some(Thing::File {
        executable: is_executable(found.permissions().mode()),
        bytes: match object.slot {
            Some(_) => Bytes::Changed(real, object),
            None => Bytes::Disk(real),
        },
    })
}

const fn is_executable(mode: u32) -> bool {
    mode & 0o111 != 0
}

/// The names of a path, the last one first.
fn names_of(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}
