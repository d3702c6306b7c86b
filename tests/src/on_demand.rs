//! A registry that makes its images when somebody pulls them.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::TestEnv;

/// A running `pith serve --registry`, ended with this value.
#[derive(Debug)]
pub struct OnDemand {
    child: Child,
    /// Where it listens: `127.0.0.1:PORT`.
    pub host: String,
}

impl OnDemand {
    /// Starts it in the project of `env`, on a port that is free, with more arguments. Panics if it does not start.
    #[must_use]
    pub fn start(env: &TestEnv, arguments: &[&str]) -> Self {
        let mut command = env.command(&["serve", "--registry", "--listen", "127.0.0.1:0"]);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("pith starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut url);
        read.expect("it says where it listens");
        let host = url.trim_end().strip_prefix("http://").expect("a URL");
        Self {
            host: host.to_owned(),
            child,
        }
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).expect("a process's number");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("it runs");
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success() || std::thread::panicking(), "{ended}");
    }
}
