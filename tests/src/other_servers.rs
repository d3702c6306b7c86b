//! Servers of others, started for one test and stopped with it.
//!
//! Each says by a line of its log that it listens, and where; nobody waits for anything else.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Ends the process and waits for that.
    pub fn kill(&mut self) {
        // Not harder: what a server has started has to end with it. It may have ended by itself.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _sent: nix::Result<()> = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a program and reads its log up to the line in which `find` finds what is wanted.
pub fn start_server<T>(
    command: &mut Command,
    find: impl Fn(&str) -> Option<T>,
) -> io::Result<(Process, T)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let message = format!("cannot start `{program}` (see tests/run): {error}");
            io::Error::new(error.kind(), message)
        })?;
    let mut process = Process { child };
    let log = process
        .child
        .stderr
        .take()
        .ok_or_else(|| io::Error::other("the log is piped"))?;
    let mut log = BufReader::new(log);
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("`{program}` ended:\n{seen}")));
        }
        if let Some(found) = find(&line) {
            // A full pipe would stop the server.
            thread::spawn(move || drop(log.read_to_end(&mut Vec::new())));
            return Ok((process, found));
        }
        seen.push_str(&line);
    }
}

/// Debian's registry.
#[derive(Debug)]
pub struct Registry {
    /// Host and port.
    pub address: String,
    /// The server.
    pub process: Process,
    _state: TempDir,
}

impl Registry {
    /// Starts a registry; `login` is added to its configuration.
    pub fn start(login: &str) -> io::Result<Self> {
        let state = tempfile::tempdir()?;
        let config = format!(
            "version: 0.1\n\
             log: {{level: info, formatter: text, accesslog: {{disabled: true}}}}\n\
             storage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\n\
             http: {{addr: 127.0.0.1:0, secret: for-tests}}\n{login}\n",
            state.path().join("data").display()
        );
        let file = state.path().join("registry.yml");
        fs::write(&file, config)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).env_remove("AWS_CA_BUNDLE");
        let (process, address) = start_server(&mut command, |line| {
            let (_, after) = line.split_once("listening on ")?;
            let end = after.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit())?;
            Some(after[..end].to_owned())
        })?;
        Ok(Self {
            address,
            process,
            _state: state,
        })
    }

    /// The configuration that lets `user` in with `secret`, who is in a password file that is written to `directory`.
    pub fn login(directory: &Path) -> io::Result<String> {
        let file = directory.join("htpasswd");
        // `htpasswd -nbB user secret`
        fs::write(
            &file,
            "user:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n",
        )?;
        Ok(format!(
            "auth:\n  htpasswd: {{realm: cache, path: {}}}\n",
            file.display()
        ))
    }
}
