//! The system calls that neither `rustix` nor `nix` offers as safe functions; the only file that may contain `unsafe`.
//!
//! Everything here is called in the helper, which has one thread, or in its forks.
#![expect(
    unsafe_code,
    reason = "system calls that no crate wraps; one operation a block"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::process::Pid;

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub(crate) enum Fork {
    /// The new process.
    Child,
    /// The old one.
    Parent {
        /// The new process.
        pid: Pid,
        /// The same, as a descriptor that cannot come to mean another process.
        pidfd: OwnedFd,
    },
}

/// Forks, the child in the new namespaces named by `flags` (`CLONE_NEW*`, or 0).
///
/// Must only be called by a process with one thread: the child has a copy of the whole state, locks included.
pub(crate) fn fork(flags: libc::c_int) -> io::Result<Fork> {
    let mut pidfd: libc::c_int = -1;
    let flags = libc::c_long::from(flags | libc::CLONE_PIDFD | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack `clone` behaves as `fork`: the child goes on with a copy of this stack.
    // The third argument is, on x86-64 and aarch64 alike, where CLONE_PIDFD writes one int, and `pidfd` outlives the call.
    // The process has one thread (see the module), so the copy holds no lock of another thread.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => {
            let pid = i32::try_from(pid)
                .ok()
                .and_then(Pid::from_raw)
                .ok_or(io::ErrorKind::InvalidData)?;
            // SAFETY: the kernel has just opened this descriptor for us, and nothing else knows it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Fork::Parent { pid, pidfd })
        }
    }
}

/// Ends this process at once, without running what the parent registered for its exit.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: `_exit` takes no pointers and does not return.
    unsafe { libc::_exit(status) }
}

/// The attributes that [`set_mount_attributes`] adds, and the propagation it sets; `struct mount_attr` of linux/mount.h.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct MountAttributes {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns_fd: u64,
}

/// Calls `mount_setattr(2)` on the mount that `tree` is open on, and on everything mounted below when `recursive`.
pub(crate) fn set_mount_attributes(
    tree: impl AsFd,
    recursive: bool,
    attributes: &MountAttributes,
) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open for the length of the call, the path is a constant C string, and the last two arguments
    // are a live `struct mount_attr` of the kernel's layout (four u64, `repr(C)`) and its size; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Marks every descriptor from `first` on to be closed at the next exec.
pub(crate) fn close_at_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes three numbers. It closes nothing now, so no owned descriptor becomes invalid in this program.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sets every signal to its default action and blocks none.
pub(crate) fn reset_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        set_disposition(signal, libc::SIG_DFL)?;
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    Ok(())
}

/// Ignores `signal` from now on.
pub(crate) fn ignore_signal(signal: nix::sys::signal::Signal) -> io::Result<()> {
    set_disposition(signal as libc::c_int, libc::SIG_IGN)
}

/// Sets `signal` to its default action.
pub(crate) fn default_signal(signal: nix::sys::signal::Signal) -> io::Result<()> {
    set_disposition(signal as libc::c_int, libc::SIG_DFL)
}

fn set_disposition(signal: libc::c_int, disposition: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: both dispositions passed by the callers are constants of libc, so no function of ours becomes a handler.
    let result = unsafe { libc::signal(signal, disposition) };
    // glibc keeps two real-time signals to itself and answers EINVAL for them.
    if result == libc::SIG_ERR && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Brings up the interface `lo` of the current network namespace.
pub(crate) fn bring_up_loopback() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    let mut name = [0; libc::IFNAMSIZ];
    name[0] = libc::c_char::try_from(b'l').unwrap_or_default();
    name[1] = libc::c_char::try_from(b'o').unwrap_or_default();
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    let request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    // SAFETY: SIOCSIFFLAGS reads one `struct ifreq`, whose name ends in a zero and whose flags are initialised.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
