//! The root file system as a directory, made without any privilege.
//!
//! It has the modes and times of the image and belongs to the caller. An existing directory is left as it is when it is the same tree, as far as names,
//! types, modes, sizes, times and link targets tell, all of which the image fixes; any other directory with something in it is refused, because nothing
//! says that its contents may be deleted. Files are copied, by reflink where the file system can.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::AT_FDCWD,
    sys::{
        stat::{UtimensatFlags, utimensat},
        time::TimeSpec,
    },
    unistd::{Whence, lseek},
};

use super::{
    SinkError, Written,
    place::{NewDirectory, Place, look_at},
};
use crate::{
    Image,
    layer::{ObjectPlace, WalkKind, store_parents},
    rootfs::RootEntry,
};

/// The time of everything in an image.
const MTIME: TimeSpec = TimeSpec::new(1, 0);
/// The mode of the directories that no store object and no specification sets.
const DIRECTORY_MODE: u32 = 0o755;

/// What has to be at one path of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    Directory {
        mode: u32,
    },
    Generated {
        contents: &'a [u8],
        mode: u32,
    },
    Stored {
        real: PathBuf,
        size_bytes: u64,
        mode: u32,
    },
    Symlink {
        target: Vec<u8>,
    },
}

pub(super) fn write(image: &Image<'_>, path: &Path) -> Result<Written, SinkError> {
    put_tree(path, &wanted(image)?, "a root file system")
}

/// Makes the tree at `path`, or finds that it is there; `what` it is says the error about something else there.
pub(super) fn put_tree(
    path: &Path,
    wanted: &BTreeMap<Vec<u8>, Wanted<'_>>,
    what: &'static str,
) -> Result<Written, SinkError> {
    let written = |unchanged| Written {
        path: path.to_path_buf(),
        manifest_digest: None,
        encoded_bytes: 0,
        unchanged,
    };
    if look_at(path)? == Place::Directory {
        if is_same(path, wanted).map_err(SinkError::reading(path))? {
            return Ok(written(true));
        }
        return Err(SinkError::Occupied {
            path: path.to_path_buf(),
            found: "a directory with other things in it",
            wanted: what,
        });
    }
    let new = NewDirectory::beside(path)?;
    fill(new.path(), wanted)
        .map_err(|(file, source)| SinkError::writing(file)(source).moved(new.path(), path))?;
    new.finish()?;
    Ok(written(false))
}

/// Returns the whole tree by path, relative and without a slash at either end. A directory comes before what is in it.
pub(super) fn wanted<'a>(image: &'a Image<'_>) -> Result<BTreeMap<Vec<u8>, Wanted<'a>>, SinkError> {
    let mut wanted = BTreeMap::new();
    for (path, entry) in image.root.iter() {
        let entry = match entry {
            RootEntry::Directory { mode } => Wanted::Directory { mode: *mode },
            RootEntry::File { contents, mode } => Wanted::Generated {
                contents,
                mode: *mode,
            },
            RootEntry::Symlink { target } => Wanted::Symlink {
                target: target.clone(),
            },
        };
        wanted.insert(path.as_bytes().to_vec(), entry);
    }
    if image
        .objects
        .iter()
        .any(|object| object.place == ObjectPlace::Store)
    {
        for path in store_parents() {
            let mode = DIRECTORY_MODE;
            wanted.insert(path.into(), Wanted::Directory { mode });
        }
    }
    for object in &image.objects {
        object.walk(&mut |entry| {
            let mode = object.mode(&entry);
            let Some(path) = object.path_in_image(&entry.path).map(<[u8]>::to_vec) else {
                return Ok::<_, SinkError>(());
            };
            let kind = match entry.kind {
                WalkKind::Directory => Wanted::Directory { mode },
                WalkKind::Symlink { target } => Wanted::Symlink { target },
                WalkKind::File { size_bytes, .. } => Wanted::Stored {
                    real: entry.real,
                    size_bytes,
                    mode,
                },
            };
            // What was generated lies above what packages have.
            wanted.entry(path).or_insert(kind);
            Ok::<_, SinkError>(())
        })?;
    }
    Ok(wanted)
}

