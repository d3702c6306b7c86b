//! What the builder may not ask of the kernel: a table with a reason for each group of rows.
//!
//! Everything else is allowed: a list of allowed calls would break builds with each new libc.

/// Newer than the `libc` crate; one number on every architecture.
const SYS_SETXATTRAT: libc::c_long = 463;
const SYS_GETXATTRAT: libc::c_long = 464;
const SYS_LISTXATTRAT: libc::c_long = 465;
const SYS_REMOVEXATTRAT: libc::c_long = 466;
const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
const SYS_FCHMODAT2: libc::c_long = 452;

/// Types a character as if the user had; wider than 32 bits in the `libc` crate, as the next.
const TIOCSTI: u32 = 0x5412;
/// Pastes the selection of the console, among other things.
const TIOCLINUX: u32 = 0x541C;

/// One row: a call, in which cases, what the builder gets for it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) call: libc::c_long,
    pub(crate) when: When,
    pub(crate) answer: i32,
}

/// The cases in which a row counts. Argument numbers begin at 0.
///
/// Every argument in question is a 32-bit number for the kernel; what a program puts above is ignored by both.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Always,
    /// The argument has one of the set-id bits.
    SetId(u8),
    /// The flags create a file and the mode has one of the set-id bits.
    CreatesSetId {
        flags: u8,
        mode: u8,
    },
    /// The argument has this bit.
    Bit(u8, u32),
    /// The argument, as the kernel's 32-bit number, is this.
    Is(u8, u32),
    /// The argument is none of these.
    IsNot(u8, &'static [u32]),
    /// The first argument is this and the other is not that.
    IsAndIsNot((u8, u32), (u8, u32)),
}

const fn deny(call: libc::c_long, when: When, answer: i32) -> Row {
    Row { call, when, answer }
}

/// "Operation not permitted": the program asked for something it must not have.
const EPERM: i32 = libc::EPERM;
/// "No such system call": programs know this answer and fall back to an older call.
const ENOSYS: i32 = libc::ENOSYS;
/// "Not supported": what a file system without extended attributes says.
const ENOTSUP: i32 = libc::ENOTSUP;
/// "Address family not supported": what a kernel without that protocol says.
const EAFNOSUPPORT: i32 = libc::EAFNOSUPPORT;

