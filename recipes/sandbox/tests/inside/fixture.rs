//! A launcher, the compiled probe and a private build directory.

use std::error::Error;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use sandbox::{Access, Launcher, Mount, Outcome, SandboxSpec, Status};
use tempfile::TempDir;

pub(crate) type TestResult = Result<(), Box<dyn Error>>;

/// Everything that a test needs to try something inside.
pub(crate) struct Inside {
    directory: TempDir,
    pub(crate) launcher: Launcher,
}

impl Inside {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        fs::create_dir(directory.path().join("build"))?;
        fs::copy(compiled_probe()?, directory.path().join("probe"))?;
        Ok(Self {
            directory,
            launcher: Launcher::new(helper())?,
        })
    }

    /// The build directory, outside.
    pub(crate) fn build(&self) -> PathBuf {
        self.directory.path().join("build")
    }

    /// A specification in which the probe makes these attempts, with `/probe` and `/build` and nothing else.
    pub(crate) fn spec(&self, attempts: &[&str]) -> SandboxSpec {
        let mut argv = vec!["/probe".into()];
        argv.extend(attempts.iter().map(Into::into));
        SandboxSpec {
            mounts: vec![
                mount(
                    self.directory.path().join("probe"),
                    "/probe",
                    Access::ReadOnly,
                ),
                mount(self.build(), "/build", Access::ReadWrite),
            ],
            argv,
            cwd: "/build".into(),
            ..SandboxSpec::default()
        }
    }

    /// Runs `spec` and returns all output.
    pub(crate) fn run(&self, spec: &SandboxSpec) -> Result<(Outcome, String), Box<dyn Error>> {
        let mut output = Vec::new();
        let mut log = |bytes: &[u8]| output.extend_from_slice(bytes);
        let outcome = self.launcher.run(spec, &mut log, &AtomicBool::new(false))?;
        Ok((outcome, String::from_utf8_lossy(&output).into_owned()))
    }

    /// Makes the attempts and returns what they printed. All are made, whatever comes of them.
    pub(crate) fn attempt(&self, attempts: &[&str]) -> Result<String, Box<dyn Error>> {
        let (outcome, output) = self.run(&self.spec(attempts))?;
        assert_eq!(outcome.status, Status::Exited(0), "{output}");
        Ok(output)
    }

    /// Makes each attempt and compares its result: `ok` or the name of an error.
    pub(crate) fn expect(&self, attempts: &[(&str, &str)]) -> TestResult {
        let names: Vec<_> = attempts.iter().map(|(attempt, _)| *attempt).collect();
        let expected: String = attempts
            .iter()
            .map(|(attempt, result)| {
                let name = attempt.split('=').next().unwrap_or(attempt);
                format!("{name}: {result}\n")
            })
            .collect();
        assert_eq!(self.attempt(&names)?, expected);
        Ok(())
    }
}

/// Returns the compiled probe, which all tests share where the build directory can be written to.
fn compiled_probe() -> Result<PathBuf, Box<dyn Error>> {
    let source = include_str!("probe.c");
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let probe = shared.join(format!("probe-{:016x}", hasher.finish()));
    if probe.exists() {
        return Ok(probe);
    }
    let own = tempfile::tempdir_in(shared)
        .or_else(|_| tempfile::tempdir())?
        .keep();
    fs::write(own.join("probe.c"), source)?;
    let compiled = Command::new("cc")
        .args(["-static", "-O1", "-o", "probe", "probe.c"])
        .current_dir(&own)
        .status()?;
    assert!(
        compiled.success(),
        "a C compiler and the static C library are needed"
    );
    // Another test may do the same at once; both files are good.
    match fs::rename(own.join("probe"), &probe) {
        Ok(()) => fs::remove_dir_all(&own).map(|()| probe).map_err(Into::into),
        Err(_) => Ok(own.join("probe")),
    }
}

/// The program whose `main` begins with `helper_main_if_requested`.
pub(crate) fn helper() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sandbox-helper"))
}

pub(crate) fn mount(source: impl Into<PathBuf>, target: &str, access: Access) -> Mount {
    Mount {
        source: source.into(),
        target: target.into(),
        access,
    }
}

/// Whether this test runs as root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
