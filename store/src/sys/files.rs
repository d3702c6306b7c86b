//! Files and directories by descriptor and name.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::{Dir, Type},
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat},
    sys::{
        stat::{
            FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, mkdirat,
            utimensat,
        },
        time::TimeSpec,
    },
    unistd::{AccessFlags, faccessat},
};

use super::{
    FileError,
    change::{remove_directory_at, unlink_at},
    fault,
};

/// The modification time of everything in the store, in seconds since 1970.
const STORE_TIME: TimeSpec = TimeSpec::new(1, 0);

/// Returns a function that puts a path and a verb around an error.
pub(crate) fn at<E: Into<io::Error>>(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> FileError {
    move |error| FileError {
        action,
        path: path.into(),
        source: error.into(),
    }
}

/// Opens a directory below another; fails with `ELOOP` or `ENOTDIR` for anything else, a symlink included.
pub(crate) fn open_directory_at(parent: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    fault::point("open")?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Opens one of the store's own directories by its path.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, FileError> {
    fault::point("open").map_err(at("open", path))?;
    nix::fcntl::open(
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(at("open", path))
}

/// Opens a file to read; never blocks on a fifo and never follows a symlink.
pub(crate) fn open_file_at(parent: impl AsFd, name: &OsStr) -> nix::Result<File> {
    fault::point("open")?;
    let flags = OFlag::O_RDONLY
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty()).map(File::from)
}

/// Creates a file that must not exist, to write and to read back.
///
/// With its final mode, unless the umask forbids that: changing it afterwards would write the inode once more.
pub(crate) fn create_file_at(
    parent: impl AsFd,
    name: &OsStr,
    executable: bool,
) -> nix::Result<File> {
    fault::point("create")?;
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, file_mode(executable)).map(File::from)
}

/// Opens a file of the staging directory again, to change it.
pub(crate) fn reopen_file_at(parent: impl AsFd, name: &OsStr) -> nix::Result<File> {
    fault::point("open")?;
    openat(
        parent,
        name,
        OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map(File::from)
}

/// Creates a directory that must not exist, for its owner alone, and opens it.
pub(crate) fn create_directory_at(parent: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    fault::point("mkdir")?;
    mkdirat(&parent, name, Mode::S_IRWXU)?;
    open_directory_at(&parent, name)
}

/// Tells whether anything has a name, without following a symlink.
pub(crate) fn is_present_at(parent: impl AsFd, name: &OsStr) -> nix::Result<bool> {
    fault::point("inspect")?;
    match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns when what has a name was last modified, in seconds since 1970.
pub(crate) fn modified_at(parent: impl AsFd, name: &OsStr) -> nix::Result<i64> {
    fault::point("inspect")?;
    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|stat| stat.st_mtime)
}

/// One entry of a directory, as a listing shows it.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: OsString,
    /// What it is; some file systems do not say it in a listing.
    pub(crate) kind: Option<Type>,
    /// The number of its inode.
    pub(crate) inode: u64,
}

/// The entries of a directory, in no order, without `.` and `..`.
pub(crate) fn list_entries(directory: impl AsFd) -> nix::Result<Vec<Listed>> {
    fault::point("list")?;
    // A descriptor of its own: reading moves the position that duplicates share.
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut stream = Dir::openat(directory, ".", flags, Mode::empty())?;
    let mut entries = Vec::new();
    for entry in stream.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            entries.push(Listed {
                name: OsString::from_vec(name.to_vec()),
                kind: entry.file_type(),
                inode: entry.ino(),
            });
        }
    }
    Ok(entries)
}

/// The names in a directory and what they are, in no order, without `.` and `..`.
pub(crate) fn list(directory: impl AsFd) -> nix::Result<Vec<(OsString, Option<Type>)>> {
    let entries = list_entries(directory)?;
    Ok(entries
        .into_iter()
        .map(|entry| (entry.name, entry.kind))
        .collect())
}

/// Fails with `EROFS` or `EACCES` where this process may not write; asked of the store's own files and directories, by their paths.
pub(crate) fn may_write(path: &Path) -> nix::Result<()> {
    fault::point("inspect")?;
    faccessat(AT_FDCWD, path, AccessFlags::W_OK, AtFlags::AT_EACCESS)
}

