//! `pith run`: a target's program where only its closure exists.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use sandbox::{Access, File, Mount, Network, SandboxSpec, Status, Stdio, User};
use store::{LocalStore, STORE_DIR, StorePath};

use crate::context::Context;
use crate::error::CommandError;
use crate::program::default_program;
use crate::realise::{RealiseOptions, realise};
use crate::select::{Selection, Want, select};

/// Files of the machine without which names of hosts cannot be looked up.
const NETWORK_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Run a target's program in a namespace where only its closure exists
///
/// The program sees the store paths of its closure, an empty /tmp, the network, and nothing else of the machine.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The program called as the package is, or the package's only one, unless --program says otherwise
    #[arg(value_name = "TARGET")]
    target: String,
    /// Which program of the package's `bin`
    #[arg(short, long, value_name = "NAME")]
    program: Option<String>,
    /// Let the program see and change the working directory
    #[arg(long)]
    here: bool,
    /// No network but `lo`
    #[arg(long)]
    no_network: bool,
    /// What the program is given
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<OsString>,
}

/// Runs the program and returns its exit status; 128 and the signal's number for one that a signal ended.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<u8, CommandError> {
    let selection = select(context, &context.evaluator(), &args.target, Want::Objects)?;
    let name = match &selection {
        Selection::Output { package, .. } => package.name.clone(),
        _ => String::new(),
    };
    let store = context.open_store()?;
    let realised = realise(context, &store, &[selection], &RealiseOptions::default())?;
    let Some(path) = realised.paths.first() else {
        return Err(CommandError::failed(crate::select::SelectError::NotValid(
            args.target.clone(),
        )));
    };
    let program = match &args.program {
        Some(program) => program.clone(),
        None => default_program(&store.real_path(path), path, &name)?,
    };
    let temporary = tempfile::tempdir().map_err(CommandError::failed)?;
    let spec = specification(args, context, &store, (path, &program), temporary.path())?;
    let outcome = context
        .launcher()?
        .run(&spec, &mut |_| {}, context.cancel())?;
    Ok(exit_status(&outcome.status))
}

/// The exit status of this program for the end of one that it ran: 128 and the signal's number for one that a signal ended.
pub(crate) fn exit_status(status: &Status) -> u8 {
    match status {
        Status::Exited(status) => u8::try_from(*status).unwrap_or(u8::MAX),
        Status::Signaled(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        _ => crate::error::ExitStatus::Interrupted as u8,
    }
}

fn specification(
    args: &RunArgs,
    context: &Context,
    store: &LocalStore,
    (path, program): (&StorePath, &str),
    temporary: &Path,
) -> Result<SandboxSpec, CommandError> {
    let closure = store.closure(std::slice::from_ref(path))?;
    let mut mounts: Vec<_> = closure
        .paths()
        .map(|path| Mount {
            source: store.real_path(path),
            target: PathBuf::from(path.to_logical()),
            access: Access::ReadOnly,
        })
        .collect();
    mounts.push(writable(temporary.to_owned(), "/tmp".into()));
    let network = if args.no_network {
        Network::Denied
    } else {
        Network::Shared
    };
    if network == Network::Shared {
        let present = NETWORK_FILES
            .iter()
            .filter_map(|file| Path::new(file).canonicalize().ok().zip(Some(file)));
        mounts.extend(present.map(|(source, target)| Mount {
            source,
            target: target.into(),
            access: Access::ReadOnly,
        }));
    }
    let mut cwd = PathBuf::from("/tmp");
    if args.here {
        cwd = context.directory().to_path_buf();
        mounts.push(writable(cwd.clone(), cwd.clone()));
    }
    let bin = format!("{STORE_DIR}/{path}/bin");
    let argv = [OsString::from(format!("{bin}/{program}"))]
        .into_iter()
        .chain(args.arguments.iter().cloned());
    let mut env = context.settings().variables.passed_on.clone();
    env.insert("PATH".into(), bin.into());
    env.insert("HOME".into(), "/tmp".into());
    if let Some(bundle) = closure
        .paths()
        .map(|path| certificates(store, path))
        .find_map(|bundle| bundle)
    {
        env.insert("SSL_CERT_FILE".into(), bundle.into());
    }
    let ids = (nix::unistd::getuid(), nix::unistd::getgid());
    let files = [
        (
            "/etc/passwd",
            format!("user:x:{}:{}::/tmp:/bin/false\n", ids.0, ids.1),
        ),
        ("/etc/group", format!("user:x:{}:\n", ids.1)),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
        ),
    ];
    Ok(SandboxSpec {
        mounts,
        files: files
            .into_iter()
            .map(|(path, text)| File {
                path: path.into(),
                bytes: text.into_bytes(),
                mode: 0o644,
            })
            .collect(),
        argv: argv.collect(),
        env,
        cwd,
        network,
        stdio: Stdio::Inherited,
        user: User::Caller,
        ..SandboxSpec::default()
    })
}

/// A directory of the machine that the program may change.
pub(crate) fn writable(source: PathBuf, target: PathBuf) -> Mount {
    Mount {
        source,
        target,
        access: Access::ReadWrite,
    }
}

/// Where the certificate authorities of a closure are, if it has any.
fn certificates(store: &LocalStore, path: &StorePath) -> Option<String> {
    let file = "etc/ssl/certs/ca-certificates.crt";
    store
        .real_path(path)
        .join(file)
        .is_file()
        .then(|| format!("{}/{file}", path.to_logical()))
}
