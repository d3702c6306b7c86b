//! `pith shell`: programs of targets on PATH, for a command or for typing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use pack::rootfs::RootSet;
use recipes::build::{FailedDirectory, find_failed};
use sandbox::{Limits, SandboxSpec, Stdio, Symlink};
use store::{Closure, LocalStore, StorePath};
use thiserror::Error;

use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::debian::tree_in;
use crate::error::CommandError;
use crate::inside::{
    accounts, certificates, enter_here, exit_status, network, read_only, surroundings,
};
use crate::launch;
use crate::realise::realise;
use crate::select::{Want, select, select_all};
use crate::selection::{SelectError, Selection};
use crate::system::{Scratch, lay_out};

/// How soon an interruption that was meant for the shell is forgotten; two within this time would end this program.
const FORGET: Duration = Duration::from_millis(20);
/// The packages that make a shell to type in, where the collection has them.
const INTERACTIVE: [&str; 2] = ["bash", "coreutils"];
/// The shell of a build's seed.
const SEED_SHELL: &str = "/usr/bin/bash";
/// Where a build has its directory, and the sources in it.
const BUILD_DIRECTORIES: [&str; 2] = ["build/source", "build"];

/// Open a shell with the programs of targets on PATH
///
/// It sees the closure of the targets, the working directory, an empty /tmp, the network, and nothing else of the machine.
/// A target such as `zlib^dev` puts its headers, libraries and pkg-config files where compilers look.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Whose programs
    #[arg(required_unless_present = "failed", value_name = "TARGET")]
    targets: Vec<String>,
    /// On top of this machine's own system, instead of in a namespace
    #[arg(long)]
    host: bool,
    /// What the targets are built with, instead of the targets: their direct inputs, and the seed at /usr
    #[arg(long, conflicts_with = "host")]
    inputs: bool,
    /// Enter the sandbox of the last failed build that was kept (`pith build --keep-failed`), or of the last one of TARGET
    #[arg(long, conflicts_with_all = ["host", "inputs"])]
    failed: bool,
    /// No network but `lo`
    #[arg(long, conflicts_with = "host")]
    no_network: bool,
    /// A program with its arguments, instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Debug, Error)]
enum ShellError {
    #[error("no failed build was kept")]
    NothingKept,
    #[error("no failed build of `{0}` was kept")]
    NothingKeptOf(String),
    #[error("`{0}`, which the failed build needs, is not in the store any more")]
    InputGone(String),
    #[error("`{0}` and `{1}` cannot both be at `/`")]
    TwoSystems(String, String),
    #[error("`{0}` is no tree of packages")]
    NoSystem(String),
    #[error("packages of Debian, as `{0}`, cannot be used on top of this machine's own system")]
    OnHost(String),
    #[error("cannot start `{}`", program.display())]
    Start { program: PathBuf, source: io::Error },
}

/// What a shell is made of.
struct Tools {
    /// Whose programs are on PATH, in this order.
    on_path: Vec<StorePath>,
    /// The seed, where the build sees one.
    seed: Option<StorePath>,
    /// The files of Debian's packages.
    tree: Option<StorePath>,
    closure: Closure,
}

/// Runs the shell and returns its exit status; 128 and the signal's number for one that a signal ended.
pub(crate) fn shell(args: &ShellArgs, context: &Context) -> Result<u8, CommandError> {
    let store = context.open_store()?;
    if args.failed {
        return enter_failed(args, context, &store);
    }
    let evaluator = context.evaluator();
    let mut selections = select_all(context, &evaluator, &args.targets, Want::Objects)?;
    let (mut seed, mut tree) = (None, None);
    if args.inputs {
        (selections, seed) = inputs(&selections, &args.targets)?;
    } else {
        tree = take_tree(args, &mut selections)?;
    }
    let own = selections.len();
    selections.extend(seed.clone().or(tree.clone()));
    if args.command.is_empty() && !args.host && seed.is_none() {
        for name in INTERACTIVE {
            if evaluator.evaluate_package(name).is_ok() {
                selections.push(select(context, &evaluator, name, Want::Objects)?);
            }
        }
    }
    // Keeps the paths while the shell runs.
    let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
    let mut on_path = realised.paths.clone();
    let seed = seed.map(|_| on_path.remove(own));
    let tree = tree.map(|_| on_path.remove(own));
    let tools = Tools {
        closure: store.closure(&realised.paths)?,
        on_path,
        seed,
        tree,
    };
    if args.host {
        return on_host(args, context, &store, &tools);
    }
    let scratch = Scratch::new().map_err(CommandError::failed)?;
    let spec = specification(args, context, &store, &tools, &scratch)?;
    run(context, &spec)
}

