//! Machine code for a row of system calls, on both processors.
//!
//! Sources: Intel's manual, volume 2; Arm's reference manual, A64; Linux, `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`.

use crate::oci::Architecture;

/// A system call by its two numbers, that of amd64 first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call(u32, u16);

pub(super) const MKDIRAT: Call = Call(258, 34);
pub(super) const MOUNT: Call = Call(165, 40);
pub(super) const FCHOWNAT: Call = Call(260, 54);
pub(super) const CLONE: Call = Call(56, 220);
pub(super) const SETSID: Call = Call(112, 157);
pub(super) const IOCTL: Call = Call(16, 29);
pub(super) const SETGROUPS: Call = Call(116, 159);
pub(super) const SETGID: Call = Call(106, 144);
pub(super) const SETUID: Call = Call(105, 146);
pub(super) const CHDIR: Call = Call(80, 49);
pub(super) const EXECVE: Call = Call(59, 221);
pub(super) const EXIT: Call = Call(60, 93);
pub(super) const WAIT4: Call = Call(61, 260);
pub(super) const SYNC: Call = Call(162, 81);
pub(super) const REBOOT: Call = Call(169, 142);

/// `mov` of 64 bits into the registers of the first five arguments: rdi, rsi, rdx, r10, r8.
const AMD64_ARGUMENTS: [[u8; 2]; 5] = [
    [0x48, 0xbf],
    [0x48, 0xbe],
    [0x48, 0xba],
    [0x49, 0xba],
    [0x49, 0xb8],
];

/// Code that is being written.
#[derive(Debug)]
pub(super) struct Code {
    architecture: Architecture,
    bytes: Vec<u8>,
}

/// A place of the code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label(usize);

impl Code {
    pub(super) const fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            bytes: Vec::new(),
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Calls the kernel with at most five arguments. What it answers is in the register for that.
    pub(super) fn call(&mut self, call: Call, arguments: &[u64]) {
        match self.architecture {
            Architecture::Amd64 => {
                for (register, argument) in AMD64_ARGUMENTS.iter().zip(arguments) {
                    self.bytes.extend(register);
                    self.bytes.extend(argument.to_le_bytes());
                }
                self.bytes.push(0xb8); // mov eax, …
                self.bytes.extend(call.0.to_le_bytes());
                self.bytes.extend([0x0f, 0x05]); // syscall
            }
            Architecture::Arm64 => {
                for (register, argument) in (0..5_u32).zip(arguments) {
                    for (part, bytes) in (0..4_u32).zip(argument.to_le_bytes().chunks_exact(2)) {
                        // movz clears the rest of the register, movk keeps it.
                        let base = if part == 0 { 0xd280_0000 } else { 0xf280_0000 };
                        let value = u32::from(bytes[0]) | u32::from(bytes[1]) << 8;
                        self.word(base | part << 21 | value << 5 | register);
                    }
                }
                self.word(0xd280_0008 | u32::from(call.1) << 5); // movz x8, …
                self.word(0xd400_0001); // svc #0
            }
        }
    }

    /// Keeps the last answer, and goes on elsewhere where it is not 0; [`land`](Self::land) says where.
    pub(super) fn keep_and_branch(&mut self) -> Label {
        match self.architecture {
            Architecture::Amd64 => {
                self.bytes.extend([0x89, 0xc3]); // mov ebx, eax
                self.bytes.extend([0x85, 0xc0]); // test eax, eax
                self.branch_unequal()
            }
            Architecture::Arm64 => {
                self.word(0x2a00_03f3); // mov w19, w0
                let at = Label(self.bytes.len());
                self.word(0x3500_0000); // cbnz w0, …
                at
            }
        }
    }

    /// Goes back to `place` unless the last answer is the one that was kept.
    pub(super) fn repeat_unless_kept(&mut self, place: Label) {
        match self.architecture {
            Architecture::Amd64 => self.bytes.extend([0x39, 0xd8]), // cmp eax, ebx
            Architecture::Arm64 => self.word(0x6b13_001f),          // cmp w0, w19
        }
        let branch = self.branch_unequal();
        self.join(branch, place);
    }

    /// The place of what comes next.
    pub(super) const fn here(&self) -> Label {
        Label(self.bytes.len())
    }

    /// Has `branch` lead to what comes next.
    pub(super) fn land(&mut self, branch: Label) {
        self.join(branch, self.here());
    }

    fn branch_unequal(&mut self) -> Label {
        let at = Label(self.bytes.len());
        match self.architecture {
            Architecture::Amd64 => self.bytes.extend([0x0f, 0x85, 0, 0, 0, 0]), // jne …
            Architecture::Arm64 => self.word(0x5400_0001),                      // b.ne …
        }
        at
    }

    /// Writes into a branch how far away its target is.
    fn join(&mut self, branch: Label, target: Label) {
        let distance = |from: usize| {
            let distance = i64::try_from(target.0).ok().zip(i64::try_from(from).ok());
            let distance = distance.map(|(target, from)| target - from);
            let distance = distance.and_then(|distance| i32::try_from(distance).ok());
            distance.expect("a program of a few hundred bytes has short ways")
        };
        match self.architecture {
            Architecture::Amd64 => {
                // From the end of the instruction; its last four bytes say it.
                let end = branch.0 + 6;
                self.bytes[end - 4..end].copy_from_slice(&distance(end).to_le_bytes());
            }
            Architecture::Arm64 => {
                // In instructions, in bits 5 to 23.
                let words = distance(branch.0) / 4;
                let field = (words.cast_unsigned() & 0x7_ffff) << 5;
                let instruction = &mut self.bytes[branch.0..branch.0 + 4];
                for (byte, part) in instruction.iter_mut().zip(field.to_le_bytes()) {
                    *byte |= part;
                }
            }
        }
    }

    fn word(&mut self, instruction: u32) {
        self.bytes.extend(instruction.to_le_bytes());
    }
}
