//! Podman, as the scenarios use it.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::{Finished, TestEnv, run, shared_store};

/// What podman needs on a machine without delegated cgroups.
const ENGINE: [&str; 4] = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"];
/// What a container needs where an ordinary user may not raise limits.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// Nobody else has an image in podman that another scenario has as well.
///
/// Podman removes an image with its last name: one that is loaded under another name in that moment is lost to whom it was
/// loaded for. Whoever loads an image that is not its own alone takes a turn, until it has removed it.
#[derive(Debug)]
#[must_use = "the turn ends when it is dropped"]
pub struct PodmanTurn {
    #[expect(dead_code, reason = "held, not read")]
    lock: File,
}

impl PodmanTurn {
    /// Waits for the turn, among all processes that test with this target directory.
    pub fn take() -> Self {
        let file = File::create(shared_store().with_file_name("podman.lock"))
            .expect("the target directory is writable");
        file.lock().expect("files can be locked");
        Self { lock: file }
    }
}

impl TestEnv {
    /// Packs with these arguments and loads the image into podman.
    pub fn pack_and_load(&self, arguments: &[&str]) {
        let archive = self.path("image.tar");
        let archive = archive.to_str().expect("temporary paths are UTF-8");
        self.pith_with_crates(&[&["pack", "-q", "-o", archive], arguments].concat())
            .expect_success();
        self.podman(&["load", "-q", "-i", archive]).expect_success();
    }

    /// `pith pack … --load podman`, to be started: podman is the one of whoever runs the tests, with the images of theirs.
    #[must_use]
    pub fn pack_into_podman(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&[&["pack"], arguments, &["--load", "podman"]].concat());
        // Where podman keeps images.
        for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"] {
            if let Some(value) = std::env::var_os(variable) {
                command.env(variable, value);
            }
        }
        command.env("PITH_CACHE", "");
        command
    }

    /// `podman run --rm` with options, an image and its arguments, to be started.
    #[must_use]
    pub fn podman_run_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command
            .args(ENGINE)
            .args(["run", "--rm"])
            .args(LIMITS)
            .args(arguments)
            .current_dir(self.path("."))
            .stdin(Stdio::null());
        command
    }

    /// Runs a container to its end; the arguments are options, an image and its own arguments.
    #[must_use]
    pub fn podman_run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.podman_run_command(arguments))
    }

    /// Runs any other command of podman to its end.
    #[must_use]
    pub fn podman(&self, arguments: &[&str]) -> Finished {
        self.tool("podman", &[&ENGINE, arguments].concat())
    }

    /// Removes an image from podman.
    pub fn remove_image(&self, image: &str) {
        self.podman(&["rmi", "-f", image]).expect_success();
    }
}
