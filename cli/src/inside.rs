//! What a program in a namespace sees of the machine and of its user, whatever else it sees.

use std::path::{Path, PathBuf};

use nix::unistd::{getgid, getuid};
use sandbox::{Access, File, Mount, Network, SandboxSpec, Status, Stdio, User};
use store::{LocalStore, StorePath};

use crate::context::Context;
use crate::error::ExitStatus;

/// Files of the machine without which names of hosts cannot be looked up.
const NETWORK_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// Where packages have certificate authorities.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The caller's terminal, ids and variables, with `/tmp` as the home and working directory, and the network unless it is denied.
pub(crate) fn surroundings(context: &Context, network: Network) -> SandboxSpec {
    let mut mounts = Vec::new();
    if network == Network::Shared {
        let present = NETWORK_FILES
            .iter()
            .filter_map(|file| Path::new(file).canonicalize().ok().zip(Some(file)));
        mounts.extend(present.map(|(source, target)| read_only(source, target.into())));
    }
    let mut env = context.settings().variables.passed_on.clone();
    env.insert("HOME".into(), "/tmp".into());
    SandboxSpec {
        mounts,
        env,
        cwd: "/tmp".into(),
        network,
        stdio: Stdio::Inherited,
        user: User::Caller,
        ..SandboxSpec::default()
    }
}

/// The network that programs have unless the user says otherwise.
pub(crate) const fn network(denied: bool) -> Network {
    if denied {
        Network::Denied
    } else {
        Network::Shared
    }
}

/// Shows the working directory, which the program may change, and starts the program there.
pub(crate) fn enter_here(spec: &mut SandboxSpec, context: &Context) {
    let here = context.directory().to_path_buf();
    spec.mounts.push(Mount {
        source: here.clone(),
        target: here.clone(),
        access: Access::ReadWrite,
    });
    spec.cwd = here;
}

/// Something that the program may not change.
pub(crate) const fn read_only(source: PathBuf, target: PathBuf) -> Mount {
    Mount {
        source,
        target,
        access: Access::ReadOnly,
    }
}

/// The files of `/etc` that know the caller, and nobody else.
pub(crate) fn accounts() -> Vec<File> {
    let lines = caller_accounts();
    let own = lines.into_iter().map(|(path, text)| file(path, text));
    own.chain([nsswitch()]).collect()
}

/// The lines about the caller, by file.
pub(crate) fn caller_accounts() -> [(&'static str, String); 2] {
    let (user, group) = (getuid(), getgid());
    [
        (
            "/etc/passwd",
            format!("user:x:{user}:{group}::/tmp:/bin/false\n"),
        ),
        ("/etc/group", format!("user:x:{group}:\n")),
    ]
}

/// Where users and hosts are looked up.
pub(crate) fn nsswitch() -> File {
    let text = "passwd: files\ngroup: files\nhosts: files dns\n";
    file("/etc/nsswitch.conf", text.to_owned())
}

fn file(path: &str, text: String) -> File {
    File {
        path: path.into(),
        bytes: text.into_bytes(),
        mode: 0o644,
    }
}

/// Where the certificate authorities of a closure are, if it has any.
pub(crate) fn certificates<'a>(
    store: &LocalStore,
    mut closure: impl Iterator<Item = &'a StorePath>,
) -> Option<String> {
    let provider = closure.find(|path| store.real_path(path).join(CERTIFICATES).is_file())?;
    Some(format!("{}/{CERTIFICATES}", provider.to_logical()))
}

/// The exit status of this program for the end of one that it ran: 128 and the signal's number for one that a signal ended.
pub(crate) fn exit_status(status: &Status) -> u8 {
    match status {
        Status::Exited(status) => u8::try_from(*status).unwrap_or(u8::MAX),
        Status::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        _ => ExitStatus::Interrupted as u8,
    }
}
