//! The files of objects, as they lie in the local store.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use super::PushError;
use crate::{
    BlobId, FileError, LocalStore, Node, PathInfo,
    cache::pack::{BlobSource, PackError},
    sys::files::{at, join, open_directory, open_directory_at, open_file_at, os},
    tree::{TreeBundle, printable},
};

/// An object that is to be read.
#[derive(Debug)]
pub(super) struct Material<'a> {
    pub(super) info: &'a PathInfo,
    pub(super) trees: TreeBundle,
}

/// A file that is to be read.
#[derive(Debug)]
pub(super) struct WantedFile {
    /// The number of its object.
    object: usize,
    /// The directory that it lies in, relative to the object; empty for the object's root.
    directory: Vec<u8>,
    /// Its name there; empty where the object is a file.
    name: Vec<u8>,
    blob: BlobId,
    size: u64,
}

impl<'a> Material<'a> {
    /// Loads what an object is made of from its record.
    pub(super) fn load(store: &LocalStore, info: &'a PathInfo) -> Result<Self, PushError> {
        match store.load_contents(info) {
            Some(contents) => Ok(Self {
                info,
                trees: contents.bundle,
            }),
            None => Err(PushError::Unrecorded {
                path: info.path.clone(),
            }),
        }
    }

    /// Calls `tell` with each file: directory, name, blob, size. In tree order.
    fn visit(&self, mut tell: impl FnMut(&[u8], &[u8], BlobId, u64)) {
        if let Node::File { blob, size, .. } = self.info.root {
            tell(b"", b"", blob, size);
        }
        for (directory, tree) in &self.trees.trees {
            for entry in tree.entries() {
                if let Node::File { blob, size, .. } = entry.node {
                    tell(directory, entry.name.as_bytes(), blob, size);
                }
            }
        }
    }

    /// Returns the blobs of the object with their sizes.
    pub(super) fn blobs(&self) -> Vec<(BlobId, u64)> {
        let mut blobs = Vec::new();
        self.visit(|_, _, blob, size| {
            if size > 0 {
                blobs.push((blob, size));
            }
        });
        blobs
    }
}

/// Lists the files of objects whose blobs `is_wanted`, in tree order, each blob once.
pub(super) fn wanted_files(
    objects: &[Material<'_>],
    is_wanted: impl Fn(&BlobId) -> bool,
) -> Vec<WantedFile> {
    let mut seen = BTreeMap::new();
    let mut files = Vec::new();
    for (object, material) in objects.iter().enumerate() {
        material.visit(|directory, name, blob, size| {
            if size > 0 && is_wanted(&blob) && seen.insert(blob, ()).is_none() {
                files.push(WantedFile {
                    object,
                    directory: directory.to_vec(),
                    name: name.to_vec(),
                    blob,
                    size,
                });
            }
        });
    }
    files
}

/// Opens files one after another, each when it is asked for.
pub(super) struct BlobReader<'a> {
    store: &'a LocalStore,
    objects: &'a [Material<'a>],
    files: std::slice::Iter<'a, WantedFile>,
    /// The directory of the file before, which is that of most files.
    open: Option<(usize, &'a [u8], OwnedFd)>,
    read: &'a dyn Fn(u64),
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(
        store: &'a LocalStore,
        objects: &'a [Material<'a>],
        files: &'a [WantedFile],
        read: &'a dyn Fn(u64),
    ) -> Self {
        Self {
            store,
            objects,
            files: files.iter(),
            open: None,
            read,
        }
    }

    fn open(&mut self, file: &'a WantedFile) -> Result<File, FileError> {
        let Some(material) = self.objects.get(file.object) else {
            return Err(at("open", "an object")(io::Error::from(
                io::ErrorKind::NotFound,
            )));
        };
        let path = self.store.real_path(&material.info.path);
        let object = material.info.path.to_string();
        if file.name.is_empty() {
            let parent = open_directory(&self.store.store_directory())?;
            return open_file_at(&parent, os(object.as_bytes())).map_err(at("open", path));
        }
        let directory = match self.open.take() {
            Some((number, name, directory))
                if number == file.object && name == file.directory.as_slice() =>
            {
                directory
            }
            // Name by name: the path may be longer than a system call takes.
            _ => {
                let mut directory = open_directory(&self.store.store_directory())?;
                let names = file.directory.split(|byte| *byte == b'/');
                for name in [object.as_bytes()].into_iter().chain(names) {
                    if !name.is_empty() {
                        directory = open_directory_at(&directory, os(name))
                            .map_err(at("open", path.join(os(&file.directory))))?;
                    }
                }
                directory
            }
        };
        let opened = open_file_at(directory.as_fd(), os(&file.name));
        self.open = Some((file.object, &file.directory, directory));
        opened.map_err(at(
            "open",
            path.join(os(&join(&file.directory, &file.name))),
        ))
    }
}

impl Iterator for BlobReader<'_> {
    type Item = io::Result<BlobSource<File>>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.files.next()?;
        (self.read)(file.size);
        Some(match self.open(file) {
            Ok(reader) => Ok(BlobSource {
                id: file.blob,
                size: file.size,
                reader,
            }),
            Err(error) => Err(io::Error::other(error)),
        })
    }
}

/// Names the object and the file that could not be packed.
pub(super) fn explain(
    error: PackError,
    objects: &[Material<'_>],
    files: &[WantedFile],
) -> PushError {
    let find = |blob: &BlobId| {
        let file = files.iter().find(|file| file.blob == *blob)?;
        let path = objects.get(file.object)?.info.path.clone();
        Some((path, printable(&join(&file.directory, &file.name))))
    };
    match error {
        PackError::Blob { blob } | PackError::Read { blob, .. } => match find(&blob) {
            Some((path, file)) => PushError::Damaged {
                path,
                file,
                source: Box::new(error),
            },
            None => PushError::Pack(error),
        },
        PackError::Open(error) => match error.downcast::<FileError>() {
            Ok(source) => unreadable(objects, source),
            Err(error) => PushError::Pack(PackError::Open(error)),
        },
        error => PushError::Pack(error),
    }
}

fn unreadable(objects: &[Material<'_>], source: FileError) -> PushError {
    let found = objects.iter().find(|material| {
        let name = material.info.path.to_string();
        source
            .path
            .components()
            .any(|part| *part.as_os_str() == *name)
    });
    match found.or(objects.first()) {
        Some(material) => PushError::Unreadable {
            path: material.info.path.clone(),
            source,
        },
        None => PushError::Pack(PackError::Open(io::Error::other(source))),
    }
}
