//! What a builder sees: from a resolved derivation to the description of its sandbox. Pure.
//!
//! **Invariant.** Two builds of one resolved digest see the same, wherever the store lies, whoever builds, on however many
//! processors: all that differs between machines is the number in `PITH_BUILD_CORES`, and real paths that the builder
//! cannot see.
//!
//! The builder writes its outputs at their scratch paths in `/pith/store`, which is a private, writable directory into
//! which the inputs are mounted read-only. So it can make an output a file, a directory or a link, and whatever else it
//! writes there is found afterwards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Access, File, Level, Limits, Mount, Network, SandboxSpec, Stdio, Symlink, User};

use crate::model::{Derivation, ResolvedDerivation};
use store::{STORE_DIR, StorePath};

const WORK_DIR: &str = "/build";
const TEMPORARY_DIR: &str = "/build/tmp";

const PASSWD: &str = "root:x:0:0:root:/:/noshell\n\
                      pith:x:1000:100:builder:/homeless:/noshell\n\
                      nobody:x:65534:65534:nobody:/:/noshell\n";
const GROUP: &str = "root:x:0:\nusers:x:100:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";

/// Bounds on one builder; a derivation may have shorter ones.
#[derive(Clone, Debug)]
pub struct BuildLimits {
    /// How long it may run.
    pub timeout: Duration,
    /// How long it may write nothing.
    pub silence: Option<Duration>,
    /// How much it may write to its log.
    pub log_bytes: u64,
    /// How much it may keep on disk.
    pub disk_bytes: u64,
    /// How much memory it may use.
    pub memory_bytes: Option<u64>,
    /// How many processes it may have at one time.
    pub processes: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(4 * 3600),
            silence: Some(Duration::from_secs(3600)),
            log_bytes: 256 << 20,
            disk_bytes: 64 << 30,
            memory_bytes: None,
            processes: 16_384,
        }
    }
}

/// Where a build happens on this machine, and how much of the machine it gets.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// Shown at `/build`.
    pub(super) work: &'a Path,
    /// Shown at `/pith/store`.
    pub(super) store: &'a Path,
    /// The objects that the builder sees, and where they really lie.
    pub(super) closure: &'a [(StorePath, PathBuf)],
    /// Where the seed really lies.
    pub(super) seed: Option<&'a Path>,
    pub(super) cores: usize,
    pub(super) limits: &'a BuildLimits,
    /// Overrides what the derivation says.
    pub(super) timeout: Option<Duration>,
    pub(super) weakest_level: Level,
}

/// Returns where each output is written, in the order of the derivation.
pub(super) fn scratch_paths(derivation: &Derivation) -> Vec<StorePath> {
    derivation
        .outputs()
        .iter()
        .map(|output| store::scratch_path(output.store_name(), output.name()))
        .collect()
}

/// Describes the sandbox of a build.
pub(super) fn sandbox_spec(
    derivation: &Derivation,
    resolved: &ResolvedDerivation,
    place: &Place<'_>,
) -> SandboxSpec {
    let read_write = |source: &Path, target: &str| Mount {
        source: source.to_owned(),
        target: target.into(),
        access: Access::ReadWrite,
    };
    let mut mounts = vec![
        read_write(place.work, WORK_DIR),
        read_write(place.store, STORE_DIR),
    ];
    mounts.extend(place.closure.iter().map(|(path, real)| Mount {
        source: real.clone(),
        target: path.to_logical().into(),
        access: Access::ReadOnly,
    }));
    let mut symlinks = vec![symlink("build/tmp", "/tmp")];
    if let Some(seed) = place.seed {
        mounts.push(Mount {
            source: seed.join("usr"),
            target: "/usr".into(),
            access: Access::ReadOnly,
        });
        for top in ["bin", "lib", "lib64", "sbin"] {
            symlinks.push(symlink(&format!("usr/{top}"), &format!("/{top}")));
        }
    }
    let own = derivation.limits();
    let limits = place.limits;
    SandboxSpec {
        mounts,
        symlinks,
        files: vec![
            file("/etc/passwd", PASSWD),
            file("/etc/group", GROUP),
            file("/etc/hosts", HOSTS),
        ],
        directories: Vec::new(),
        argv: resolved.argv.iter().map(OsString::from).collect(),
        env: environment(derivation, resolved, place.cores),
        cwd: WORK_DIR.into(),
        network: Network::Denied,
        stdio: Stdio::Captured,
        user: User::Builder,
        limits: Limits {
            wall: Some(place.timeout.or(own.timeout).unwrap_or(limits.timeout)),
            silence: own.silence.or(limits.silence),
            log_bytes: Some(limits.log_bytes),
            memory_bytes: limits.memory_bytes,
            processes: Some(limits.processes),
            disk_bytes: Some(limits.disk_bytes),
        },
        weakest_level: place.weakest_level,
    }
}

/// The whole environment: what every build has, then what the derivation says, then its outputs.
fn environment(
    derivation: &Derivation,
    resolved: &ResolvedDerivation,
    cores: usize,
) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = [
        ("HOME", "/homeless"),
        ("LC_ALL", "C.UTF-8"),
        ("SOURCE_DATE_EPOCH", "1"),
        ("TMPDIR", TEMPORARY_DIR),
        ("TZ", "UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect();
    if resolved.seed.is_some() {
        env.insert("PATH".into(), "/usr/bin".into());
    }
    env.insert("PITH_BUILD_CORES".into(), cores.max(1).to_string().into());
    env.extend(
        resolved
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    for (output, scratch) in derivation.outputs().iter().zip(scratch_paths(derivation)) {
        env.insert(output.name().into(), scratch.to_logical().into());
    }
    env
}

fn symlink(target: &str, link: &str) -> Symlink {
    Symlink {
        target: target.into(),
        link: link.into(),
    }
}

fn file(path: &str, text: &str) -> File {
    File {
        path: path.into(),
        bytes: text.as_bytes().to_vec(),
        mode: 0o444,
    }
}
