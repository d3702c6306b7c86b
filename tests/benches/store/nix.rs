//! The peer: a store of Debian's `nix` with the same graph, whose paths are files that lie there.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use tests::Random;

use crate::graph::references;
use crate::{OBJECTS, time};

const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";
const STORE: &str = "/nix/store";

/// A store of its own.
pub(crate) struct Nix {
    root: TempDir,
}

/// The path of an object by its number.
fn path(number: usize) -> String {
    let mut random = Random::new(number as u64);
    let digits: String = (0..32)
        .map(|_| char::from(DIGITS[random.below(32)]))
        .collect();
    format!("{STORE}/{digits}-object-{number}")
}

/// The list of objects in the form that `nix-store --load-db` reads.
pub(crate) fn listing(numbers: std::ops::Range<usize>, random: &mut Random) -> String {
    let mut text = String::new();
    for number in numbers {
        let references = references(number, random);
        let digest = "0".repeat(64);
        let _ = write!(
            text,
            "{}\n{digest}\n100\n\n{}\n",
            path(number),
            references.len()
        );
        for reference in references {
            text.push_str(&path(reference));
            text.push('\n');
        }
    }
    text
}

impl Nix {
    /// An empty store, beside `place`; `None` where `nix` is not installed.
    pub(crate) fn new(place: &Path) -> Option<Self> {
        Command::new("nix-store")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .ok()?;
        let parent = place.parent()?;
        let root = tempfile::tempdir_in(parent).unwrap();
        Some(Self { root })
    }

    /// A store with the whole graph.
    pub(crate) fn with_graph(place: &Path) -> Option<Self> {
        let peer = Self::new(place)?;
        let directory = peer.root.path().join("nix/store");
        fs::create_dir_all(&directory).unwrap();
        for number in 0..OBJECTS {
            let name = path(number).replace(STORE, "");
            fs::write(directory.join(&name[1..]), format!("object {number}\n")).unwrap();
        }
        let listing = listing(0..OBJECTS, &mut Random::new(1));
        let took = time(|| peer.load(&listing));
        crate::println_seconds("nix-store --load-db of the graph", took);
        Some(peer)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env(
                "NIX_CONFIG",
                "build-users-group =\nextra-experimental-features = nix-command",
            )
            .env("HOME", self.root.path())
            .args([
                "--store",
                &format!("local?root={}", self.root.path().display()),
            ]);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Registers what a listing says.
    pub(crate) fn load(&self, listing: &str) {
        let mut child = self
            .command("nix-store")
            .arg("--load-db")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(listing.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(crate) fn closure(&self, number: usize) {
        self.run("nix-store", &["-qR", &path(number)]);
    }

    pub(crate) fn path_info(&self, number: usize) {
        self.run("nix", &["path-info", &path(number)]);
    }

    /// Makes an object a root.
    pub(crate) fn keep(&self, number: usize) {
        let roots = self.root.path().join("nix/var/nix/gcroots");
        fs::create_dir_all(&roots).unwrap();
        symlink(path(number), roots.join("half")).unwrap();
    }

    pub(crate) fn print_dead(&self) {
        self.run("nix-store", &["--gc", "--print-dead"]);
    }

    pub(crate) fn collect(&self) {
        self.run("nix-store", &["--gc"]);
    }
}
