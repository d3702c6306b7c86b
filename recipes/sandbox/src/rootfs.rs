//! The file system inside: a private tmpfs with the mounts, `/dev`, `/proc` and generated files of the specification.
//!
//! Nothing here resolves a path through a symlink: every place inside is reached from the new root's descriptor with
//! `RESOLVE_NO_SYMLINKS`, so a read-write mount that an earlier builder left behind cannot lead a mount elsewhere.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use crate::error::{OsError, StepError};
use crate::outcome::Level;
use crate::spec::{Access, SandboxSpec};
use crate::sys::{MountAttributes, set_mount_attributes};

/// Devices of the host that every program may expect and that lead nowhere.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Links that `/dev` has everywhere.
const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("ptmx", "pts/ptmx"),
    ("stderr", "/proc/self/fd/2"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
];

/// Files of `/proc` that tell of the host or, for a root caller, reach into it.
const HIDDEN_IN_PROC: [&str; 5] = ["kcore", "key-users", "keys", "sysrq-trigger", "timer_list"];

/// What `/dev/shm` may hold; memory, so a fixed bound that is far above what any program we know of needs.
const SHM_BYTES: &str = "268435456";

/// What the root itself may hold: generated files and mount points.
const ROOT_BYTES: &str = "67108864";

const DIRECTORY: Mode = Mode::from_raw_mode(0o755);

/// Something of the host, opened and not yet placed.
#[derive(Debug)]
pub(crate) struct Source {
    target: PathBuf,
    what: What,
}

#[derive(Debug)]
enum What {
    Directory(OwnedFd),
    File(OwnedFd),
    Symlink(PathBuf),
}

/// Opens every mount of `spec` as a detached copy with its final attributes, parents before what lies below them.
///
/// Root does this before it gives up its rights, so that sources below directories of others are reachable.
pub(crate) fn open_sources(spec: &SandboxSpec) -> Result<Vec<Source>, StepError> {
    let mut mounts: Vec<_> = spec.mounts.iter().collect();
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    if let Some(pair) = mounts
        .windows(2)
        .find(|pair| pair[0].target == pair[1].target)
    {
        return Err(bad_target(&pair[0].target, "two mounts have it"));
    }
    mounts
        .into_iter()
        .map(|mount| Source::open(&mount.source, &mount.target, mount.access))
        .collect()
}

impl Source {
    /// Opens `path` to be shown at `target`, without set-user-id bits and devices.
    pub(crate) fn open(path: &Path, target: &Path, access: Access) -> Result<Self, StepError> {
        let mut set = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        if access == Access::ReadOnly {
            set |= MountAttrFlags::MOUNT_ATTR_RDONLY;
        }
        let attributes = MountAttributes {
            set: set.bits().into(),
            propagation: libc::MS_PRIVATE,
            ..Default::default()
        };
        Self::open_with(path, target, Some(&attributes))
    }

    /// Opens `path` to be shown at its own place, as it is on the host and with what will be mounted there.
    pub(crate) fn open_as_it_is(path: &Path) -> Result<Self, StepError> {
        Self::open_with(path, path, None)
    }

    fn open_with(
        path: &Path,
        target: &Path,
        attributes: Option<&MountAttributes>,
    ) -> Result<Self, StepError> {
        let what = open_source(path, attributes).map_err(|source| StepError::OpenSource {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            target: target.to_owned(),
            what,
        })
    }

