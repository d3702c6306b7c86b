//! `pith run`: a target's program where only its closure exists.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;
use pack::rootfs::RootSet;
use sandbox::SandboxSpec;
use store::{LocalStore, STORE_DIR, StorePath};

use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::debian::tree_in;
use crate::error::CommandError;
use crate::inside::{
    accounts, certificates, enter_here, exit_status, network, read_only, surroundings,
};
use crate::program::{ProgramError, default_program};
use crate::realise::realise;
use crate::select::{Want, select};
use crate::selection::Selection;
use crate::system::{Scratch, lay_out};

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
    let selection = tree_in(&selection)?.unwrap_or(selection);
    let name = match &selection {
        Selection::Output { package, .. } => package.name.clone(),
        _ => String::new(),
    };
    let store = context.open_store()?;
    let realised = realise(context, &store, &[selection], &RealiseOptions::default())?;
    let Some(path) = realised.paths.first() else {
        return Err(CommandError::failed(
            crate::selection::SelectError::NotValid(args.target.clone()),
        ));
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
    let mut spec = base(args, context);
    spec.argv = argv;
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
    let mut spec = base(args, context);
    let mounts = closure
        .paths()
        .map(|path| read_only(store.real_path(path), path.to_logical().into()));
    spec.mounts.extend(mounts);
    let bin = format!("{STORE_DIR}/{path}/bin");
    let program = OsString::from(format!("{bin}/{program}"));
    spec.argv = [program]
        .into_iter()
        .chain(args.arguments.iter().cloned())
        .collect();
    spec.env.insert("PATH".into(), bin.into());
    if let Some(bundle) = certificates(store, closure.paths()) {
        spec.env.insert("SSL_CERT_FILE".into(), bundle.into());
    }
    spec.files = accounts();
    Ok(spec)
}

/// What every program gets: the network and the working directory if it shall.
fn base(args: &RunArgs, context: &Context) -> SandboxSpec {
    let mut spec = surroundings(context, network(args.no_network));
    if args.here {
        enter_here(&mut spec, context);
    }
    spec
}
