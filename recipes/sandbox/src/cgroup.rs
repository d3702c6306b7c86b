//! A control group (v2) of its own for one run, where the machine lets us make one.
//!
//! A group that holds processes cannot pass controllers on, so ours lies beside the caller's, in a parent that passes on `memory`
//! and `pids` and in which we may make directories: so it is for root on every systemd machine, for an ordinary user in a
//! desktop's terminal (`user@UID.service/app.slice`) and under `systemd-run --user`. Over ssh and in most containers it is not,
//! and there the resource limits of single processes are all that can be had.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::spec::Limits;

/// Where systemd mounts the hierarchy, alone or beside that of v1.
const MOUNT_POINTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The controllers that a run needs.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The directory of one run; removed when dropped, which is after the death of all its processes.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directory: PathBuf,
}

impl Cgroup {
    /// Makes a group with `limits`; `None` when nothing is to be limited or no group can be had.
    pub(crate) fn create(limits: &Limits) -> Option<Self> {
        if limits.memory_bytes.is_none() && limits.processes.is_none() {
            return None;
        }
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let name = format!(
            "pith-sandbox-{}",
            rustix::process::getpid().as_raw_nonzero()
        );
        MOUNT_POINTS
            .into_iter()
            .filter_map(|mount_point| parent_of(&own, Path::new(mount_point)))
            .find_map(|parent| Self::create_in(&parent, &name, limits).ok())
    }

    fn create_in(parent: &Path, name: &str, limits: &Limits) -> io::Result<Self> {
        let passed_on = fs::read_to_string(parent.join("cgroup.subtree_control"))?;
        if !CONTROLLERS
            .iter()
            .all(|wanted| passed_on.split_whitespace().any(|name| name == *wanted))
        {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let directory = parent.join(name);
        fs::create_dir(&directory)?;
        let group = Self { directory };
        if let Some(bytes) = limits.memory_bytes {
            group.write("memory.max", &bytes.to_string())?;
            // One process that meets the limit takes the run with it, instead of leaving a build that waits for it.
            group.write("memory.oom.group", "1")?;
        }
        if let Some(processes) = limits.processes {
            // Process 1 counts as well.
            group.write("pids.max", &processes.saturating_add(1).to_string())?;
        }
        Ok(group)
    }

    /// Moves process 1 into the group; what it starts is born there.
    pub(crate) fn add(&self, init: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &init.as_raw_nonzero().to_string())
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.directory.join(file), text)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A group that cannot be removed is empty and costs nothing; there is nobody to tell.
        drop(fs::remove_dir(&self.directory));
    }
}

/// Returns the parent of the v2 group that `own`, the text of `/proc/self/cgroup`, names.
fn parent_of(own: &str, mount_point: &Path) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let parent = Path::new(path).parent()?;
    Some(mount_point.join(parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_lies_beside_the_callers() {
        let own = "1:name=systemd:/x\n0::/user.slice/user-1000.slice/session-1.scope\n";
        let parent = parent_of(own, Path::new("/m"));
        assert_eq!(
            parent.as_deref(),
            Some(Path::new("/m/user.slice/user-1000.slice"))
        );
        assert_eq!(parent_of("0::/\n", Path::new("/m")), None);
        assert_eq!(parent_of("1:cpu:/x\n", Path::new("/m")), None);
    }

    #[test]
    fn limits_are_written_where_the_controllers_are() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        let limits = Limits {
            memory_bytes: Some(1 << 20),
            processes: Some(9),
            ..Limits::default()
        };
        fs::write(
            parent.path().join("cgroup.subtree_control"),
            "cpu memory pids\n",
        )?;
        let group = Cgroup::create_in(parent.path(), "run", &limits)?;
        let read = |file: &str| fs::read_to_string(parent.path().join("run").join(file));
        assert_eq!(read("memory.max")?, "1048576");
        assert_eq!(read("memory.oom.group")?, "1");
        assert_eq!(read("pids.max")?, "10");
        drop(group);
        Ok(())
    }

    #[test]
    fn without_the_controllers_nothing_is_made() -> io::Result<()> {
        let parent = tempfile::tempdir()?;
        fs::write(parent.path().join("cgroup.subtree_control"), "hugetlb\n")?;
        let limits = Limits {
            processes: Some(9),
            ..Limits::default()
        };
        assert!(Cgroup::create_in(parent.path(), "run", &limits).is_err());
        assert!(!parent.path().join("run").exists());
        Ok(())
    }
}
