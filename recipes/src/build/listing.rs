//! What a builder left behind, read by directory descriptors only.
//!
//! Everything here was written by a program that nobody trusts; by now all its processes are dead. Each directory is
//! opened below its parent's descriptor without following links, and what is no file, directory or symbolic link is an
//! error at once.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstatat};

/// Deeper directories are refused; store trees have the same bound.
const MAX_DEPTH: usize = 64;

/// One file, directory or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File { size: u64, executable: bool },
    Symlink { target: Vec<u8> },
}

/// All entries of one output, by their path below it; the output itself is the empty path. Paths are bytes, as on disk.
#[derive(Debug)]
pub(super) struct Listing {
    root: OwnedFd,
    name: CString,
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
}

/// Why an output cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// There is nothing.
    #[error("the builder did not create it")]
    Missing,
    /// Neither file, directory nor symbolic link.
    #[error("`{path}` is a {kind}; only files, directories and symbolic links can be in the store")]
    Special {
        /// The path below the output.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A file that would run with another user's or group's rights.
    #[error("`{path}` has a set-user-id or set-group-id bit, which nothing in the store can have")]
    SetId {
        /// The path below the output.
        path: String,
    },
    /// Too many directories within each other.
    #[error("`{path}` lies deeper than {MAX_DEPTH} directories")]
    TooDeep {
        /// The path below the output.
        path: String,
    },
    /// The system refused.
    #[error("cannot read `{path}`")]
    Io {
        /// The path below the output.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Listing {
    /// Lists what is called `name` in the directory `parent`.
    ///
    /// Directories and files that their owner may not read are made readable: their modes are not kept anyway.
    pub(super) fn load(parent: BorrowedFd<'_>, name: &CStr) -> Result<Self, ListError> {
        let root = parent
            .try_clone_to_owned()
            .map_err(|source| ListError::Io {
                path: String::new(),
                source,
            })?;
        let mut listing = Self {
            root,
            name: name.to_owned(),
            entries: BTreeMap::new(),
        };
        let stat =
            fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|errno| match errno {
                Errno::ENOENT => ListError::Missing,
                errno => io_error(&[], errno),
            })?;
        listing.add(parent, name, Vec::new(), &stat, 0)?;
        Ok(listing)
    }

    /// Opens a regular file of the listing for reading.
    pub(super) fn open(&self, path: &[u8]) -> io::Result<File> {
        let mut whole = self.name.as_bytes().to_vec();
        if !path.is_empty() {
            whole.push(b'/');
            whole.extend_from_slice(path);
        }
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let path = std::path::PathBuf::from(OsString::from_vec(whole));
        Ok(File::from(openat2(self.root.as_fd(), &path, how)?))
    }

    fn add(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: Vec<u8>,
        stat: &FileStat,
        depth: usize,
    ) -> Result<(), ListError> {
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
        let special = |kind| ListError::Special {
            path: shown(&path),
            kind,
        };
        let failed = |errno| io_error(&path, errno);
        let entry = match kind {
            SFlag::S_IFREG => {
                if mode.intersects(Mode::S_ISUID | Mode::S_ISGID) {
                    return Err(ListError::SetId { path: shown(&path) });
                }
                if !mode.contains(Mode::S_IRUSR) {
                    let readable = mode | Mode::S_IRUSR;
                    fchmodat(parent, name, readable, FchmodatFlags::NoFollowSymlink)
                        .or_else(|_| fchmodat(parent, name, readable, FchmodatFlags::FollowSymlink))
                        .map_err(failed)?;
                }
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                Entry::File {
                    size,
                    executable: mode.contains(Mode::S_IXUSR),
                }
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(parent, name).map_err(failed)?;
                Entry::Symlink {
                    target: target.into_vec(),
                }
            }
            SFlag::S_IFDIR => {
                self.add_directory(parent, name, &path, mode, depth)?;
                Entry::Directory
            }
            SFlag::S_IFCHR => return Err(special("character device")),
            SFlag::S_IFBLK => return Err(special("block device")),
            SFlag::S_IFIFO => return Err(special("fifo")),
            SFlag::S_IFSOCK => return Err(special("socket")),
            _ => return Err(special("thing of unknown kind")),
        };
        self.entries.insert(path, entry);
        Ok(())
    }

    fn add_directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
        mode: Mode,
        depth: usize,
    ) -> Result<(), ListError> {
        let failed = |errno| io_error(path, errno);
        if depth >= MAX_DEPTH {
            return Err(ListError::TooDeep { path: shown(path) });
        }
        if !mode.contains(Mode::S_IRUSR | Mode::S_IXUSR) {
            // It is a directory and nobody is left who could put a link in its place.
            fchmodat(
                parent,
                name,
                mode | Mode::S_IRWXU,
                FchmodatFlags::FollowSymlink,
            )
            .map_err(failed)?;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(parent, name, flags, Mode::empty()).map_err(failed)?;
        let mut names = Vec::new();
        let mut directory = Dir::from_fd(fd.try_clone().map_err(|source| ListError::Io {
            path: shown(path),
            source,
        })?)
        .map_err(failed)?;
        for entry in directory.iter() {
            let entry = entry.map_err(failed)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort_unstable();
        for name in names {
            let mut below = path.to_vec();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(name.as_bytes());
            let stat = fstatat(&fd, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|errno| io_error(&below, errno))?;
            self.add(fd.as_fd(), &name, below, &stat, depth + 1)?;
        }
        Ok(())
    }
}

/// Returns the names in a directory, sorted.
pub(super) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    let fd = openat(
        directory,
        c".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(fd)?.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A path for messages.
pub(super) fn shown(path: &[u8]) -> String {
    if path.is_empty() {
        "the output itself".to_owned()
    } else {
        path.escape_ascii().to_string()
    }
}

fn io_error(path: &[u8], errno: Errno) -> ListError {
    ListError::Io {
        path: shown(path),
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    fn load(directory: &Path) -> Result<Listing, ListError> {
        Listing::load(File::open(directory).unwrap().as_fd(), c"out")
    }

    #[test]
    fn everything_is_listed_without_following_links() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        fs::create_dir_all(out.join("bin")).unwrap();
        fs::write(out.join("bin/x"), "hello").unwrap();
        fs::set_permissions(out.join("bin/x"), fs::Permissions::from_mode(0o4)).unwrap();
        symlink("/etc", out.join("etc")).unwrap();
        let listing = load(directory.path()).unwrap();
        let paths: Vec<_> = listing
            .entries
            .keys()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        assert_eq!(paths, ["", "bin", "bin/x", "etc"]);
        assert_eq!(
            listing.entries[b"bin/x".as_slice()],
            Entry::File {
                size: 5,
                executable: false
            }
        );
        assert_eq!(
            io::read_to_string(listing.open(b"bin/x").unwrap()).unwrap(),
            "hello"
        );
        assert!(listing.open(b"etc/passwd").is_err());
    }

    #[test]
    fn fifos_sockets_and_set_id_files_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        fs::create_dir(&out).unwrap();
        let _listener = UnixListener::bind(out.join("socket")).unwrap();
        assert_eq!(
            load(directory.path()).unwrap_err().to_string(),
            "`socket` is a socket; only files, directories and symbolic links can be in the store"
        );
        fs::remove_file(out.join("socket")).unwrap();
        nix::unistd::mkfifo(&out.join("fifo"), Mode::S_IRUSR).unwrap();
        assert!(
            load(directory.path())
                .unwrap_err()
                .to_string()
                .contains("`fifo` is a fifo")
        );
        fs::remove_file(out.join("fifo")).unwrap();
        fs::write(out.join("su"), "").unwrap();
        fs::set_permissions(out.join("su"), fs::Permissions::from_mode(0o4755)).unwrap();
        assert!(
            load(directory.path())
                .unwrap_err()
                .to_string()
                .contains("`su` has a set-user-id")
        );
    }

    #[test]
    fn an_endless_chain_of_directories_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("out").join("d/".repeat(70))).unwrap();
        assert!(matches!(
            load(directory.path()),
            Err(ListError::TooDeep { .. })
        ));
    }

    #[test]
    fn a_missing_output_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(directory.path()), Err(ListError::Missing)));
    }
}
