//! The peer: Debian's `nix copy` of the same directories, to a directory and back.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{OBJECTS, report, time};

fn nix(home: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("nix")
        .args(["--extra-experimental-features", "nix-command"])
        .args(arguments)
        .env("HOME", home)
        .env("NIX_CONFIG", "build-users-group =\nrequire-sigs = false\n")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Measures each compression once: with xz a push takes long.
pub(crate) fn measure(place: &Path, trees: &Path, pushed: Duration, pulled: Duration) {
    let version = Command::new("nix")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !version.is_ok_and(|status| status.success()) {
        report("push 30 objects", pushed, "nix copy", None);
        return;
    }
    let store = |name: &str| format!("local?root={}", place.join(name).display());
    let from = store("nix");
    let mut paths = Vec::new();
    for number in 0..OBJECTS {
        let tree = trees.join(format!("part-{number}"));
        let added = nix(
            place,
            &[
                "store",
                "add-path",
                "--store",
                &from,
                tree.to_str().unwrap(),
            ],
        );
        paths.push(String::from_utf8(added).unwrap().trim().to_owned());
    }
    for (compression, goal) in [("zstd", "1.0 x"), ("xz", "0.067 x")] {
        let cache = format!(
            "file://{}?compression={compression}",
            place.join(compression).display()
        );
        let copy = |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.extend(paths.iter().map(String::as_str));
            time(|| drop(nix(place, &all)))
        };
        let push = copy(&["copy", "--store", &from, "--from", &from, "--to", &cache]);
        report(
            &format!("push 30 objects (goal {goal})"),
            pushed,
            &format!("nix copy, {compression}"),
            Some(push),
        );
        let to = store(&format!("pulled-{compression}"));
        let pull = copy(&["copy", "--from", &cache, "--to", &to, "--no-check-sigs"]);
        report(
            "pull 30 objects (goal 0.7 x)",
            pulled,
            &format!("nix copy back, {compression}"),
            Some(pull),
        );
    }
}
