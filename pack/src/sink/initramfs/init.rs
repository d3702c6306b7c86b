//! The first process: a static ELF program without a library, made from a list of system calls.

use super::machine::{
    CHDIR, CLONE, Code, EXECVE, EXIT, FCHOWNAT, IOCTL, MKDIRAT, MOUNT, REBOOT, SETGID, SETGROUPS,
    SETSID, SETUID, SYNC, WAIT4,
};
use crate::oci::Architecture;

/// Where the program lies in memory, as most static ones do.
const BASE: u64 = 0x40_0000;
/// The header of an ELF file and that of its only segment.
const HEADERS: u64 = 64 + 56;
/// `AT_FDCWD`.
const HERE: u64 = (-100_i64).cast_unsigned();
/// `MS_NOSUID`, `MS_NODEV` and `MS_NOEXEC`.
const NO_SUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const NO_PROGRAMS: u64 = 8;
/// The signal at the end of a child, `SIGCHLD`: with nothing else, cloning is forking.
const FORK: u64 = 17;
/// `TIOCSCTTY`.
const TAKE_TERMINAL: u64 = 0x540e;
/// Any child.
const ANY: u64 = (-1_i64).cast_unsigned();
/// What `reboot` wants to be told, and the command to switch off.
const REBOOT_MAGIC: [u64; 2] = [0xfee1_dead, 672_274_793];
const POWER_OFF: u64 = 0x4321_fedc;
/// The status of a program that was not started, as shells have it.
const NOT_STARTED: u64 = 127;

/// What is started.
#[derive(Debug, Clone)]
pub(super) struct Start<'a> {
    pub(super) architecture: Architecture,
    /// The file.
    pub(super) program: &'a [u8],
    /// What it is called, and its arguments.
    pub(super) arguments: Vec<&'a [u8]>,
    pub(super) env: Vec<&'a [u8]>,
    pub(super) directory: &'a [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Returns the program. A call that fails is passed over: what it was for may be there already.
pub(super) fn init(start: &Start<'_>) -> Vec<u8> {
    let mut data = Data::default();
    let [proc, sys, dev, shm] =
        ["/proc", "/sys", "/dev", "/dev/shm"].map(|text| data.text(text.as_bytes()));
    let [procfs, sysfs, devtmpfs, tmpfs] =
        ["proc", "sysfs", "devtmpfs", "tmpfs"].map(|text| data.text(text.as_bytes()));
    let [dev_mode, shm_mode] = ["mode=0755", "mode=1777"].map(|text| data.text(text.as_bytes()));
    let console = data.text(b"/dev/console");
    let program = data.text(start.program);
    let directory = data.text(start.directory);
    let arguments = data.list(&start.arguments);
    let env = data.list(&start.env);

    let mut code = Code::new(start.architecture);
    let quiet = NO_SUID | NO_DEVICES | NO_PROGRAMS;
    code.call(MOUNT, &[procfs, proc, procfs, quiet, 0]);
    code.call(MOUNT, &[sysfs, sys, sysfs, quiet, 0]);
    code.call(MOUNT, &[devtmpfs, dev, devtmpfs, NO_SUID, dev_mode]);
    code.call(MKDIRAT, &[HERE, shm, 0o755]);
    code.call(MOUNT, &[tmpfs, shm, tmpfs, NO_SUID | NO_DEVICES, shm_mode]);
    let (uid, gid) = (u64::from(start.uid), u64::from(start.gid));
    // Programs open `/dev/stdout` by its name, too.
    code.call(FCHOWNAT, &[HERE, console, uid, gid, 0]);
    code.call(CLONE, &[FORK, 0, 0, 0, 0]);
    let parent = code.keep_and_branch();
    code.call(SETSID, &[]);
    code.call(IOCTL, &[0, TAKE_TERMINAL, 0]);
    code.call(SETGROUPS, &[0, 0]);
    code.call(SETGID, &[gid]);
    code.call(SETUID, &[uid]);
    code.call(CHDIR, &[directory]);
    code.call(EXECVE, &[program, arguments, env]);
    code.call(EXIT, &[NOT_STARTED]);
    code.land(parent);
    let wait = code.here();
    code.call(WAIT4, &[ANY, 0, 0, 0]);
    code.repeat_unless_kept(wait);
    code.call(SYNC, &[]);
    let [first, second] = REBOOT_MAGIC;
    code.call(REBOOT, &[first, second, POWER_OFF, 0]);
    code.call(EXIT, &[0]);
    to_elf(start.architecture, &data.bytes, &code.into_bytes())
}

