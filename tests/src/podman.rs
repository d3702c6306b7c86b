//! Podman, as the scenarios use it.

use std::process::{Command, Stdio};

use crate::{Finished, TestEnv, run};

/// What podman needs on a machine without delegated cgroups.
const ENGINE: [&str; 4] = ["--runtime", "runc", "--cgroup-manager", "cgroupfs"];
/// What a container needs where an ordinary user may not raise limits.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

impl TestEnv {
    /// Packs with these arguments and loads the image into podman.
    pub fn pack_and_load(&self, arguments: &[&str]) {
        let archive = self.path("image.tar");
        let archive = archive.to_str().expect("temporary paths are UTF-8");
        self.pith(&[&["pack", "-q", "-o", archive], arguments].concat())
            .expect_success();
        self.podman(&["load", "-q", "-i", archive]).expect_success();
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