/// Takes the target of Debian's packages out, of which there can be one, and makes it the tree of their files.
fn take_tree(
    args: &ShellArgs,
    selections: &mut Vec<Selection>,
) -> Result<Option<Selection>, CommandError> {
    let mut found = None;
    for (index, target) in args.targets.iter().enumerate().rev() {
        let Some(tree) = selections.get(index).map(tree_in).transpose()?.flatten() else {
            continue;
        };
        if args.host {
            return Err(CommandError::failed(ShellError::OnHost(target.clone()))
                .hint("without --host they are at `/` of a namespace"));
        }
        if let Some((_, other)) = found.replace((tree, target)) {
            let error = ShellError::TwoSystems(target.clone(), other.clone());
            return Err(CommandError::failed(error).hint("`debian:A,B` is one target with both"));
        }
        selections.remove(index);
    }
    Ok(found.map(|(tree, _)| tree))
}

/// What the targets are built with: everything that is built itself, and the seed of the first that has one.
fn inputs(
    selections: &[Selection],
    targets: &[String],
) -> Result<(Vec<Selection>, Option<Selection>), CommandError> {
    let mut inputs = Vec::new();
    let mut seed = None;
    for (selection, target) in selections.iter().zip(targets) {
        let Selection::Output { package, .. } = selection else {
            return Err(SelectError::NoRecipe(target.clone()).into());
        };
        let as_selection = |output: &recipes::model::OutputRef| Selection::Output {
            package: package.clone(),
            output: output.clone(),
        };
        let derivation = &package.derivation;
        let is_built = |output: &&recipes::model::OutputRef| {
            matches!(
                output.derivation().builder(),
                recipes::model::Builder::Program(_)
            )
        };
        inputs.extend(
            derivation
                .inputs()
                .iter()
                .filter(is_built)
                .map(as_selection),
        );
        seed = seed.or_else(|| derivation.seed().map(as_selection));
    }
    Ok((inputs, seed))
}

/// The directories of the tools that exist, in `/pith/store`, with colons between.
fn directories(store: &LocalStore, tools: &Tools, below: &str) -> Option<String> {
    let found: Vec<String> = tools
        .on_path
        .iter()
        .filter(|path| store.real_path(path).join(below).is_dir())
        .map(|path| format!("{}/{below}", path.to_logical()))
        .collect();
    (!found.is_empty()).then(|| found.join(":"))
}

/// The variables by which programs, compilers and pkg-config find things.
fn variables(store: &LocalStore, tools: &Tools) -> BTreeMap<OsString, OsString> {
    let named = [
        ("PATH", "bin"),
        ("C_INCLUDE_PATH", "include"),
        ("CPLUS_INCLUDE_PATH", "include"),
        ("LIBRARY_PATH", "lib"),
        ("PKG_CONFIG_PATH", "lib/pkgconfig"),
    ];
    let mut variables: BTreeMap<OsString, OsString> = named
        .into_iter()
        .filter_map(|(name, below)| Some((name.into(), directories(store, tools, below)?.into())))
        .collect();
    if let Some(bundle) = certificates(store, tools.closure.paths()) {
        variables.insert("SSL_CERT_FILE".into(), bundle.into());
    }
    variables
}

fn specification(
    args: &ShellArgs,
    context: &Context,
    store: &LocalStore,
    tools: &Tools,
    scratch: &Scratch,
) -> Result<SandboxSpec, CommandError> {
    let mut spec = surroundings(context, network(args.no_network));
    let shown = tools
        .closure
        .paths()
        .filter(|path| tools.seed.as_ref() != Some(path) && tools.tree.as_ref() != Some(path));
    spec.mounts
        .extend(shown.map(|path| read_only(store.real_path(path), path.to_logical().into())));
    spec.env.extend(variables(store, tools));
    if let Some(seed) = &tools.seed {
        spec.mounts
            .push(read_only(store.real_path(seed).join("usr"), "/usr".into()));
        for top in ["bin", "lib", "lib64", "sbin"] {
            spec.symlinks.push(Symlink {
                target: Path::new("usr").join(top),
                link: Path::new("/").join(top),
            });
        }
        let path = spec.env.entry("PATH".into()).or_default();
        if !path.is_empty() {
            path.push(":");
        }
        path.push("/usr/bin");
    }
    let tmp = scratch.mount(Path::new("/tmp"));
    spec.mounts.push(tmp.map_err(CommandError::failed)?);
    enter_here(&mut spec, context);
    spec.env
        .insert("PITH_SHELL".into(), args.targets.join(" ").into());
    spec.argv.clone_from(&args.command);
    if spec.argv.is_empty() {
        spec.argv.push("bash".into());
    }
    let Some(tree) = &tools.tree else {
        spec.files = accounts();
        return Ok(spec);
    };
    let real = store.real_path(tree);
    let set = RootSet::load(&real).map_err(CommandError::failed)?;
    let set = set.ok_or_else(|| CommandError::failed(ShellError::NoSystem(tree.to_logical())))?;
    let rest = spec.env.remove(OsStr::new("PATH"));
    lay_out(&mut spec, &real, &set, scratch).map_err(CommandError::failed)?;
    let path = spec.env.entry("PATH".into()).or_default();
    *path = joined(path, rest.as_deref());
    Ok(spec)
}

