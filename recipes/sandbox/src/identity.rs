//! Who the program is: the ids inside, the ids the kernel checks, and what has to be given to them.
//!
//! Invariant: a builder never has the kernel's user 0. An ordinary caller is mapped to the fixed ids inside; root instead hands
//! the run to an unprivileged user of this run alone, which owns nothing on the machine but the read-write mounts.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::CapabilitySet;

use crate::error::StepError;
use crate::spec::User;

/// A builder's ids inside, fixed so that no build can see who runs it.
const BUILDER: (u32, u32) = (1000, 100);

/// Where the ids of runs started by root begin; the supervisor's process id is added. It is the range that systemd's "uids and
/// gids" page leaves free and that Nix uses for the same purpose.
const FIRST_PRIVATE_ID: u32 = 872_415_232;

/// The ids of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) inside_uid: u32,
    pub(crate) inside_gid: u32,
    outside_uid: u32,
    outside_gid: u32,
    /// Whether this process may map any id and open anything.
    pub(crate) privileged: bool,
}

impl Identity {
    /// Chooses the ids for `user`.
    pub(crate) fn choose(user: User) -> Self {
        let privileged = is_privileged();
        let own = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let (outside_uid, outside_gid) = match user {
            User::Builder if privileged => {
                let offset = rustix::process::getpid()
                    .as_raw_nonzero()
                    .get()
                    .unsigned_abs();
                (
                    private_id("/proc/self/uid_map", offset).unwrap_or(own.0),
                    private_id("/proc/self/gid_map", offset).unwrap_or(own.1),
                )
            }
            User::Builder | User::Caller => own,
        };
        let (inside_uid, inside_gid) = match user {
            User::Builder => BUILDER,
            User::Caller => own,
        };
        Self {
            inside_uid,
            inside_gid,
            outside_uid,
            outside_gid,
            privileged,
        }
    }

    /// Writes the id maps of the process `init`, which waits for them in its new user namespace.
    pub(crate) fn write_maps(&self, init: Pid) -> Result<(), StepError> {
        let write = |name: &str, text: String| {
            let file = format!("/proc/{}/{name}", init.as_raw_nonzero());
            fs::write(&file, text).map_err(|source| StepError::MapIds {
                file,
                source: source.into(),
            })
        };
        if !self.privileged {
            // Without this the kernel lets nobody but root map groups: dropping a group can grant access.
            write("setgroups", "deny".to_owned())?;
        }
        write(
            "uid_map",
            format!("{} {} 1", self.inside_uid, self.outside_uid),
        )?;
        write(
            "gid_map",
            format!("{} {} 1", self.inside_gid, self.outside_gid),
        )
    }

    /// Becomes the user inside; called in the mapped user namespace.
    pub(crate) fn assume(&self) -> Result<(), StepError> {
        let failed = |source: Errno| StepError::BecomeUser {
            uid: self.inside_uid,
            gid: self.inside_gid,
            source: source.into(),
        };
        if self.privileged {
            match rustix::thread::set_thread_groups(&[]) {
                // Root of a container that was made by an ordinary user: the kernel lets nobody in it change groups.
                Ok(()) | Err(Errno::PERM) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let gid = Gid::from_raw(self.inside_gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(failed)?;
        let uid = Uid::from_raw(self.inside_uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(failed)
    }

    /// Gives `path` and all below to the kernel user of this run, where that is not the caller.
    ///
    /// Walks by descriptors and follows no symlink.
    pub(crate) fn take_ownership(&self, path: &Path) -> Result<(), StepError> {
        if self.outside_uid == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let failed = |path: &Path, source: Errno| StepError::GiveToBuilder {
            path: path.to_owned(),
            source: source.into(),
        };
        let start = rustix::fs::open(
            path,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| failed(path, error))?;
        self.give(&start, OsStr::new(""))
            .map_err(|error| failed(path, error))?;
        let is_directory = rustix::fs::fstat(&start)
            .map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            .map_err(|error| failed(path, error))?;
        let mut waiting = if is_directory {
            vec![(start, path.to_owned())]
        } else {
            Vec::new()
        };
        while let Some((directory, place)) = waiting.pop() {
            self.give_children(&directory, &place, &mut waiting)
                .map_err(|error| failed(&place, error))?;
        }
        Ok(())
    }

    fn give_children(
        &self,
        directory: &OwnedFd,
        place: &Path,
        waiting: &mut Vec<(OwnedFd, PathBuf)>,
    ) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let readable = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
        for entry in Dir::read_from(&readable)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            self.give(&readable, name)?;
            let stat = rustix::fs::statat(&readable, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let child = rustix::fs::openat(
                    &readable,
                    name,
                    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?;
                waiting.push((child, place.join(name)));
            }
        }
        Ok(())
    }

    fn give(&self, at: impl AsFd, name: &OsStr) -> rustix::io::Result<()> {
        rustix::fs::chownat(
            at,
            name,
            Some(Uid::from_raw(self.outside_uid)),
            Some(Gid::from_raw(self.outside_gid)),
            AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW,
        )
    }
}

/// Returns true when this process may map any id, change owners and clone mounts: root, of the machine or of a container.
fn is_privileged() -> bool {
    let needed = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Returns an id that nobody uses and that exists in this user namespace; `None` where only the caller's own exists.
fn private_id(map: &str, offset: u32) -> Option<u32> {
    private_id_in(&fs::read_to_string(map).ok()?, offset)
}

fn private_id_in(map: &str, offset: u32) -> Option<u32> {
    let ranges = map.lines().filter_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let first = numbers.next()?.ok()?;
        let count = numbers.nth(1)?.ok()?;
        Some((first, count))
    });
    let ranges: Vec<(u32, u32)> = ranges.collect();
    let wanted = FIRST_PRIVATE_ID.checked_add(offset)?;
    if ranges
        .iter()
        .any(|&(first, count)| wanted >= first && wanted - first < count)
    {
        return Some(wanted);
    }
    // A container has a few thousand ids; the upper half of its largest range is least likely to be in use.
    let (first, count) = ranges.into_iter().max_by_key(|&(_, count)| count)?;
    let half = count / 2;
    (half > 0).then(|| first + half + offset % (count - half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_id_is_the_same_offset_in_the_reserved_range_on_a_whole_machine() {
        assert_eq!(
            private_id_in("         0          0 4294967295\n", 77),
            Some(FIRST_PRIVATE_ID + 77)
        );
    }

    #[test]
    fn the_private_id_lies_in_the_upper_half_of_a_containers_ids() {
        for offset in [0, 1, 40_000, 4_194_303] {
            let id = private_id_in("0 1000 1\n1 100000 65536\n", offset).expect("there is one");
            assert!((32_769..65_537).contains(&id), "{id}");
        }
    }

    #[test]
    fn there_is_no_private_id_where_only_one_id_is_mapped() {
        assert_eq!(private_id_in("0 1000 1\n", 5), None);
    }
}
