//! Engines that are daemons, each with everything in a directory of its own. Only root can start them.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::other_servers::{Process, start_server};

/// A running containerd.
#[derive(Debug)]
pub struct Containerd {
    socket: PathBuf,
    // Ended before its directory goes.
    _process: Process,
    state: TempDir,
}

impl Containerd {
    /// Starts Debian's containerd.
    pub fn start() -> io::Result<Self> {
        let state = tempfile::tempdir()?;
        let place = |name: &str| state.path().join(name);
        let socket = place("containerd.sock");
        let mut command = Command::new("containerd");
        command.arg("--address").arg(&socket);
        command.arg("--root").arg(place("root"));
        command.arg("--state").arg(place("state"));
        let booted = |line: &str| line.contains("successfully booted").then_some(());
        let (process, ()) = start_server(&mut command, booted)?;
        Ok(Self {
            socket,
            _process: process,
            state,
        })
    }

    /// The flags by which `ctr` finds it.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        vec!["--address".to_owned(), text(&self.socket)]
    }
}

/// A running dockerd, which starts containers through a containerd.
#[derive(Debug)]
pub struct Dockerd {
    socket: PathBuf,
    _process: Process,
    _containerd: Containerd,
}

impl Dockerd {
    /// Starts Debian's dockerd, without networks.
    pub fn start() -> io::Result<Self> {
        let containerd = Containerd::start()?;
        let place = |name: &str| containerd.state.path().join(name);
        let socket = place("docker.sock");
        let mut command = Command::new("dockerd");
        command
            .arg("--host")
            .arg(format!("unix://{}", text(&socket)));
        for (flag, name) in [
            ("--data-root", "docker"),
            ("--exec-root", "docker-exec"),
            ("--pidfile", "docker.pid"),
        ] {
            command.arg(flag).arg(place(name));
        }
        command.arg("--containerd").arg(&containerd.socket);
        command.args(["--bridge", "none", "--storage-driver", "vfs"]);
        command.args(["--iptables=false", "--ip6tables=false"]);
        let listening = |line: &str| line.contains("API listen on").then_some(());
        let (process, ()) = start_server(&mut command, listening)?;
        Ok(Self {
            socket,
            _process: process,
            _containerd: containerd,
        })
    }

    /// The flags by which `docker` finds it.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        vec![
            "--host".to_owned(),
            format!("unix://{}", text(&self.socket)),
        ]
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}
