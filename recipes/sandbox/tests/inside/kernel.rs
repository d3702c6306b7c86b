//! The parts of the kernel that are out of reach.

use crate::fixture::{Inside, TestResult};

#[test]
fn new_user_namespaces_are_refused() -> TestResult {
    Inside::new()?.expect(&[
        ("unshare_user", "EPERM"),
        ("unshare_mounts", "EPERM"),
        ("clone_user", "EPERM"),
        ("clone3_user", "ENOSYS"),
        ("enter_namespace", "EPERM"),
    ])
}

#[test]
fn mounts_are_refused() -> TestResult {
    Inside::new()?.expect(&[
        ("mount_tmpfs", "EPERM"),
        ("remount", "EPERM"),
        ("unmount_proc", "EPERM"),
        ("open_context", "EPERM"),
        ("clone_tree", "EPERM"),
        ("change_mount", "EPERM"),
        ("change_root", "EPERM"),
    ])
}

#[test]
fn io_uring_is_refused() -> TestResult {
    Inside::new()?.expect(&[("io_uring", "ENOSYS")])
}

#[test]
fn keyrings_are_refused() -> TestResult {
    Inside::new()?.expect(&[("keyring", "ENOSYS"), ("add_key", "ENOSYS")])
}

#[test]
fn bpf_perf_and_userfaultfd_are_refused() -> TestResult {
    Inside::new()?.expect(&[("bpf", "EPERM"), ("perf", "EPERM"), ("userfault", "EPERM")])
}

#[test]
fn files_by_handle_are_refused() -> TestResult {
    Inside::new()?.expect(&[("open_handle", "EPERM"), ("name_handle", "EPERM")])
}

#[test]
fn the_machine_is_out_of_reach() -> TestResult {
    Inside::new()?.expect(&[
        ("load_module", "EPERM"),
        ("swap_on", "EPERM"),
        ("reboot_machine", "EPERM"),
        ("load_kernel", "EPERM"),
        ("quota", "EPERM"),
        ("set_clock", "EPERM"),
    ])
}

#[test]
fn typing_into_the_terminal_is_refused_also_with_high_bits_set() -> TestResult {
    Inside::new()?.expect(&[
        ("type_into_terminal", "EPERM"),
        ("type_with_high_bits", "EPERM"),
        ("paste_into_terminal", "EPERM"),
    ])
}

#[test]
fn the_calls_of_other_architectures_kill() -> TestResult {
    let output = Inside::new()?.attempt(&["call_x32", "call_i386"])?;
    assert_eq!(
        output,
        "signal 31\ncall_x32: ok\nsignal 31\ncall_i386: ok\n"
    );
    Ok(())
}

#[test]
fn processes_outside_can_be_neither_traced_nor_killed() -> TestResult {
    let own = std::process::id();
    Inside::new()?.expect(&[
        (&format!("trace_process={own}"), "ESRCH"),
        (&format!("signal_process={own}"), "ESRCH"),
        ("read_memory", "EPERM"),
        ("steal_file", "EPERM"),
    ])
}

#[test]
fn the_first_process_can_be_neither_traced_nor_killed() -> TestResult {
    Inside::new()?.expect(&[
        ("trace_init", "EPERM"),
        ("kill_init", "ok"),
        ("terminate_init", "ok"),
        ("print_file=/proc/1/mem", "EACCES"),
        ("chmod_plain=/build", "ok"),
    ])
}
