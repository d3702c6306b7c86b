//! Servers of others, started for one test and stopped with it.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;
use tests::other_servers::{Process, start_server};

use crate::TestResult;

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
        let (process, ()) = start_server(&mut command, |line| {
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
        let (process, endpoint) = start_server(&mut command, |line| {
            let (_, after) = line.split_once("Running on ")?;
            Some(after.trim().to_owned())
        })?;
        Ok(Self { endpoint, process })
    }
}
