//! Changes to the disk, one function each, each with its fault point.
//!
//! All changes that the store makes go through here, [`super::files`] (creating and sealing), [`super::lock`] and the database, so that a test can let any
//! of them fail.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{DirBuilderExt, FileExt},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, FallocateFlags, RenameFlags, fallocate, renameat2},
    sys::{
        stat::{Mode, UtimensatFlags, mkdirat, utimensat},
        time::TimeSpec,
    },
    unistd::{UnlinkatFlags, fsync, linkat, symlinkat, syncfs, unlinkat},
};

use super::{FileError, fault, files::at};

/// Appends to a file.
pub(crate) fn write_all(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    fault::point("write")?;
    file.write_all(bytes)
}

/// Writes at an offset of a file.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    fault::point("write")?;
    file.write_all_at(bytes, offset)
}

/// Writes one of the store's own small files by its path, over an older one; not synced, and not whole after a crash.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    fault::point("write").map_err(at("write", path))?;
    fs::write(path, bytes).map_err(at("write", path))
}

/// Gives a file room on disk for so many bytes.
pub(crate) fn allocate(file: &File, bytes: u64) -> nix::Result<()> {
    fault::point("allocate")?;
    let length = i64::try_from(bytes).map_err(|_| Errno::EFBIG)?;
    fallocate(file, FallocateFlags::empty(), 0, length)
}

/// Renames one of the store's own files by its path, over what has the new one.
pub(crate) fn rename_file(old: &Path, new: &Path) -> Result<(), FileError> {
    fault::point("rename").map_err(at("rename", old))?;
    fs::rename(old, new).map_err(at("rename", old))
}

/// Removes one of the store's own files by its path.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    fault::point("unlink").map_err(at("remove", path))?;
    fs::remove_file(path).map_err(at("remove", path))
}

/// Makes one of the store's own directories by its path, with those above it; one that exists stays as it is.
pub(crate) fn make_directories(path: &Path, mode: u32) -> Result<(), FileError> {
    fault::point("mkdir").map_err(at("create", path))?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(at("create", path))
}

/// Makes a directory that others may read, below another.
pub(crate) fn make_directory_at(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("mkdir")?;
    mkdirat(parent, name, Mode::from_bits_truncate(0o755))
}

/// Makes a directory below another, with what the user's umask leaves of all permissions: where several users write, that is theirs to say.
pub(crate) fn make_shared_directory_at(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("mkdir")?;
    mkdirat(parent, name, Mode::S_IRWXU | Mode::S_IRWXG | Mode::S_IRWXO)
}

/// Makes a symlink that must not exist.
pub(crate) fn symlink_at(target: &OsStr, parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("symlink")?;
    symlinkat(target, parent, name)
}

/// Gives a file one more name, which must be free.
pub(crate) fn link_at(
    from: BorrowedFd<'_>,
    old: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
) -> nix::Result<()> {
    fault::point("link")?;
    linkat(from, old, to, new, AtFlags::empty())
}

/// Renames; fails with `EEXIST` if the new name is taken.
pub(crate) fn rename_new(
    from: BorrowedFd<'_>,
    old: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
) -> nix::Result<()> {
    fault::point("rename")?;
    renameat2(from, old, to, new, RenameFlags::RENAME_NOREPLACE)
}

/// Renames, in one step over what may have the new name.
pub(crate) fn rename_over(
    from: BorrowedFd<'_>,
    old: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
) -> nix::Result<()> {
    fault::point("rename")?;
    renameat2(from, old, to, new, RenameFlags::empty())
}

/// Lets two names change places in one step.
pub(crate) fn exchange(
    from: BorrowedFd<'_>,
    old: &OsStr,
    to: BorrowedFd<'_>,
    new: &OsStr,
) -> nix::Result<()> {
    fault::point("rename")?;
    renameat2(from, old, to, new, RenameFlags::RENAME_EXCHANGE)
}

/// Gives a file the present as its modification time.
pub(crate) fn touch(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("touch")?;
    utimensat(
        parent,
        name,
        &TimeSpec::UTIME_OMIT,
        &TimeSpec::UTIME_NOW,
        UtimensatFlags::NoFollowSymlink,
    )
}

/// Removes a file or a symlink.
pub(crate) fn unlink_at(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("unlink")?;
    unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)
}

/// Removes an empty directory.
pub(crate) fn remove_directory_at(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("rmdir")?;
    unlinkat(parent, name, UnlinkatFlags::RemoveDir)
}

/// Brings everything of the file system that a descriptor lies on to disk, and tells of errors of earlier writes.
pub(crate) fn sync_file_system(any: impl AsFd) -> nix::Result<()> {
    fault::point("syncfs")?;
    syncfs(any)
}

/// Brings the names in a directory, or the bytes of a file, to disk.
pub(crate) fn sync(file: impl AsFd) -> nix::Result<()> {
    fault::point("fsync")?;
    fsync(file)
}