/// Makes the tree in an empty directory. An error comes with the file that it is about.
fn fill(root: &Path, wanted: &BTreeMap<Vec<u8>, Wanted<'_>>) -> Result<(), (PathBuf, io::Error)> {
    let place = |path: &[u8]| root.join(std::ffi::OsStr::from_bytes(path));
    for (path, entry) in wanted {
        let target = place(path);
        make(&target, entry).map_err(|source| (target, source))?;
    }
    // Directories last and from the inside out: they are not writable any more, and making an entry changes their time.
    let directories = wanted.iter().rev().filter_map(|(path, entry)| match entry {
        Wanted::Directory { mode } => Some((place(path), *mode)),
        _ => None,
    });
    for (target, mode) in directories.chain([(root.to_path_buf(), DIRECTORY_MODE)]) {
        fs::set_permissions(&target, Permissions::from_mode(mode))
            .and_then(|()| set_time(&target))
            .map_err(|source| (target, source))?;
    }
    Ok(())
}

fn make(target: &Path, entry: &Wanted<'_>) -> io::Result<()> {
    match entry {
        Wanted::Directory { .. } => return fs::create_dir(target),
        Wanted::Symlink { target: to } => {
            symlink(std::ffi::OsStr::from_bytes(to), target)?;
        }
        Wanted::Generated { contents, mode } => {
            fs::write(target, contents)?;
            fs::set_permissions(target, Permissions::from_mode(*mode))?;
        }
        Wanted::Stored {
            real,
            size_bytes,
            mode,
        } => {
            let mut new = File::create_new(target)?;
            if copy(&mut File::open(real)?, &mut new)? != *size_bytes {
                return Err(io::Error::other("the store is being changed"));
            }
            new.set_permissions(Permissions::from_mode(*mode))?;
        }
    }
    set_time(target)
}

/// The unit in which a file system counts what a file takes.
const SECTOR_BYTES: u64 = 512;

/// Copies a file, holes as holes: the store may have a disk of many gigabytes of which little is written. Returns its length.
fn copy(file: &mut File, new: &mut File) -> io::Result<u64> {
    let found = file.metadata()?;
    let length = found.len();
    if found.blocks() * SECTOR_BYTES >= length {
        return io::copy(file, new);
    }
    let offset = |at: u64| i64::try_from(at).map_err(|_| io::Error::from(Errno::EOVERFLOW));
    let mut end = 0;
    loop {
        // Nothing but a hole is left where there is no more data.
        let start = match lseek(&*file, offset(end)?, Whence::SeekData) {
            Ok(start) => start.unsigned_abs(),
            Err(Errno::ENXIO) => break,
            Err(error) => return Err(error.into()),
        };
        end = lseek(&*file, offset(start)?, Whence::SeekHole)?.unsigned_abs();
        file.seek(SeekFrom::Start(start))?;
        new.seek(SeekFrom::Start(start))?;
        io::copy(&mut (&mut *file).take(end - start), new)?;
    }
    new.set_len(length)?;
    Ok(length)
}

fn set_time(target: &Path) -> io::Result<()> {
    utimensat(
        AT_FDCWD,
        target,
        &MTIME,
        &MTIME,
        UtimensatFlags::NoFollowSymlink,
    )?;
    Ok(())
}

/// Returns whether the directory is the wanted tree and has nothing else in it. Reads no contents but those of the few generated files.
fn is_same(root: &Path, wanted: &BTreeMap<Vec<u8>, Wanted<'_>>) -> io::Result<bool> {
    let mut seen = 0;
    let mut pending = vec![(root.to_path_buf(), Vec::new())];
    while let Some((directory, prefix)) = pending.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let mut path: Vec<u8> = prefix.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.file_name().as_bytes());
            let found = entry.metadata()?;
            let Some(wanted) = wanted.get(&path) else {
                return Ok(false);
            };
            let mode = found.mode() & 0o7777;
            let matches = match wanted {
                Wanted::Directory { mode: wanted } => found.is_dir() && mode == *wanted,
                Wanted::Symlink { target } => {
                    found.is_symlink()
                        && fs::read_link(entry.path())?.into_os_string().into_vec() == *target
                }
                Wanted::Generated {
                    contents,
                    mode: wanted,
                } => {
                    found.is_file()
                        && mode == *wanted
                        && found.len() == contents.len() as u64
                        && fs::read(entry.path())? == *contents
                }
                Wanted::Stored {
                    size_bytes,
                    mode: wanted,
                    ..
                } => {
                    found.is_file()
                        && mode == *wanted
                        && found.len() == *size_bytes
                        && (found.mtime(), found.mtime_nsec()) == (MTIME.tv_sec(), 0)
                }
            };
            if !matches {
                return Ok(false);
            }
            seen += 1;
            if found.is_dir() {
                pending.push((entry.path(), path));
            }
        }
    }
    Ok(seen == wanted.len())
}
