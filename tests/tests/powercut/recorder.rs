//! A disk that remembers: a FUSE file system with one file, which backs a loop device, and the log of everything that was written to it and flushed.
//!
//! The kernel's loop driver turns a flush of the block device into `fsync` of its backing file, and the block layer turns a forced write (FUA) into a
//! write and a flush, since the driver offers no FUA. The file is opened for direct I/O, so no page cache lies between the driver and the log. One thread
//! answers all requests, each before it takes the next: a write that stands before a flush in the log was complete before that flush began.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};

use crate::image::Image;
use crate::ledger::Event;
use crate::replay::Entry;

const FILE: &str = "disk";
const FILE_INODE: INodeNo = INodeNo(2);
/// Nothing here changes behind the kernel's back.
const TTL: Duration = Duration::from_secs(3600);

/// What the disk holds and what happened to it.
#[derive(Debug, Default)]
struct State {
    image: Image,
    log: Vec<Entry>,
    opened: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    closed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mounted disk; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    _session: BackgroundSession,
}

impl Recorder {
    /// Mounts an empty disk of this size on a directory. All disks have one size: the kernel remembers it.
    pub(crate) fn mount(directory: &Path, size_bytes: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.lock().image = Image::empty(size_bytes);
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("powercut".into())];
        let filesystem = Disk {
            shared: Arc::clone(&shared),
            size_bytes,
        };
        Ok(Self {
            shared,

            _session: fuser::spawn_mount(filesystem, directory, &config)?,
        })
    }

    /// Puts an image in and starts a new log. Waits until nobody has the disk open.
    pub(crate) fn load(&self, image: Image) {
        let mut state = self.wait_until_closed();
        state.image = image;
        state.log.clear();
    }

    /// Takes the image and the log out. Waits until nobody has the disk open.
    pub(crate) fn unload(&self) -> (Image, Vec<Entry>) {
        let mut state = self.wait_until_closed();
        (
            std::mem::take(&mut state.image),
            std::mem::take(&mut state.log),
        )
    }

    /// Notes in the log that something was promised.
    pub(crate) fn note(&self, event: Event) {
        self.shared.lock().log.push(Entry::Event(event));
    }

    fn wait_until_closed(&self) -> MutexGuard<'_, State> {
        self.shared
            .closed
            .wait_while(self.shared.lock(), |state| state.opened > 0)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file system: `/disk` and nothing else.
struct Disk {
    shared: Arc<Shared>,
    size_bytes: u64,
}

impl Disk {
    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let (kind, size) = match inode {
            INodeNo::ROOT => (FileType::Directory, 0),
            FILE_INODE => (FileType::RegularFile, self.size_bytes),
            _ => return None,
        };
        Some(FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attributes(FILE_INODE) {
            Some(attributes) if parent == INodeNo::ROOT && name == FILE => {
                reply.entry(&TTL, &attributes, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.shared.lock().opened += 1;
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.shared.lock().opened -= 1;
        self.shared.closed.notify_all();
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let size = usize::try_from(size).expect("a usize has 32 bits at least");
        let bytes = self.shared.lock().image.read(offset, size);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.shared.lock();
        state.image.write(offset, bytes);
        state.log.push(Entry::Write {
            offset,
            bytes: bytes.into(),
        });
        drop(state);
        reply.written(u32::try_from(bytes.len()).expect("the kernel's requests are smaller"));
    }

    /// The last close of a descriptor, which says nothing about the disk.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.shared.lock().log.push(Entry::Flush);
        reply.ok();
    }
}