/// Returns what is known of a name in a directory, of a symlink itself.
pub(crate) fn inspect_at(parent: impl AsFd, name: &OsStr) -> nix::Result<FileStat> {
    fault::point("inspect")?;
    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Tells whether a file has the mode and time of the files of the store, so that nobody has changed it since it was sealed unless they hid that.
pub(crate) fn is_sealed_file(stat: &FileStat, executable: bool) -> bool {
    stat.st_mode == (SFlag::S_IFREG.bits() | file_mode(executable).bits())
        && stat.st_mtime == STORE_TIME.tv_sec()
        && stat.st_mtime_nsec == STORE_TIME.tv_nsec()
}

/// What a symlink says.
pub(crate) fn read_link_at(parent: impl AsFd, name: &OsStr) -> nix::Result<OsString> {
    fault::point("readlink")?;
    readlinkat(parent, name)
}

/// What lies at a name, for file systems that do not tell it in their listings; `None` for what no system call makes.
pub(crate) fn type_at(parent: impl AsFd, name: &OsStr) -> nix::Result<Option<Type>> {
    Ok(file_type(inspect_at(parent, name)?.st_mode))
}

/// Reads one of the store's own files by its path.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    fault::point("open").map_err(at("read", path))?;
    std::fs::read(path).map_err(at("read", path))
}

/// Fills a buffer as far as the stream goes.
pub(crate) fn read_full(source: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    fault::point("read")?;
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives a file of the store its final mode and time.
pub(crate) fn seal_file(file: impl AsFd, executable: bool) -> nix::Result<()> {
    fault::point("seal")?;
    let mode = file_mode(executable);
    if Mode::from_bits_truncate(fstat(&file)?.st_mode) != mode {
        fchmod(&file, mode)?;
    }
    futimens(file, &STORE_TIME, &STORE_TIME)
}

/// Lets the owner write a file of the staging directory again.
pub(crate) fn unseal_file(file: impl AsFd) -> nix::Result<()> {
    fault::point("unseal")?;
    fchmod(file, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// The mode of a file of the store.
pub(crate) const fn file_mode(executable: bool) -> Mode {
    Mode::from_bits_truncate(if executable { 0o555 } else { 0o444 })
}

/// The mode of a directory of the store.
pub(crate) const DIRECTORY_MODE: Mode = Mode::from_bits_truncate(0o555);

/// Gives a directory of the store its final mode and time. Nothing can be made in it afterwards, but by root.
pub(crate) fn seal_directory(directory: impl AsFd) -> nix::Result<()> {
    fault::point("seal")?;
    fchmod(&directory, DIRECTORY_MODE)?;
    futimens(directory, &STORE_TIME, &STORE_TIME)
}

/// Gives a symlink of the store its final time.
pub(crate) fn seal_symlink(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    fault::point("seal")?;
    utimensat(
        parent,
        name,
        &STORE_TIME,
        &STORE_TIME,
        UtimensatFlags::NoFollowSymlink,
    )
}

/// Makes what lies at a name writable by its owner if it is a directory, as renaming a directory to another parent demands of ordinary users.
pub(crate) fn unseal(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    match open_directory_at(&parent, name) {
        Ok(directory) => {
            fault::point("unseal")?;
            fchmod(directory, Mode::S_IRWXU)
        }
        Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what lies at a name, whatever it is, walking by descriptors. What is already gone is not an error.
pub(crate) fn remove_at(parent: impl AsFd, name: &OsStr) -> nix::Result<()> {
    match unlink_at(&parent, name) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(error) => return Err(error),
    }
    let directory = match open_directory_at(&parent, name) {
        Ok(directory) => directory,
        Err(Errno::ENOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    fault::point("unseal")?;
    fchmod(&directory, Mode::S_IRWXU)?;
    for (entry, _) in list(&directory)? {
        remove_at(&directory, &entry)?;
    }
    match remove_directory_at(&parent, name) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Joins bytes of a path for messages and evidence.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        name.to_vec()
    } else {
        [path, b"/", name].concat()
    }
}

/// Bytes as a file name.
pub(crate) fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

/// Returns what `st_mode` says a file is; `None` for what no system call makes.
pub(crate) fn file_type(mode: u32) -> Option<Type> {
    Some(match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => Type::File,
        SFlag::S_IFDIR => Type::Directory,
        SFlag::S_IFLNK => Type::Symlink,
        SFlag::S_IFIFO => Type::Fifo,
        SFlag::S_IFSOCK => Type::Socket,
        SFlag::S_IFCHR => Type::CharacterDevice,
        SFlag::S_IFBLK => Type::BlockDevice,
        _ => return None,
    })
}
