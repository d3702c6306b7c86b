//! What each process does, one operation after the other, until its input ends.
//!
//! A finished operation is one line on standard output: a word, and for roots their name and path. `broken` and the reason ends the test.

use std::{
    env,
    io::{self, BufRead, Write},
    path::Path,
};

use store::{
    GcMode, GcOptions, LocalStore, RootKind, VerifyDepth, VerifyOptions, Watch, testing::open,
};

use tests::Random;

use crate::{
    TestResult,
    universe::{OBJECTS, ensure, inspect},
};

pub(crate) const ROLE: &str = "PITH_STRESS_ROLE";
pub(crate) const ROOT: &str = "PITH_STRESS_ROOT";
pub(crate) const SEED: &str = "PITH_STRESS_SEED";

/// The roles, each with how many processes have it.
pub(crate) const ROLES: &[(&str, usize)] = &[
    ("add", 3),
    ("use", 2),
    ("root", 2),
    ("collect", 2),
    ("verify", 1),
];

/// The child's part: works for each line of input, and says what it did.
pub(crate) fn role() -> TestResult {
    let (Ok(role), Ok(root), Ok(seed)) = (env::var(ROLE), env::var(ROOT), env::var(SEED)) else {
        return Ok(());
    };
    let mut random = Random::new(seed.parse()?);
    let output = io::stdout();
    for line in io::stdin().lock().lines() {
        line?;
        let said = operate(&role, Path::new(&root), &mut random, &mut |line| {
            let mut output = output.lock();
            writeln!(output, "{line}")?;
            output.flush()
        })
        .unwrap_or_else(|error| format!("broken {role}: {}", chain(&*error)));
        let mut output = output.lock();
        writeln!(output, "{said}")?;
        output.flush()?;
    }
    Ok(())
}

/// Does one operation, and returns what to say of it. `tell` is for what must be known before it is done.
fn operate(
    role: &str,
    root: &Path,
    random: &mut Random,
    tell: &mut dyn FnMut(&str) -> io::Result<()>,
) -> TestResult<String> {
    // Every operation is a command of its own: it opens the store, which recovers what the killed have left.
    let store = open(root)?;
    match role {
        "add" => {
            let lease = store.lease()?;
            ensure(&store, &lease, random.below(OBJECTS))?;
            Ok("added".into())
        }
        "use" => hold_and_inspect(&store, random),
        "root" => change_root(&store, random, tell),
        "collect" => collect(&store, random),
        "verify" => {
            let options = VerifyOptions {
                depth: VerifyDepth::Contents,
                ..VerifyOptions::default()
            };
            let report = store.verify(&options, &Watch::nobody())?;
            if report.findings.is_empty() {
                Ok("verified".into())
            } else {
                Err(format!("found damaged: {:?}", report.findings).into())
            }
        }
        role => Err(format!("unknown role `{role}`").into()),
    }
}

fn hold_and_inspect(store: &LocalStore, random: &mut Random) -> TestResult<String> {
    let lease = store.lease()?;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(ensure(store, &lease, random.below(OBJECTS))?);
        for info in &held {
            inspect(store, info)?;
        }
    }
    Ok("used".into())
}

fn change_root(
    store: &LocalStore,
    random: &mut Random,
    tell: &mut dyn FnMut(&str) -> io::Result<()>,
) -> TestResult<String> {
    let name = format!("root-{}-{}", std::process::id(), random.below(4));
    if random.below(3) == 0 {
        // From here on nobody may rely on it.
        tell(&format!("unrooting {name}"))?;
        store.remove_root(&name)?;
        return Ok("unrooted".into());
    }
    let lease = store.lease()?;
    let info = ensure(store, &lease, random.below(OBJECTS))?;
    tell(&format!("unrooting {name}"))?;
    store.add_root(&name, &info.path, RootKind::Explicit)?;
    Ok(format!("rooted {name} {}", info.path))
}

fn collect(store: &LocalStore, random: &mut Random) -> TestResult<String> {
    let options = GcOptions {
        mode: if random.below(8) == 0 {
            GcMode::DryRun
        } else {
            GcMode::Delete
        },
        free_bytes: (random.below(3) == 0).then_some(100_000),
        ..GcOptions::default()
    };
    let never = std::sync::atomic::AtomicBool::new(false);
    let report = store.collect_garbage(&options, &|_| {}, &never)?;
    Ok(format!("collected {}", report.collected.len()))
}

/// The whole chain of causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}
