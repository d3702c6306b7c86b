//! From the table to one BPF program, and that into the kernel.
//!
//! One program instead of one for each answer, as the `seccompiler` crate would make: installing is a seventh of the cost of a
//! sandbox that way, and a build calls the conditional ones (`openat`, `ioctl`) all the time. Calls that do not look at arguments
//! are cached by the kernel and cost nothing, so the conditional ones come first.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, sock_filter};

use super::table::{OLD_TABLE, Row, TABLE, When};
use crate::error::OsError;

/// `AUDIT_ARCH_X86_64` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
/// `AUDIT_ARCH_AARCH64` of linux/audit.h.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// The calls of x32 have the numbers of x86-64 with this bit, so no row would match them.
const X32_BIT: u32 = 0x4000_0000;

// Offsets in `struct seccomp_data` of linux/seccomp.h; of an argument the lower half is read, on little-endian machines.
const CALL: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;
const ARGUMENT_BYTES: u32 = 8;

// Instructions of linux/bpf_common.h, each class | size or operation | mode.
const LOAD: u16 = 0x20; // LD | W | ABS
const AND: u16 = 0x54; // ALU | AND | K
const JUMP_IF_EQUAL: u16 = 0x15; // JMP | JEQ | K
const JUMP_IF_NOT_BELOW: u16 = 0x35; // JMP | JGE | K
const RETURN: u16 = 0x06; // RET | K

/// The compiled filter.
#[derive(Debug)]
pub(crate) struct Filter {
    program: BpfProgram,
}

/// One test of an argument: its bits under the mask are, or are not, the value.
#[derive(Debug, Clone, Copy)]
struct Test {
    argument: u8,
    mask: u32,
    value: u32,
    holds_if_equal: bool,
}

impl Filter {
    /// Compiles the table.
    pub(crate) fn compile() -> Self {
        Self {
            program: assemble(TABLE.iter().chain(OLD_TABLE)),
        }
    }

    /// Installs the filter for this thread and all it will start. It can never be removed. Sets `no_new_privs` as well.
    pub(crate) fn install(&self) -> Result<(), OsError> {
        seccompiler::apply_filter(&self.program).map_err(|error| match error {
            seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => {
                source.into()
            }
            _ => OsError(libc::EINVAL),
        })
    }
}

fn assemble<'a>(rows: impl Iterator<Item = &'a Row>) -> BpfProgram {
    let mut by_call: BTreeMap<libc::c_long, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_call.entry(row.call).or_default().push(row);
    }
    let (always, conditional): (Vec<_>, Vec<_>) = by_call
        .into_iter()
        .partition(|(_, rows)| rows.iter().any(|row| matches!(row.when, When::Always)));
    let kill = instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![
        instruction(LOAD, ARCH),
        jump(JUMP_IF_EQUAL, ARCHITECTURE, 1, 0),
        kill.clone(),
        instruction(LOAD, CALL),
        jump(JUMP_IF_NOT_BELOW, X32_BIT, 0, 1),
        kill,
    ];
    for (call, rows) in conditional.into_iter().chain(always) {
        let mut block: BpfProgram = rows.into_iter().flat_map(assemble_row).collect();
        block.push(instruction(RETURN, libc::SECCOMP_RET_ALLOW));
        let number = u32::try_from(call).expect("call numbers are small and positive");
        program.push(jump(JUMP_IF_EQUAL, number, 0, distance(block.len())));
        program.extend(block);
    }
    program.push(instruction(RETURN, libc::SECCOMP_RET_ALLOW));
    program
}

/// For each case of the row: jump behind it unless all its tests hold, otherwise give the answer.
fn assemble_row(row: &Row) -> BpfProgram {
    let errno = row.answer.unsigned_abs() & libc::SECCOMP_RET_DATA;
    let mut block = Vec::new();
    for tests in cases(row.when) {
        // Three instructions a test, and the answer.
        let mut left = tests.len() * 3 + 1;
        for test in tests {
            left -= 3;
            block.push(instruction(
                LOAD,
                ARGUMENTS + u32::from(test.argument) * ARGUMENT_BYTES,
            ));
            block.push(instruction(AND, test.mask));
            let away = distance(left);
            let (if_equal, otherwise) = if test.holds_if_equal {
                (0, away)
            } else {
                (away, 0)
            };
            block.push(jump(JUMP_IF_EQUAL, test.value, if_equal, otherwise));
        }
        block.push(instruction(RETURN, libc::SECCOMP_RET_ERRNO | errno));
    }
    block
}