/// Texts and lists of them, which lie behind the headers.
#[derive(Debug, Default)]
struct Data {
    bytes: Vec<u8>,
}

impl Data {
    /// Adds a text and returns its address.
    fn text(&mut self, text: &[u8]) -> u64 {
        let at = self.address();
        // No text of an image has a zero in it.
        self.bytes.extend(text.iter().filter(|byte| **byte != 0));
        self.bytes.push(0);
        at
    }

    /// Adds a list of texts, ended by a zero, and returns its address.
    fn list(&mut self, texts: &[&[u8]]) -> u64 {
        let texts: Vec<u64> = texts.iter().map(|text| self.text(text)).collect();
        self.align();
        let at = self.address();
        for address in texts.into_iter().chain([0]) {
            self.bytes.extend(address.to_le_bytes());
        }
        at
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }

    const fn address(&self) -> u64 {
        BASE + HEADERS + self.bytes.len() as u64
    }
}

/// Joins data and code to a program of one segment. System V ABI, "Object Files".
fn to_elf(architecture: Architecture, data: &[u8], code: &[u8]) -> Vec<u8> {
    let machine: u16 = match architecture {
        Architecture::Amd64 => 62,
        Architecture::Arm64 => 183,
    };
    let mut data = data.to_vec();
    data.resize(data.len().next_multiple_of(8), 0);
    let size = HEADERS + data.len() as u64 + code.len() as u64;
    let entry = BASE + HEADERS + data.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    let (executable, version) = (2_u16, 1_u32);
    elf.extend(executable.to_le_bytes());
    elf.extend(machine.to_le_bytes());
    elf.extend(version.to_le_bytes());
    let (segments_at, sections_at) = (64_u64, 0_u64);
    for field in [entry, segments_at, sections_at] {
        elf.extend(field.to_le_bytes());
    }
    let flags = 0_u32;
    elf.extend(flags.to_le_bytes());
    for field in [64_u16, 56, 1, 64, 0, 0] {
        elf.extend(field.to_le_bytes());
    }
    let (loaded, read_and_execute) = (1_u32, 5_u32);
    elf.extend(loaded.to_le_bytes());
    elf.extend(read_and_execute.to_le_bytes());
    let page = 0x1_0000;
    for field in [0, BASE, BASE, size, size, page] {
        elf.extend(field.to_le_bytes());
    }
    elf.extend(data);
    elf.extend(code);
    elf
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    /// Runs the program as the first process of namespaces of its own, where it can mount and cannot switch off. `emulator` is empty or runs other processors'.
    fn run(architecture: Architecture, emulator: &[&str], program: &str) -> (String, Option<i32>) {
        let start = Start {
            architecture,
            program: program.as_bytes(),
            arguments: vec![
                b"sh",
                b"-c",
                b"echo \"$0 $A $PWD $1\"; exit 3",
                b"it's",
                b"here",
            ],
            env: vec![b"A=b c", b"PATH=/usr/bin:/bin"],
            directory: b"/usr",
            uid: 0,
            gid: 0,
        };
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("init");
        fs::write(&file, init(&start)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("unshare");
        let ended = command
            .args(["--user", "--map-root-user", "--mount", "--"])
            .args(emulator)
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        (said, ended.status.code())
    }

    #[test]
    fn it_starts_the_program_and_waits_for_it() {
        let native: &[&str] = &[];
        let (amd64, arm64): (&[&str], &[&str]) = if cfg!(target_arch = "x86_64") {
            (native, &["qemu-aarch64-static"])
        } else {
            (&["qemu-x86_64-static"], native)
        };
        for (architecture, emulator) in [(Architecture::Amd64, amd64), (Architecture::Arm64, arm64)]
        {
            let (said, status) = run(architecture, emulator, "/bin/sh");
            assert_eq!((said.as_str(), status), ("it's b c /usr here\n", Some(0)));
            let (said, status) = run(architecture, emulator, "/nowhere");
            assert_eq!((said.as_str(), status), ("", Some(0)));
        }
    }
}