    /// Mounts a directory over the one that the root of this process has at the target.
    pub(crate) fn attach_to_host(self) -> Result<(), StepError> {
        let failed = |source: Errno| StepError::Mount {
            target: self.target.clone(),
            source: source.into(),
        };
        let What::Directory(tree) = &self.what else {
            return Err(failed(Errno::NOTDIR));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = rustix::fs::open(&self.target, flags, Mode::empty()).map_err(failed)?;
        attach(tree, &place).map_err(failed)
    }
}

fn open_source(path: &Path, attributes: Option<&MountAttributes>) -> Result<What, OsError> {
    let stat = rustix::fs::lstat(path)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Symlink {
        return Ok(What::Symlink(std::fs::read_link(path)?));
    }
    let tree = clone_tree(CWD, path)?;
    if let Some(attributes) = attributes {
        set_mount_attributes(&tree, true, attributes)?;
    }
    Ok(if kind == FileType::Directory {
        What::Directory(tree)
    } else {
        What::File(tree)
    })
}

fn clone_tree(at: impl AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(
        at,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW,
    )
}

/// The new root while it is being filled.
#[derive(Debug)]
pub(crate) struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Mounts an empty tmpfs over the old root of this mount namespace.
    pub(crate) fn create() -> Result<Self, StepError> {
        let failed = |source: Errno| StepError::RootFs {
            source: source.into(),
        };
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let directory = new_file_system("tmpfs", &[("mode", "0755"), ("size", ROOT_BYTES)], flags)
            .map_err(failed)?;
        rustix::mount::move_mount(
            &directory,
            "",
            CWD,
            "/",
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(failed)?;
        Ok(Self { directory })
    }

    /// Fills the root with everything that `spec` names and returns the level that was reached.
    pub(crate) fn fill(
        &self,
        spec: &SandboxSpec,
        sources: Vec<Source>,
    ) -> Result<Level, StepError> {
        self.create_devices()?;
        let level = match self.mount_proc() {
            Ok(()) => Level::Full,
            Err(StepError::Proc { source })
                if source.is_denied() && spec.weakest_level >= Level::NoProc =>
            {
                Level::NoProc
            }
            Err(error) => return Err(error),
        };
        self.place_all(sources)?;
        for directory in &spec.directories {
            drop(self.make_directory(directory)?);
        }
        for file in &spec.files {
            self.create_file(&file.path, &file.bytes, file.mode)?;
        }
        for symlink in &spec.symlinks {
            self.create_symlink(&symlink.target, &symlink.link)?;
        }
        Ok(level)
    }

    /// Shows the sources at their targets, in their order.
    pub(crate) fn place_all(&self, sources: Vec<Source>) -> Result<(), StepError> {
        sources
            .into_iter()
            .try_for_each(|source| self.place(source))
    }

    /// Makes the root read-only, makes it the root of this process and lets go of the old one.
    pub(crate) fn enter(self) -> Result<(), StepError> {
        let read_only = MountAttributes {
            set: MountAttrFlags::MOUNT_ATTR_RDONLY.bits().into(),
            ..Default::default()
        };
        set_mount_attributes(&self.directory, false, &read_only).map_err(|source| {
            StepError::RootFs {
                source: source.into(),
            }
        })?;
        let failed = |source: Errno| StepError::PivotRoot {
            source: source.into(),
        };
        rustix::process::fchdir(&self.directory).map_err(failed)?;
        // With both arguments "." the old root lies on top of the new one, see pivot_root(2).
        rustix::process::pivot_root(".", ".").map_err(failed)?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(|source| {
            StepError::UnmountOldRoot {
                source: source.into(),
            }
        })?;
        rustix::process::chdir("/").map_err(failed)
    }

    fn create_devices(&self) -> Result<(), StepError> {
        let failed = |name: &str, source: Errno| StepError::Device {
            name: name.to_owned(),
            source: source.into(),
        };
        let dev = self.make_directory(Path::new("/dev"))?;
        for name in DEVICES {
            let place = create_empty(&dev, name).map_err(|error| failed(name, error))?;
            clone_tree(CWD, Path::new("/dev").join(name))
                .and_then(|device| attach(&device, &place))
                .map_err(|error| failed(name, error))?;
        }
        for (name, target) in DEVICE_LINKS {
            rustix::fs::symlinkat(target, &dev, name).map_err(|error| failed(name, error))?;
        }
        let no_exec = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let terminals = [("mode", "0620"), ("ptmxmode", "0666")];
        self.mount_new("/dev/pts", "devpts", &terminals, no_exec)
            .map_err(|error| failed("pts", error))?;
        let shared_memory = [("mode", "1777"), ("size", SHM_BYTES)];
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        self.mount_new("/dev/shm", "tmpfs", &shared_memory, flags)
            .map_err(|error| failed("shm", error))
    }

    fn mount_proc(&self) -> Result<(), StepError> {
        let failed = |source: Errno| StepError::Proc {
            source: source.into(),
        };
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_RDONLY;
        self.mount_new("/proc", "proc", &[], flags)
            .map_err(failed)?;
        let proc = self.open(Path::new("proc")).map_err(failed)?;
        for name in HIDDEN_IN_PROC {
            let hidden = match rustix::fs::openat(
                &proc,
                name,
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Ok(hidden) => hidden,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(failed(error)),
            };
            clone_tree(CWD, "/dev/null")
                .and_then(|null| attach(&null, &hidden))
                .map_err(failed)?;
        }
        Ok(())
    }

    fn mount_new(
        &self,
        place: &str,
        kind: &str,
        options: &[(&str, &str)],
        flags: MountAttrFlags,
    ) -> rustix::io::Result<()> {
        let place = Path::new(place.trim_start_matches('/'));
        match rustix::fs::mkdirat(&self.directory, place, DIRECTORY) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        attach(&new_file_system(kind, options, flags)?, &self.open(place)?)
    }

    fn place(&self, source: Source) -> Result<(), StepError> {
        let Source { target, what } = source;
        let (tree, place) = match what {
            What::Symlink(says) => return self.create_symlink(&says, &target),
            What::Directory(_) if target == Path::new("/") => {
                return Err(bad_target(&target, "it is the root"));
            }
            What::Directory(tree) => (tree, self.make_directory(&target)?),
            What::File(tree) => {
                let (parent, name) = self.make_parent(&target)?;
                let place = create_empty(&parent, name).map_err(|source| StepError::Create {
                    path: target.clone(),
                    source: source.into(),
                })?;
                (tree, place)
            }
        };
        attach(&tree, &place).map_err(|source| StepError::Mount {
            target,
            source: source.into(),
        })
    }

    fn create_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), StepError> {
        let failed = |source: OsError| StepError::Create {
            path: path.to_owned(),
            source,
        };
        if mode & !0o777 != 0 {
            return Err(bad_target(path, "its mode has bits beyond rwx"));
        }
        let (parent, name) = self.make_parent(path)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, name, flags, Mode::RUSR)
            .map_err(|error| failed(error.into()))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
            .map_err(|error| failed(error.into()))?;
        std::io::Write::write_all(&mut std::fs::File::from(file), bytes)
            .map_err(|error| failed(error.into()))
    }

    fn create_symlink(&self, says: &Path, link: &Path) -> Result<(), StepError> {
        let (parent, name) = self.make_parent(link)?;
        rustix::fs::symlinkat(says, &parent, name).map_err(|source| StepError::Create {
            path: link.to_owned(),
            source: source.into(),
        })
    }

    fn make_parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), StepError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(bad_target(path, "it is the root"));
        };
        Ok((self.make_directory(parent)?, name))
    }

    /// Opens the directory `path`, which is made with its parents where it is missing.
    fn make_directory(&self, path: &Path) -> Result<OwnedFd, StepError> {
        let failed = |source: Errno| match source {
            Errno::LOOP | Errno::NOTDIR => {
                bad_target(path, "a component of it is a symlink or a file")
            }
            source => StepError::Create {
                path: path.to_owned(),
                source: source.into(),
            },
        };
        let relative = relative(path)?;
        match self.open(relative) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(failed),
        }
        let mut so_far = PathBuf::new();
        for component in relative.components() {
            so_far.push(component);
            match self.open(&so_far) {
                Err(Errno::NOENT) => {
                    let parent = self
                        .open(so_far.parent().unwrap_or(Path::new("")))
                        .map_err(failed)?;
                    rustix::fs::mkdirat(&parent, component.as_os_str(), DIRECTORY)
                        .map_err(failed)?;
                }
                result => drop(result.map_err(failed)?),
            }
        }
        self.open(relative).map_err(failed)
    }

    fn open(&self, relative: &Path) -> rustix::io::Result<OwnedFd> {
        let path = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        rustix::fs::openat2(
            &self.directory,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }
}

/// Detaches every mount of this namespace from those of the host.
pub(crate) fn make_mounts_private() -> Result<(), StepError> {
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(|source| StepError::PrivateMounts {
        source: source.into(),
    })
}

fn new_file_system(
    kind: &str,
    options: &[(&str, &str)],
    flags: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

fn attach(tree: &OwnedFd, place: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", place, "", flags)
}

fn create_empty(parent: &OwnedFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o644))
}

fn relative(path: &Path) -> Result<&Path, StepError> {
    let inner = path
        .strip_prefix("/")
        .map_err(|_| bad_target(path, "it is not absolute"))?;
    if inner
        .components()
        .any(|component| !matches!(component, Component::Normal(_)))
    {
        return Err(bad_target(path, "it holds `.` or `..`"));
    }
    Ok(inner)
}

fn bad_target(path: &Path, reason: &str) -> StepError {
    StepError::BadTarget {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}