/// Runs what the specification says, on the terminal.
fn run(context: &Context, spec: &SandboxSpec) -> Result<u8, CommandError> {
    let launcher = context.launcher()?;
    let outcome =
        while_interrupts_are_the_shells(context, |cancel| launcher.run(spec, &mut |_| {}, cancel));
    Ok(exit_status(&outcome?.status))
}

/// Does `work` while a Ctrl-C on the terminal means the program in front of it, which gets it from the terminal, and not this one, which a second one would
/// end at once. Without a terminal an interruption ends both.
fn while_interrupts_are_the_shells<T>(context: &Context, work: impl FnOnce(&AtomicBool) -> T) -> T {
    if !io::stdin().is_terminal() {
        return work(context.cancel());
    }
    let (never, done) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let forget = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                context.cancel().store(false, Ordering::Relaxed);
                thread::park_timeout(FORGET);
            }
        });
        let result = work(&never);
        done.store(true, Ordering::Relaxed);
        forget.thread().unpark();
        result
    })
}

/// Runs the command, or the user's own shell, on the machine as it is, with the tools in front.
fn on_host(
    args: &ShellArgs,
    context: &Context,
    store: &LocalStore,
    tools: &Tools,
) -> Result<u8, CommandError> {
    let variables = &context.settings().variables;
    let mut command = args.command.clone();
    if command.is_empty() {
        command.push(variables.shell.clone().unwrap_or_else(|| "/bin/sh".into()));
    }
    let program = command.remove(0);
    let mut process = launch::on_host(&store.store_directory(), &program, &command)
        .map_err(CommandError::failed)?;
    for (name, value) in self::variables(store, tools) {
        let before = match name.to_str() {
            Some("PATH") => variables.path.as_deref(),
            _ => None,
        };
        process.env(&name, joined(&value, before));
    }
    process.env("PITH_SHELL", args.targets.join(" "));
    let status = while_interrupts_are_the_shells(context, |_| process.status());
    let status = status.map_err(|source| {
        let program = program.into();
        CommandError::failed(ShellError::Start { program, source })
    })?;
    let of_signal = || {
        status
            .signal()
            .map_or(i32::from(u8::MAX), |signal| 128 + signal)
    };
    let status = status.code().unwrap_or_else(of_signal);
    Ok(u8::try_from(status).unwrap_or(u8::MAX))
}

fn joined(value: &OsStr, rest: Option<&OsStr>) -> OsString {
    let mut joined = value.to_owned();
    if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
        joined.push(":");
        joined.push(rest);
    }
    joined
}

/// Runs a shell where a failed build ran, with what it left.
fn enter_failed(
    args: &ShellArgs,
    context: &Context,
    store: &LocalStore,
) -> Result<u8, CommandError> {
    let name = match args.targets.first() {
        None => None,
        Some(target) => match select(context, &context.evaluator(), target, Want::Objects)? {
            Selection::Output { package, .. } => Some(package.derivation.name().to_string()),
            _ => return Err(SelectError::NoRecipe(target.clone()).into()),
        },
    };
    let found = find_failed(store, name.as_deref()).map_err(CommandError::failed)?;
    let Some(FailedDirectory { path, mut spec }) = found else {
        let error = match args.targets.first() {
            Some(target) => ShellError::NothingKeptOf(target.clone()),
            None => ShellError::NothingKept,
        };
        return Err(CommandError::failed(error)
            .hint("`pith build --keep-failed TARGET` keeps what a failed build leaves"));
    };
    let inputs: Vec<StorePath> = spec
        .mounts
        .iter()
        .filter_map(|mount| mount.target.file_name()?.to_str()?.parse().ok())
        .collect();
    let lease = store.lease()?;
    if let Some(gone) = store.hold(&lease, &inputs)?.first() {
        return Err(
            CommandError::failed(ShellError::InputGone(gone.to_logical()))
                .hint("`pith build --keep-failed` builds it again"),
        );
    }
    context.printer().note(&format!("in {}", path.display()));
    let source = BUILD_DIRECTORIES
        .iter()
        .find(|below| path.join(below).is_dir());
    spec.cwd = Path::new("/").join(source.unwrap_or(&"build"));
    if args.command.is_empty() {
        spec.argv = vec![SEED_SHELL.into()];
    } else {
        spec.argv.clone_from(&args.command);
    }
    for (variable, value) in &context.settings().variables.passed_on {
        spec.env
            .entry(variable.clone())
            .or_insert_with(|| value.clone());
    }
    spec.stdio = Stdio::Inherited;
    spec.limits = Limits::default();
    run(context, &spec)
}
