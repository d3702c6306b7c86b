//! What a sandbox costs around a program that does nothing: a chain of them, and as many from several threads.
//!
//! It protects the sum of all builds' overhead: 100 in a chain are to take at most 0.3 s, 3 ms each. And it protects the start of installed programs:
//! the same program on the host with one directory more is to cost at most 15 ms above a direct execution.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use sandbox::{Access, Launcher, Mount, SandboxSpec, Status};

const RUNS: usize = 300;
const THREADS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let program = compile(directory.path())?;
    let helper = Path::new(env!("CARGO_BIN_EXE_sandbox-helper"));
    let launcher = Launcher::new(helper)?;
    let spec = SandboxSpec {
        mounts: vec![Mount {
            source: program.clone(),
            target: "/true".into(),
            access: Access::ReadOnly,
        }],
        argv: vec!["/true".into()],
        cwd: "/".into(),
        ..SandboxSpec::default()
    };
    let run = || {
        let outcome = launcher.run(&spec, &mut |_| {}, &AtomicBool::new(false));
        assert!(outcome.is_ok_and(|outcome| outcome.status == Status::Exited(0)));
    };
    run();

    let started = Instant::now();
    (0..RUNS).for_each(|_| run());
    report("chain", started);

    let left = AtomicUsize::new(RUNS);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    run();
                }
            });
        }
    });
    report("parallel", started);

    for (name, mut command) in [
        ("direct", Command::new(&program)),
        ("on the host", on_host(helper, directory.path(), &program)),
    ] {
        let started = Instant::now();
        for _ in 0..RUNS {
            assert!(command.status()?.success());
        }
        report(name, started);
    }
    Ok(())
}

fn on_host(helper: &Path, shown: &Path, program: &Path) -> Command {
    let mut command = Command::new(helper);
    command.arg(shown).arg("/pith-bench/store").arg(program);
    command
}

#[expect(
    clippy::print_stdout,
    reason = "the figures are what a benchmark is for"
)]
fn report(name: &str, started: Instant) {
    let each = started.elapsed() / u32::try_from(RUNS).unwrap_or(u32::MAX);
    println!("{name}: {RUNS} runs, {each:?} each");
}

/// Compiles a static program that does nothing, so that only the sandbox is measured.
fn compile(directory: &Path) -> Result<std::path::PathBuf, Box<dyn Error>> {
    let (source, program) = (directory.join("true.c"), directory.join("true"));
    std::fs::write(&source, "int main(void) { return 0; }\n")?;
    let status = Command::new("cc")
        .args(["-static", "-O1", "-o"])
        .args([&program, &source])
        .status()?;
    if status.success() {
        Ok(program)
    } else {
        Err("a C compiler is needed".into())
    }
}