/// Returns the cases, of which any one makes the row count; each is a list of tests that must all hold.
fn cases(when: When) -> Vec<Vec<Test>> {
    const ALL_BITS: u32 = u32::MAX;
    let bit = |argument, bit| Test {
        argument,
        mask: bit,
        value: bit,
        holds_if_equal: true,
    };
    let is = |argument, value| Test {
        argument,
        mask: ALL_BITS,
        value,
        holds_if_equal: true,
    };
    let is_not = |argument, value| Test {
        argument,
        mask: ALL_BITS,
        value,
        holds_if_equal: false,
    };
    let set_id_bits = [libc::S_ISUID, libc::S_ISGID];
    match when {
        When::Always => vec![vec![]],
        When::SetId(mode) => set_id_bits.map(|set_id| vec![bit(mode, set_id)]).into(),
        When::CreatesSetId { flags, mode } => {
            // Of O_TMPFILE the bit that is not O_DIRECTORY.
            let creating = [libc::O_CREAT, libc::O_TMPFILE & !libc::O_DIRECTORY]
                .map(libc::c_int::unsigned_abs);
            let pairs = creating
                .into_iter()
                .flat_map(|create| set_id_bits.map(|set_id| (create, set_id)));
            pairs
                .map(|(create, set_id)| vec![bit(flags, create), bit(mode, set_id)])
                .collect()
        }
        When::Bit(argument, wanted) => vec![vec![bit(argument, wanted)]],
        When::Is(argument, value) => vec![vec![is(argument, value)]],
        When::IsNot(argument, values) => vec![
            values
                .iter()
                .map(|&value| is_not(argument, value))
                .collect(),
        ],
        When::IsAndIsNot((one, value), (other, not)) => {
            vec![vec![is(one, value), is_not(other, not)]]
        }
    }
}

fn instruction(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).expect("the rows of one call are far fewer than 255 instructions")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a program as the kernel would.
    fn interpret(program: &[sock_filter], arch: u32, call: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match step.code {
                LOAD => {
                    accumulator = match step.k {
                        CALL => call,
                        ARCH => arch,
                        offset => {
                            lower_half(arguments[((offset - ARGUMENTS) / ARGUMENT_BYTES) as usize])
                        }
                    }
                }
                AND => accumulator &= step.k,
                JUMP_IF_EQUAL => at += distance_of(step, accumulator == step.k),
                JUMP_IF_NOT_BELOW => {
                    at += distance_of(step, accumulator >= step.k);
                }
                RETURN => return step.k,
                code => panic!("no such instruction: {code}"),
            }
        }
    }

    fn lower_half(value: u64) -> u32 {
        (value & 0xFFFF_FFFF) as u32
    }

    fn distance_of(jump: &sock_filter, holds: bool) -> usize {
        usize::from(if holds { jump.jt } else { jump.jf })
    }

    /// What the table says, read row by row.
    fn look_up(call: u32, arguments: [u64; 6]) -> u32 {
        let argument = |index: u8| lower_half(arguments[usize::from(index)]);
        let set_id = |mode: u8| argument(mode) & (libc::S_ISUID | libc::S_ISGID) != 0;
        let creating = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)).unsigned_abs();
        let row = TABLE
            .iter()
            .chain(OLD_TABLE)
            .filter(|row| row.call == i64::from(call))
            .find(|row| match row.when {
                When::Always => true,
                When::SetId(mode) => set_id(mode),
                When::CreatesSetId { flags, mode } => {
                    argument(flags) & creating != 0 && set_id(mode)
                }
                When::Bit(index, bit) => argument(index) & bit != 0,
                When::Is(index, value) => argument(index) == value,
                When::IsNot(index, values) => !values.contains(&argument(index)),
                When::IsAndIsNot((one, value), (other, not)) => {
                    argument(one) == value && argument(other) != not
                }
            });
        row.map_or(libc::SECCOMP_RET_ALLOW, |row| {
            libc::SECCOMP_RET_ERRNO | row.answer.unsigned_abs()
        })
    }

    fn argument() -> impl Strategy<Value = u64> {
        let interesting = [
            0,
            1,
            2,
            3,
            10,
            16,
            40,
            0o4755,
            0o2755,
            0o755,
            0o100,
            0x5412,
            0x541C,
            0x1000_0000,
            0x0040_0000,
        ];
        prop_oneof![proptest::sample::select(interesting.to_vec()), any::<u64>()]
    }

    proptest! {
        #[test]
        fn the_program_answers_as_the_table_says(
            call in 0_u32..480,
            arguments in proptest::array::uniform6(argument()),
        ) {
            let program = Filter::compile().program;
            prop_assert_eq!(interpret(&program, ARCHITECTURE, call, arguments), look_up(call, arguments));
        }
    }

    #[test]
    fn other_architectures_and_x32_are_killed() {
        let program = Filter::compile().program;
        let i386 = 0x4000_0003;
        assert_eq!(
            interpret(&program, i386, 20, [0; 6]),
            libc::SECCOMP_RET_KILL_PROCESS
        );
        assert_eq!(
            interpret(&program, ARCHITECTURE, X32_BIT + 39, [0; 6]),
            libc::SECCOMP_RET_KILL_PROCESS
        );
        assert_eq!(
            interpret(&program, ARCHITECTURE, u32::MAX, [0; 6]),
            libc::SECCOMP_RET_KILL_PROCESS
        );
    }

    #[test]
    fn the_program_fits_the_kernels_limit() {
        assert!(Filter::compile().program.len() <= 4096);
    }
}