/// The calls of every architecture.
pub(crate) const TABLE: &[Row] = &[
    // Set-id files in a build directory were the way out of other build sandboxes (CVE-2024-38531), and the store holds none.
    deny(libc::SYS_fchmod, When::SetId(1), EPERM),
    deny(libc::SYS_fchmodat, When::SetId(2), EPERM),
    deny(SYS_FCHMODAT2, When::SetId(2), EPERM),
    deny(libc::SYS_mknodat, When::SetId(2), EPERM),
    deny(libc::SYS_mkdirat, When::SetId(2), EPERM),
    deny(
        libc::SYS_openat,
        When::CreatesSetId { flags: 2, mode: 3 },
        EPERM,
    ),
    // Their arguments lie in memory, where a filter cannot look; libc falls back to openat and clone.
    deny(libc::SYS_openat2, When::Always, ENOSYS),
    deny(libc::SYS_clone3, When::Always, ENOSYS),
    // The store holds no extended attributes, access lists or file capabilities; and those of the host are no input.
    deny(libc::SYS_setxattr, When::Always, ENOTSUP),
    deny(libc::SYS_lsetxattr, When::Always, ENOTSUP),
    deny(libc::SYS_fsetxattr, When::Always, ENOTSUP),
    deny(SYS_SETXATTRAT, When::Always, ENOTSUP),
    deny(libc::SYS_getxattr, When::Always, ENOTSUP),
    deny(libc::SYS_lgetxattr, When::Always, ENOTSUP),
    deny(libc::SYS_fgetxattr, When::Always, ENOTSUP),
    deny(SYS_GETXATTRAT, When::Always, ENOTSUP),
    deny(libc::SYS_listxattr, When::Always, ENOTSUP),
    deny(libc::SYS_llistxattr, When::Always, ENOTSUP),
    deny(libc::SYS_flistxattr, When::Always, ENOTSUP),
    deny(SYS_LISTXATTRAT, When::Always, ENOTSUP),
    deny(libc::SYS_removexattr, When::Always, ENOTSUP),
    deny(libc::SYS_lremovexattr, When::Always, ENOTSUP),
    deny(libc::SYS_fremovexattr, When::Always, ENOTSUP),
    deny(SYS_REMOVEXATTRAT, When::Always, ENOTSUP),
    // A new user namespace gives every capability in it, and with them the parts of the kernel where most holes were found.
    deny(
        libc::SYS_unshare,
        When::Bit(0, libc::CLONE_NEWUSER as u32),
        EPERM,
    ),
    deny(
        libc::SYS_clone,
        When::Bit(0, libc::CLONE_NEWUSER as u32),
        EPERM,
    ),
    deny(libc::SYS_setns, When::Always, EPERM),
    // Mounts are made by us.
    deny(libc::SYS_mount, When::Always, EPERM),
    deny(libc::SYS_umount2, When::Always, EPERM),
    deny(libc::SYS_pivot_root, When::Always, EPERM),
    deny(libc::SYS_chroot, When::Always, EPERM),
    deny(libc::SYS_fsopen, When::Always, EPERM),
    deny(libc::SYS_fsconfig, When::Always, EPERM),
    deny(libc::SYS_fsmount, When::Always, EPERM),
    deny(libc::SYS_fspick, When::Always, EPERM),
    deny(libc::SYS_move_mount, When::Always, EPERM),
    deny(libc::SYS_open_tree, When::Always, EPERM),
    deny(SYS_OPEN_TREE_ATTR, When::Always, EPERM),
    deny(libc::SYS_mount_setattr, When::Always, EPERM),
    // Submits calls past this filter.
    deny(libc::SYS_io_uring_setup, When::Always, ENOSYS),
    deny(libc::SYS_io_uring_enter, When::Always, ENOSYS),
    deny(libc::SYS_io_uring_register, When::Always, ENOSYS),
    // Keyrings belong to the kernel's user, not to a namespace: another build or the caller could be met there.
    deny(libc::SYS_keyctl, When::Always, ENOSYS),
    deny(libc::SYS_add_key, When::Always, ENOSYS),
    deny(libc::SYS_request_key, When::Always, ENOSYS),
    // Programs in the kernel, and ways to stop it in the middle of a copy: tools of exploits, not of builds.
    deny(libc::SYS_bpf, When::Always, EPERM),
    deny(libc::SYS_perf_event_open, When::Always, EPERM),
    deny(libc::SYS_userfaultfd, When::Always, EPERM),
    deny(libc::SYS_fanotify_init, When::Always, EPERM),
    // Other processes' memory and files; debuggers inside use ptrace, which is bound to the process namespace.
    deny(libc::SYS_process_vm_readv, When::Always, EPERM),
    deny(libc::SYS_process_vm_writev, When::Always, EPERM),
    deny(libc::SYS_process_madvise, When::Always, EPERM),
    deny(libc::SYS_pidfd_getfd, When::Always, EPERM),
    deny(libc::SYS_kcmp, When::Always, EPERM),
    // Files by their number, past every directory.
    deny(libc::SYS_open_by_handle_at, When::Always, EPERM),
    deny(libc::SYS_name_to_handle_at, When::Always, EPERM),
    // The machine itself.
    deny(libc::SYS_kexec_load, When::Always, EPERM),
    deny(libc::SYS_kexec_file_load, When::Always, EPERM),
    deny(libc::SYS_init_module, When::Always, EPERM),
    deny(libc::SYS_finit_module, When::Always, EPERM),
    deny(libc::SYS_delete_module, When::Always, EPERM),
    deny(libc::SYS_swapon, When::Always, EPERM),
    deny(libc::SYS_swapoff, When::Always, EPERM),
    deny(libc::SYS_reboot, When::Always, EPERM),
    deny(libc::SYS_quotactl, When::Always, EPERM),
    deny(libc::SYS_quotactl_fd, When::Always, EPERM),
    deny(libc::SYS_acct, When::Always, EPERM),
    deny(libc::SYS_syslog, When::Always, EPERM),
    deny(libc::SYS_vhangup, When::Always, EPERM),
    deny(libc::SYS_settimeofday, When::Always, EPERM),
    deny(libc::SYS_clock_settime, When::Always, EPERM),
    deny(libc::SYS_adjtimex, When::Always, EPERM),
    deny(libc::SYS_clock_adjtime, When::Always, EPERM),
    deny(libc::SYS_nfsservctl, When::Always, ENOSYS),
    deny(libc::SYS_lookup_dcookie, When::Always, EPERM),
    // Typing into the caller's terminal (CVE-2017-5226). The kernel reads 32 bits of the number, so we compare as many.
    deny(libc::SYS_ioctl, When::Is(1, TIOCSTI), EPERM),
    deny(libc::SYS_ioctl, When::Is(1, TIOCLINUX), EPERM),
    // Families without a namespace (AF_VSOCK reaches the hypervisor) or with a history; netlink only to ask for routes.
    deny(libc::SYS_socket, When::IsNot(0, FAMILIES), EAFNOSUPPORT),
    deny(
        libc::SYS_socket,
        When::IsAndIsNot(
            (0, libc::AF_NETLINK as u32),
            (2, libc::NETLINK_ROUTE as u32),
        ),
        EAFNOSUPPORT,
    ),
    deny(
        libc::SYS_socketpair,
        When::IsNot(0, &[libc::AF_UNIX as u32]),
        EAFNOSUPPORT,
    ),
];

/// The calls that only the older architectures have.
#[cfg(target_arch = "x86_64")]
pub(crate) const OLD_TABLE: &[Row] = &[
    deny(libc::SYS_chmod, When::SetId(1), EPERM),
    deny(libc::SYS_mknod, When::SetId(1), EPERM),
    deny(libc::SYS_mkdir, When::SetId(1), EPERM),
    deny(libc::SYS_creat, When::SetId(1), EPERM),
    deny(
        libc::SYS_open,
        When::CreatesSetId { flags: 1, mode: 2 },
        EPERM,
    ),
    deny(libc::SYS_iopl, When::Always, EPERM),
    deny(libc::SYS_ioperm, When::Always, EPERM),
    deny(libc::SYS_uselib, When::Always, ENOSYS),
    deny(libc::SYS_ustat, When::Always, ENOSYS),
    deny(libc::SYS_sysfs, When::Always, ENOSYS),
    deny(libc::SYS__sysctl, When::Always, ENOSYS),
];
#[cfg(target_arch = "aarch64")]
pub(crate) const OLD_TABLE: &[Row] = &[];

/// The socket families a program may use.
const FAMILIES: &[u32] = &[
    libc::AF_UNIX as u32,
    libc::AF_INET as u32,
    libc::AF_INET6 as u32,
    libc::AF_NETLINK as u32,
];
