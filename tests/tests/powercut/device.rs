//! A block device over the recorder's file, the file system on it, and a boot id: what makes a process a machine of its own.
//!
//! All of it lives in a private mount namespace, and the loop device is given back by the kernel once nothing on it is mounted. So nothing is left
//! however the process ends.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::filesystem::FileSystem;
use crate::{TestResult, tell};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Keeps all mounts that this thread and its children make from now on to themselves.
pub(crate) fn leave_mount_namespace() -> TestResult {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| format!("a mount namespace is needed: {errno}"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    Ok(())
}

/// Makes the kernel tell this namespace another boot id.
pub(crate) fn pretend_boot(file: &Path) -> TestResult {
    mount(
        Some(file),
        BOOT_ID,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?;
    Ok(())
}

/// A loop device over a file.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    device: PathBuf,
}

impl LoopDevice {
    pub(crate) fn attach(file: &Path, sector: usize) -> Result<Self, Box<dyn Error>> {
        let said = run(Command::new("losetup")
            .args(["--find", "--show", "--sector-size"])
            .arg(sector.to_string())
            .arg(file))?;
        let this = Self {
            device: said.trim_end().into(),
        };
        let name = this.device.file_name().ok_or("a device without a name")?;
        let queue = Path::new("/sys/block").join(name).join("queue");
        // Else the recorder would not see every flush.
        for (property, needed) in [("write_cache", "write back"), ("fua", "0")] {
            let found = fs::read_to_string(queue.join(property))?;
            if found.trim_end() != needed {
                let found = found.trim_end();
                return Err(format!(
                    "loop devices must have `{property}` `{needed}`, and this kernel's `{found}`"
                )
                .into());
            }
        }
        Ok(this)
    }

    /// Makes a file system on the device.
    pub(crate) fn format(&self, kind: &FileSystem) -> TestResult {
        let (program, arguments) = kind.make.split_first().ok_or("no program")?;
        run(Command::new(program).args(arguments).arg(&self.device))?;
        Ok(())
    }

    /// Mounts the device; from then on it lives as long as the mount.
    pub(crate) fn mount(
        self,
        kind: &FileSystem,
        directory: &Path,
    ) -> Result<Mounted, Box<dyn Error>> {
        mount(
            Some(&self.device),
            directory,
            Some(kind.name),
            MsFlags::empty(),
            Some(kind.options),
        )
        .map_err(|errno| format!("cannot mount {kind}: {errno}"))?;
        Ok(Mounted {
            directory: directory.to_owned(),
        })
    }
}

impl Drop for LoopDevice {
    /// The kernel does this when the last user is gone, which is at once or when the file system is unmounted.
    fn drop(&mut self) {
        let detached = run(Command::new("losetup").arg("--detach").arg(&self.device));
        if let Err(error) = detached {
            let line = format!("{} is left over: {error}", self.device.display());
            let _told: io::Result<()> = tell(&line);
        }
    }
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    directory: PathBuf,
}

impl Mounted {
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Unmounts in the orderly way, which fails when something is still open.
    pub(crate) fn unmount(self) -> TestResult {
        umount(&self.directory)?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(errno) = umount2(&self.directory, MntFlags::MNT_DETACH) {
            let line = format!("{} is left over: {errno}", self.directory.display());
            let _told: io::Result<()> = tell(&line);
        }
    }
}

/// Runs a program and returns what it says on standard output.
fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .map_err(|error| format!("cannot run `{program}`: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{program}`: {}: {}", output.status, said.trim_end()).into())
    }
}
