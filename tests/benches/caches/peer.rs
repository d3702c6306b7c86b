//! The peer: `nix copy` of the same directories, to a directory and back. Debian's `nix`, and every other one that `PITH_BENCH_NIX` names.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::measure::{middle, report, shell, time};

use crate::{OBJECTS, median};

/// More programs to measure, with colons between them. `tests/run --full` makes one for the nix of Debian sid.
const PROGRAMS: &str = "PITH_BENCH_NIX";

/// One program, and where it keeps what it makes.
struct Nix<'a> {
    program: &'a str,
    place: &'a Path,
}

impl Nix<'_> {
    /// Returns what it calls itself; `None` if it cannot be started.
    fn version(&self) -> Option<String> {
        let output = Command::new(self.program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(self.program)
            .args(["--extra-experimental-features", "nix-command"])
            .args(arguments)
            .env("HOME", self.place)
            .env("NIX_CONFIG", "build-users-group =\nrequire-sigs = false\n")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    fn store(&self, name: &str) -> String {
        format!("local?root={}", self.place.join(name).display())
    }
}

/// Measures all programs that there are, beside a push that took `pushed` and further pulls of ours.
pub(crate) fn measure(
    place: &Path,
    trees: &Path,
    pushed: Duration,
    pull: &mut dyn FnMut() -> Duration,
) {
    let named = env::var(PROGRAMS).unwrap_or_default();
    let named = named.split(':').filter(|name| !name.is_empty());
    for (number, program) in ["nix"].into_iter().chain(named).enumerate() {
        let place = &place.join(format!("nix-{number}"));
        std::fs::create_dir(place).unwrap();
        let nix = Nix { program, place };
        match nix.version() {
            Some(version) => measure_one(&nix, &version, trees, pushed, pull),
            None => report("push 30 objects", pushed, program, None),
        }
    }
}

/// Measures each compression: a push once, since with xz it takes long, and pulls in turn with ours, since the disk is not the same from one second to the next.
///
/// A pull of nix is done before what it wrote is on disk, ours is not: the second figure is what the same promise takes.
fn measure_one(
    nix: &Nix<'_>,
    version: &str,
    trees: &Path,
    pushed: Duration,
    pull: &mut dyn FnMut() -> Duration,
) {
    let from = nix.store("store");
    let mut paths = Vec::new();
    for number in 0..OBJECTS {
        let tree = trees.join(format!("part-{number}"));
        let tree = tree.to_str().unwrap();
        let added = nix.run(&["store", "add-path", "--store", &from, tree]);
        paths.push(String::from_utf8(added).unwrap().trim().to_owned());
    }
    for (compression, goal) in [("zstd", "1.0 x"), ("xz", "0.067 x")] {
        let cache = format!(
            "file://{}?compression={compression}",
            nix.place.join(compression).display()
        );
        let copy = |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.extend(paths.iter().map(String::as_str));
            time(|| drop(nix.run(&all)))
        };
        let push = copy(&["copy", "--store", &from, "--from", &from, "--to", &cache]);
        report(
            &format!("push 30 objects (goal {goal})"),
            pushed,
            &format!("{version}, {compression}"),
            Some(push),
        );
        let (mut own, mut synced) = (Vec::new(), Vec::new());
        let pulled = median(|number| {
            own.push(pull());
            let name = format!("pulled-{compression}-{number}");
            let to = nix.store(&name);
            let copied = copy(&["copy", "--from", &cache, "--to", &to, "--no-check-sigs"]);
            let sync = format!("sync -f {}", nix.place.join(name).display());
            synced.push(copied + time(|| shell(&sync)));
            copied
        });
        for (took, after) in [(pulled, ""), (middle(synced), ", synced")] {
            report(
                "pull 30 objects (goal 0.7 x)",
                middle(own.clone()),
                &format!("{version} back, {compression}{after}"),
                Some(took),
            );
        }
    }
}
