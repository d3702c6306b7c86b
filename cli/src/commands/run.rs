//! `pith run`: a target's program where only its closure exists.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use pack::rootfs::RootSet;
use recipes::debian::tree_of;
use recipes::model::OutputRef;
use sandbox::{Access, File, Mount, Network, SandboxSpec, Status, Stdio, User};
use store::{LocalStore, STORE_DIR, StorePath};

use crate::context::Context;
use crate::error::CommandError;
use crate::program::{ProgramError, default_program};
use crate::realise::{RealiseOptions, realise};
use crate::select::{Selection, Want, select};
use crate::system::{Scratch, accounts, environment, lay_out};

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
    let selection = as_tree(selection)?;
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
    let real = store.real_path(path);
    let set = RootSet::load(&real).map_err(CommandError::failed)?;
    let scratch = Scratch::new().map_err(CommandError::failed)?;
    let mut spec = match set {
        Some(set) => system(args, context, &real, &set, &scratch)?,
        None => {
            let program = match &args.program {
                Some(program) => program.clone(),
                None => default_program(&real, path, &name)?,
            };
            specification(args, context, &store, path, &program)?
        }
    };
    let tmp = scratch.mount(Path::new("/tmp"));
    spec.mounts.push(tmp.map_err(CommandError::failed)?);
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

/// What runs of packages of Debian is one tree with all of their files.
fn as_tree(selection: Selection) -> Result<Selection, CommandError> {
    let Selection::Output { package, output } = &selection else {
        return Ok(selection);
    };
    Ok(match tree_of(output.derivation())? {
        Some(tree) => Selection::Output {
            package: package.clone(),
            output: OutputRef::default_of(tree),
        },
        None => selection,
    })
}

/// The specification for a tree of packages of Debian, which lies at `/`.
fn system(
    args: &RunArgs,
    context: &Context,
    real: &Path,
    set: &RootSet,
    scratch: &Scratch,
) -> Result<SandboxSpec, CommandError> {
    let mut argv: Vec<OsString> = match &args.program {
        Some(program) => vec![program.into()],
        None => set.entrypoint.iter().map(OsString::from).collect(),
    };
    if argv.is_empty() {
        let error = ProgramError::NoDefault(args.target.clone());
        return Err(CommandError::failed(error).hint("`--program NAME` runs one of its programs"));
    }
    if args.arguments.is_empty() && args.program.is_none() {
        argv.extend(set.cmd.iter().map(OsString::from));
    }
    argv.extend(args.arguments.iter().cloned());
    let mut spec = base(args, context, Vec::new());
    spec.files = accounts(real, &caller_accounts());
    spec.files.push(nsswitch());
    spec.argv = argv;
    spec.env.extend(environment(set));
    lay_out(&mut spec, real, set, scratch).map_err(CommandError::failed)?;
    Ok(spec)
}

fn specification(
    args: &RunArgs,
    context: &Context,
    store: &LocalStore,
    path: &StorePath,
    program: &str,
) -> Result<SandboxSpec, CommandError> {
    let closure = store.closure(std::slice::from_ref(path))?;
    let mounts = closure.paths().map(|path| Mount {
        source: store.real_path(path),
        target: PathBuf::from(path.to_logical()),
        access: Access::ReadOnly,
    });
    let mut spec = base(args, context, mounts.collect());
    let bin = format!("{STORE_DIR}/{path}/bin");
    let program = OsString::from(format!("{bin}/{program}"));
    spec.argv = [program]
        .into_iter()
        .chain(args.arguments.iter().cloned())
        .collect();
    spec.env.insert("PATH".into(), bin.into());
    if let Some(bundle) = closure
        .paths()
        .map(|path| certificates(store, path))
        .find_map(|bundle| bundle)
    {
        spec.env.insert("SSL_CERT_FILE".into(), bundle.into());
    }
    let own = caller_accounts().into_iter().map(|(path, text)| File {
        path: path.into(),
        bytes: text.into_bytes(),
        mode: 0o644,
    });
    spec.files = own.chain([nsswitch()]).collect();
    Ok(spec)
}

/// What every program gets: the network, the working directory if it shall, and the caller's ids.
fn base(args: &RunArgs, context: &Context, mut mounts: Vec<Mount>) -> SandboxSpec {
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
    let mut env = context.settings().variables.passed_on.clone();
    env.insert("HOME".into(), "/tmp".into());
    SandboxSpec {
        mounts,
        env,
        cwd,
        network,
        stdio: Stdio::Inherited,
        user: User::Caller,
        ..SandboxSpec::default()
    }
}

/// The lines about the caller, by file.
fn caller_accounts() -> [(&'static str, String); 2] {
    let ids = (nix::unistd::getuid(), nix::unistd::getgid());
    [
        (
            "/etc/passwd",
            format!("user:x:{}:{}::/tmp:/bin/false\n", ids.0, ids.1),
        ),
        ("/etc/group", format!("user:x:{}:\n", ids.1)),
    ]
}

fn nsswitch() -> File {
    File {
        path: "/etc/nsswitch.conf".into(),
        bytes: b"passwd: files\ngroup: files\nhosts: files dns\n".to_vec(),
        mode: 0o644,
    }
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
