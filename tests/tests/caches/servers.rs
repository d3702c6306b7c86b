//! Servers of others, started for one test and stopped with it.
//!
//! Each says by a line of its log that it listens, and where; nobody waits for anything else.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::TestResult;

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn kill(&mut self) {
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
fn start<T>(command: &mut Command, find: impl Fn(&str) -> Option<T>) -> TestResult<(Process, T)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start `{program}` (see tests/run): {error}"))?;
    let mut process = Process { child };
    let log = process.child.stderr.take().ok_or("the log is piped")?;
    let mut log = BufReader::new(log);
    let mut seen = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line)? == 0 {
            return Err(format!("`{program}` ended:\n{seen}").into());
        }
        if let Some(found) = find(&line) {
            // A full pipe would stop the server.
            thread::spawn(move || drop(log.read_to_end(&mut Vec::new())));
            return Ok((process, found));
        }
        seen.push_str(&line);
    }
}

/// nginx, which serves a directory.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) url: String,
    pub(crate) process: Process,
    _state: TempDir,
}

impl Nginx {
    pub(crate) fn start(directory: &Path) -> TestResult<Self> {
        let state = tempfile::tempdir()?;
        // It takes over a socket that listens already, as it does when it replaces itself: as its standard input.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (prefix, root) = (state.path().display(), directory.display());
        let user = if nix::unistd::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let config = format!(
            "{user} daemon off; worker_processes 1; pid {prefix}/pid; error_log stderr notice;\n\
             events {{ worker_connections 256; }}\n\
             http {{\n\
               access_log off; client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;\n\
               fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;\n\
               server {{ listen {address}; root {root}; keepalive_requests 100000; }}\n\
             }}\n"
        );
        let file = state.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command
            .arg("-p")
            .arg(state.path())
            .args(["-e", "stderr", "-c"])
            .arg(&file)
            .env("NGINX", "0;")
            .env("PATH", with_sbin())
            .stdin(Stdio::from(OwnedFd::from(listener)));
        let (process, ()) = start(&mut command, |line| {
            line.contains("using the \"epoll\" event method")
                .then_some(())
        })?;
        Ok(Self {
            url: format!("http://{address}"),
            process,
            _state: state,
        })
    }
}

/// Where Debian puts servers, which not every user looks.
fn with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// Debian's registry.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Host and port.
    pub(crate) address: String,
    pub(crate) process: Process,
    _state: TempDir,
}

impl Registry {
    /// Starts a registry; `login` is added to its configuration.
    pub(crate) fn start(login: &str) -> TestResult<Self> {
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
        let (process, address) = start(&mut command, |line| {
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
    pub(crate) fn login(directory: &Path) -> TestResult<String> {
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

/// moto, which answers as S3 does.
#[derive(Debug)]
pub(crate) struct Moto {
    /// Its address.
    pub(crate) endpoint: String,
    pub(crate) process: Process,
}

impl Moto {
    pub(crate) fn start() -> TestResult<Self> {
        let mut command = Command::new("moto_server");
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null());
        let (process, endpoint) = start(&mut command, |line| {
            let (_, after) = line.split_once("Running on ")?;
            Some(after.trim().to_owned())
        })?;
        Ok(Self { endpoint, process })
    }
}
